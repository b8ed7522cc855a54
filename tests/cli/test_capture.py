"""``p2p capture``: the command of tcpdump, and its run where one may run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import p2p
from tests.cli.conftest import Run
from tests.kit.nodes import Nodes
from tests.kit.processes import Program
from tests.kit.tcpdump import needs_tcpdump
from tests.kit.waiting import PATIENCE_S, eventually

NODE = p2p.Node.from_parts(p2p.generate_key().public_key, "203.0.113.7", 30303, 30301)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((), "port 30303"),
        (("--port", "1", "--port", "2"), "port 1 or port 2"),
        (("--node", NODE.url), "(host 203.0.113.7 and (port 30301 or port 30303))"),
        (("--node", NODE.url, "--port", "9"), "port 9 or (host 203.0.113.7 and (port 30301 or "),
    ],
)
def test_filter_has_ports_and_nodes(run: Run, arguments: tuple[str, ...], wanted: str) -> None:
    result = run("capture", "file.pcap", "--print", "--json", *arguments)
    assert result.exit_code == 0
    assert result.records[0]["filter"].startswith(wanted)
    assert "P2P_KEYLOGFILE=keys.log" in result.err
    assert not Path("file.pcap").exists()


def test_command_can_be_pasted_into_a_shell(run: Run) -> None:
    out = run("capture", "my file.pcap", "--print", "--interface", "eth0").out
    assert out.startswith("tcpdump -i eth0 -s 0 -U -B 32768 ")
    assert out.endswith(" -w 'my file.pcap' 'port 30303'\n")


def test_node_without_an_address_is_refused(run: Run) -> None:
    node = p2p.Node.from_parts(p2p.generate_key().public_key)
    result = run("capture", "file.pcap", "--node", node.url)
    assert result.exit_code == 2 and "has no address; give --port" in result.err


def test_missing_tcpdump_is_told_with_the_command(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    result = run("capture", "file.pcap")
    assert result.exit_code == 5
    assert "tcpdump is not installed; install it, and run: tcpdump -i any" in result.err


def test_failure_of_tcpdump_is_its_line_and_the_command(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "tcpdump"
    fake.write_text("#!/bin/sh\necho 'tcpdump: eth9: no permission' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("capture", "file.pcap")
    assert result.exit_code == 5
    assert "tcpdump: eth9: no permission; run it as root: sudo tcpdump -i any" in result.err


#: A tcpdump that begins, and writes its counts when it is ended.
FAKE = """#!/bin/sh
trap "echo '7 packets captured' >&2; exit 0" INT
echo "tcpdump: data link type LINUX_SLL2" >&2
echo "tcpdump: listening on any, link-type LINUX_SLL2" >&2
while :; do /bin/sleep 0.01; done
"""


def test_begin_is_told_without_a_terminal(tmp_path: Path) -> None:
    fake = tmp_path / "tcpdump"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    with Program(
        [sys.executable, "-m", "p2p", "capture", "file.pcap"],
        env={**os.environ, "PATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("capturing into file.pcap")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("7 packets captured")


@needs_tcpdump
@pytest.mark.slow
def test_capture_until_ctrl_c_can_be_decoded(nodes: Nodes, run: Run, tmp_path: Path) -> None:
    path, keys = tmp_path / "file.pcap", tmp_path / "keys"
    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8)], key_log=keys)
    assert server.listen_addr is not None
    options = ["--interface", "lo", "--port", str(server.listen_addr.port), "--keylog", str(keys)]
    with Program(
        [sys.executable, "-m", "p2p", "capture", str(path), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        eventually(path.exists, "tcpdump has begun")
        with p2p.connect(server.self, name="test", version=1, length=8) as rw:
            rw.send(5, "text")
        eventually(lambda: path.stat().st_size > 2000, "packets are in the file")
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0 and err.splitlines() == [err.rstrip("\n")]
    assert err.startswith("capturing into ")
    assert f"packets captured; to read them: p2p decode {path} --keylog {keys}" in out
    pytest.importorskip("pcapy")
    assert " connection\n" in run("decode", path, "--keylog", keys).out
