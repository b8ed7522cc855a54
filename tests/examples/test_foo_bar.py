"""examples/foo_bar.py prints what its docstring says, and ends as a program should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import p2p

ROOT = Path(__file__).resolve().parents[2]

STRANGER = f"enode://{p2p.generate_key().public_key.to_bytes().hex()}@127.0.0.1:1"


def test_both_sides_print_what_the_docstring_shows(run: Any, documented: Any, cut: Any) -> None:
    listener = run("foo_bar.py", "listen")
    url = listener.line()
    assert run("foo_bar.py", "dial", url).end() == (0, documented("foo_bar.py")[1], "")
    said = listener.line()
    listener.interrupt()
    assert listener.end() == (0, [], "")
    assert cut([url, said]) == documented("foo_bar.py")[0]


def test_listener_without_a_handler_does_the_same(run: Any, documented: Any, cut: Any) -> None:
    listener = run("foo_bar.py", "listen", "--no-handler")
    url = listener.line()
    for _ in range(2):
        assert run("foo_bar.py", "dial", url).end() == (0, documented("foo_bar.py")[1], "")
        said = listener.line()
    listener.interrupt()
    assert listener.end() == (0, [], "")
    assert cut([url, said]) == documented("foo_bar.py")[2]


def test_listener_without_a_handler_goes_on_after_a_message_that_is_no_text(run: Any) -> None:
    listener = run("foo_bar.py", "listen", "--no-handler")
    url = listener.line()
    with p2p.connect(url, name="MyProtocol", version=1, length=1, node_name="bad") as rw:
        rw.send(0, "no list")
        assert listener.line().startswith("bad: ")
    assert run("foo_bar.py", "dial", url).end() == (0, ["listener says bar"], "")


def test_the_listener_answers_one_dialer_after_the_other(run: Any) -> None:
    listener = run("foo_bar.py", "listen")
    url = listener.line()
    for _ in range(3):
        assert run("foo_bar.py", "dial", url).end() == (0, ["listener says bar"], "")


def test_ctrl_c_ends_the_listener_without_a_traceback(run: Any) -> None:
    listener = run("foo_bar.py", "listen")
    listener.line()
    listener.interrupt()
    assert listener.end() == (0, [], "")


def test_dialing_where_nobody_listens_says_so(run: Any) -> None:
    code, lines, errors = run("foo_bar.py", "dial", STRANGER).end()
    assert (code, lines) == (1, [])
    assert errors.startswith("cannot connect: ")


def test_what_is_no_url_is_refused_as_an_argument(run: Any) -> None:
    code, lines, errors = run("foo_bar.py", "dial", "enode://nonsense").end()
    assert (code, lines) == (2, [])
    assert "usage: foo_bar.py dial" in errors


def test_the_demo_shows_both_sides(run: Any, documented: Any, cut: Any) -> None:
    code, lines, errors = run("demo.py").end()
    assert (code, errors) == (0, "")
    assert cut(lines) == documented("demo.py")[0]


# As in the background jobs of a shell; their children inherit it.
def test_the_demo_ends_where_ctrl_c_is_ignored() -> None:
    command = ["sh", "-c", "trap '' INT; exec \"$0\" examples/demo.py", sys.executable]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=50
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "listener: dialer says foo"
