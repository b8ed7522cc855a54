"""Type checkers see the classes of messages, their constructors, and the types that are read."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """\
from __future__ import annotations

import p2p
from p2p import messages
from p2p.messages import Messages, TypedReadWriter, message


@message(0)
class Hello:
    name: str
    version: int = 1


@message(1, bare=True)
class Text:
    text: str


CHAT: Messages[Hello | Text] = Messages("chat", 1, [Hello, Text])


class Chat:
    def __init__(self, peer: p2p.Peer, rw: TypedReadWriter[Hello | Text]) -> None:
        reveal_type(rw.read())
        reveal_type(rw.expect(Text).text)
        rw.write(Hello("alice"))
        rw.write("alice")

    def on_hello(self, msg: Hello) -> None: ...
    def on_text(self, msg: Text) -> None: ...


def run(peer: p2p.Peer, rw: TypedReadWriter[Hello | Text]) -> None:
    for msg in rw:
        reveal_type(msg)


def wrong(rw: p2p.MsgReadWriter) -> None: ...


messages.protocol(CHAT, Chat)
messages.protocol(CHAT, run)
messages.protocol(CHAT, wrong)
reveal_type(messages.protocol(CHAT).messages)
Hello(5)
Hello("alice").name = "bob"
reveal_type(CHAT.decode(0, b""))
CHAT.encode(5)
Hello()
"""

#: By line: the words of the note or of the error there.
EXPECTED = {
    24: "Hello | ",
    25: "str",
    27: 'Argument 1 to "write" of "TypedReadWriter" has incompatible type "str"',
    35: "Hello | ",
    43: 'Argument 2 to "protocol" has incompatible type',
    44: "Messages[Any]",
    45: 'Argument 1 to "Hello" has incompatible type "int"; expected "str"',
    46: 'Property "name" defined in "Hello" is read-only',
    47: "Hello | ",
    48: 'Argument 1 to "encode" of "Messages" has incompatible type "int"',
    49: 'Missing positional argument "name" in call to "Hello"',
}


def test_mypy_knows_the_types_and_finds_mistakes(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", "setup.cfg", str(program)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    found: dict[int, str] = {}
    for line, text in re.findall(r"program\.py:(\d+): (?:error|note): (.*)", run.stdout):
        found.setdefault(int(line), text.replace("program.", "").replace("Union[", ""))
    assert found.keys() == EXPECTED.keys(), run.stdout + run.stderr
    assert {line for line, words in EXPECTED.items() if words not in found[line]} == set(), found
