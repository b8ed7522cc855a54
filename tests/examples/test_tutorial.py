"""The programs of docs/tutorial.md and of the README run, and do what is said beside them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.rlp
import p2p.testing

ROOT = Path(__file__).resolve().parents[2]
URL = re.compile(r"enode://[0-9a-f]{128}@127\.0\.0\.1:[0-9]+")


@dataclass
class Say:
    """As in step 5."""

    text: str
    tags: list[str]


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, int], str]:
    """Writes the n-th Python program of a document to a file, with any free port for its own."""

    def write(document: str, number: int) -> str:
        text = (ROOT / document).read_text(encoding="utf-8")
        source = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[number]
        path = tmp_path / f"program_{number}.py"
        path.write_text(re.sub(r'"[0-9.]*:30300"', '"127.0.0.1:0"', source), encoding="utf-8")
        return str(path)

    return write


def test_step_1_a_node_prints_its_url(run: Any, program: Any) -> None:
    assert URL.fullmatch(run(program("docs/tutorial.md", 0)).line())


@pytest.mark.parametrize("dialer_step", [2, 3])
def test_steps_2_to_4_the_ends_say_what_is_shown(
    run: Any, program: Any, dialer_step: int
) -> None:
    listener = run(program("docs/tutorial.md", 1))
    dialer = run(program("docs/tutorial.md", dialer_step), listener.line())
    assert dialer.line() == "listener says bar"
    assert [listener.line(), listener.line()] == ["dialer is here", "dialer says foo"]
    assert dialer.end() == (0, [], "")


def test_step_5_a_dataclass_is_sent_and_answered(run: Any, program: Any) -> None:
    messages = program("docs/tutorial.md", 4)
    dialer = run(messages, run(messages).line())
    assert dialer.end() == (0, ["Say(text='hi ann', tags=[])"], "")


def test_step_6_a_listener_without_a_handler_answers_and_ends(run: Any, program: Any) -> None:
    listener = run(program("docs/tutorial.md", 5))
    url = listener.line()
    dialers = [run(program("docs/tutorial.md", step), url) for step in (2, 3)]
    for dialer in dialers:
        assert dialer.end() == (0, ["listener says bar"], "")
    listener.interrupt()
    assert listener.end() == (0, [], "")


def test_rows_of_step_5_are_what_is_sent_and_read() -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    row = r"^\| `rw\.(send\w*\(.*?\))`.* \| `msg\.(decode\(.*\))` \|$"
    rows = re.findall(row, text, re.MULTILINE)
    assert len(rows) == 5
    for sent, read in rows:
        ours, theirs = p2p.testing.msg_pipe(length=2)
        eval(f"ours.{sent}", {"ours": ours, "Say": Say})
        msg = theirs.read_msg(10)
        assert p2p.rlp.encode(eval(f"msg.{read}", {"msg": msg, "Say": Say})) == msg.payload


def test_programs_of_the_readme_talk(run: Any, program: Any) -> None:
    path = Path(program("README.md", 1))
    added = "    print(server.self.url, flush=True)\n    server.wait"  # as the README says
    path.write_text(path.read_text().replace("    server.wait", added))
    listener = run(str(path))
    url = listener.line()
    path = Path(program("README.md", 0))
    path.write_text(path.read_text().replace("enode://...", url))
    for asking in (run(str(path)), run("foo_bar.py", "dial", url)):
        assert asking.end() == (0, ["my node name says bar"], "")
