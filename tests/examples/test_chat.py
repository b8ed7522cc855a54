"""examples/chat.py prints what its docstring says, and ends as a program should."""

from __future__ import annotations

from typing import Any


def test_a_conversation_goes_as_the_docstring_shows(run: Any, documented: Any, cut: Any) -> None:
    ann_expects, bob_expects = documented("chat.py")

    ann = run("chat.py", "--name", "ann")
    ann_saw = [ann.line()]
    url = ann_saw[0].removeprefix("ann is at ")
    bob = run("chat.py", "--name", "bob", "--connect", url)
    bob_saw = [bob.line(), bob.line()]
    ann_saw.append(ann.line())
    bob.type("hello ann")
    ann_saw.append(ann.line())
    ann.type("hello bob")
    bob_saw.append(bob.line())
    bob.interrupt()
    ann_saw.append(ann.line())

    assert cut(ann_saw) == ann_expects
    assert cut(bob_saw) == bob_expects


def test_a_line_goes_to_all_peers(run: Any) -> None:
    ann = run("chat.py", "--name", "ann")
    url = ann.line().removeprefix("ann is at ")
    others = [run("chat.py", "--name", name, "--connect", url) for name in ("bob", "eve")]
    for other in others:
        other.line()
        assert other.line() == "* ann is here"
    assert sorted(ann.line() for _ in others) == ["* bob is here", "* eve is here"]
    ann.type("hello all")
    assert [other.line() for other in others] == ["ann: hello all"] * 2


def test_control_characters_of_a_peer_do_not_reach_the_terminal(run: Any) -> None:
    ann = run("chat.py", "--name", "ann")
    url = ann.line().removeprefix("ann is at ")
    bob = run("chat.py", "--name", "bob", "--connect", url)
    assert ann.line() == "* bob is here"
    bob.line(), bob.line()
    bob.type("\x1b[2Jboo")
    assert ann.line() == "bob: ?[2Jboo"


def test_the_end_of_input_ends_it(run: Any) -> None:
    ann = run("chat.py", "--name", "ann")
    ann.line()
    assert ann.end() == (0, [], "")


def test_ctrl_c_ends_it_without_a_traceback(run: Any) -> None:
    ann = run("chat.py", "--name", "ann")
    ann.line()
    ann.interrupt()
    assert ann.end() == (0, [], "")
