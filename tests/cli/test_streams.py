"""The standard streams: closed, full, of another encoding, with a reader that has gone."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.cli import main
from p2p.cli.exitcode import ExitCode
from p2p.cli.output import Output
from p2p.cli.shown import on_one_line, safe
from tests.kit.processes import Program

from .terminal import PROGRAM

#: Texts of remotes that would do something to a terminal, or to a line.
HOSTILE = "\x1b[31m\x9b2J\x07\u202e\u2028\x7f\r[red]<script>\udcff"
MODULE = f"{sys.executable} -m p2p"


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[Any]:
    words = ["bash", "-c", f"set -o pipefail; {command}"]
    environment = {**os.environ, **environment}
    return subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("command", ["demo", "demo --json", "completion zsh", "explain handshake"])
def test_any_encoding_has_an_output(command: str, encoding: str) -> None:
    done = shell(f"{MODULE} {command}", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    if "--json" in command:
        assert all(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("source", ["<&-", "</dev/null", "< <(printf '\\xff\\xfe\\x00')"])
def test_input_that_is_no_text_is_wrong_input(source: str) -> None:
    done = shell(f"{MODULE} key show - {source}")
    assert done.returncode == ExitCode.USAGE
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "command", ["enr show -", "nodeset info -", "ping -", "explain packet -"]
)
@pytest.mark.parametrize("data", [None, b"", b"\xff\xfe\x00"], ids=["closed", "empty", "no text"])
def test_each_command_refuses_input_that_is_no_text(
    command: str, data: bytes | None, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = None if data is None else io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdin", stdin)
        assert main(command.split()) == ExitCode.USAGE
        sys.stdin.close()
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("command", ["--help", "demo", "demo --json", "explain handshake"])
def test_reader_that_has_gone_ends_a_command_in_order(command: str) -> None:
    done = shell(f"{MODULE} {command} | true")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("target", ["1>&-", "2>&-", "2>/dev/full", "2> >(true)"])
def test_closed_output_keeps_the_exit_code(target: str, tmp_path: Path) -> None:
    done = shell(f"{MODULE} key new {tmp_path}/node.key {target}")
    assert done.returncode == 0 and "Traceback" not in done.stderr
    missing = shell(f"{MODULE} key show {tmp_path}/none {target}")
    assert missing.returncode == ExitCode.USAGE and "Traceback" not in missing.stderr


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a node that does not answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        key = p2p.generate_key().public_key
        yield p2p.Node.from_parts(key, "127.0.0.1", 0, sock.getsockname()[1]).url


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_ends_a_command_with_its_code(number: signal.Signals, silent: str) -> None:
    lookup = ["discv4", "lookup", "--explain", "--bootnodes", silent]
    command = [sys.executable, "-c", PROGRAM, *lookup]
    with Program(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None and it.stderr is not None
        assert it.stdout.readline()
        it.send_signal(number)
        code = it.wait(20)
        assert "Traceback" not in it.stderr.read()
    is_ctrl_c = number is signal.SIGINT
    assert code == (ExitCode.INTERRUPTED if is_ctrl_c else ExitCode.TERMINATED)


def test_text_of_a_remote_cannot_act_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (False, True):
        Output(as_json).result({"text": HOSTILE}, f"{HOSTILE}\n\tsecond")
    Output().table(["a"], [[HOSTILE]])
    Output().note(HOSTILE)
    captured = capsys.readouterr()
    text = captured.out + captured.err
    assert all(char.isprintable() or char in "\n\t" for char in text)
    plain, second, line, *_ = captured.out.split("\n")
    assert "[red]<script>" in plain and second == "\tsecond"
    assert json.loads(line) == {"text": HOSTILE}


def test_error_is_one_line_whatever_it_quotes(run: Any) -> None:
    result = run("explain", "message", "c0", "--protocol", f"{HOSTILE}\nsecond")
    assert len(result.err.splitlines()) == 1 and result.err[:-1].isprintable()
    assert on_one_line("a\n b\x1b") == "a b\\x1b" and safe("a\n\x1b") == "a\n\\x1b"


def test_packet_of_the_caller_is_wrong_input(run: Any) -> None:
    result = run("explain", "packet", "00")
    assert result.exit_code == ExitCode.USAGE and "authors" not in result.err


def test_module_of_the_caller_that_fails_is_wrong_input(run: Any, tmp_path: Path) -> None:
    (tmp_path / "broken_p2p_module.py").write_text("def (", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        for command in (
            ("explain", "message", "c0", "--protocol"),
            ("replay", "none.jsonl", "--handler"),
        ):
            result = run(*command, "broken_p2p_module:NAME")
            assert result.exit_code == ExitCode.USAGE and "SyntaxError" in result.err


def test_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    from p2p.cli.files.nodes import read_nodes, write_nodes

    pipe = tmp_path / "nodes.json"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_nodes(pipe, {})
        assert pipe.is_fifo() and json.loads(os.read(reader, 100)) == {}
    finally:
        os.close(reader)
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    link.symlink_to(target)
    write_nodes(link, {})
    assert link.is_symlink() and read_nodes(target) == {}
