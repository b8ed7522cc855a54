"""The programs of docs/howto/messages.md run, and print what stands beside them."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p import testing
from tests.kit.waiting import eventually

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "messages.md"
BLOCKS = re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def page() -> tuple[dict[str, Any], str]:
    """The definitions of the page, part by part, and their output."""
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for kind, text in BLOCKS:
            if kind == "python":
                exec(compile(text, str(PAGE), "exec", dont_inherit=True), names)
    return names, printed.getvalue()


def test_output_is_the_one_shown(page: tuple[dict[str, Any], str]) -> None:
    shown = [text for kind, text in BLOCKS if kind == "text"]
    assert len(shown) == 2
    assert page[1] == "".join(shown)


def test_server_and_script_talk(page: tuple[dict[str, Any], str], capsys: Any) -> None:
    names = page[0]
    with names["server"] as server:
        assert names["say"](server.self, "hello there") == "me"
        shown = ""

        def has_printed() -> bool:
            nonlocal shown
            shown += capsys.readouterr().out
            return shown == "ann: hello there\n"

        eventually(has_printed)


def test_text_of_another_room_ends_the_connection(page: tuple[dict[str, Any], str]) -> None:
    names = page[0]
    protocol = p2p.messages.protocol(names["CHAT"], names["Chat"])
    with testing.run_handler(protocol) as remote:
        remote.expect(0, ["me", ["lobby"]])
        remote.send_items(1, "attic", "boo")
        remote.expect_end(p2p.DiscReason.USELESS_PEER)


def test_reply_comes_to_the_thread_that_asked(page: tuple[dict[str, Any], str]) -> None:
    names, made = page[0], []

    class Store(names["Store"]):  # type: ignore[misc]
        def __init__(self, peer: p2p.Peer, rw: Any) -> None:
            super().__init__(peer, rw)
            made.append(self)

    protocol = p2p.messages.protocol(names["STORE"], Store)
    with testing.connected_servers(protocols=[protocol]):
        eventually(lambda: len(made) == 2)
        assert names["look_up"](made[0].requests, "color") == "green"
        assert names["look_up"](made[1].requests, "shape") == ""


def test_function_handles_the_same_messages(page: tuple[dict[str, Any], str], capsys: Any) -> None:
    names = page[0]
    with testing.run_handler(p2p.messages.protocol(names["CHAT"], names["run"])) as remote:
        remote.expect(0)
        remote.send_items(1, "lobby", "hi")
        remote.send_items(2, bytes(32), bytes(32))
        remote.close()
        assert remote.result() is None
    assert capsys.readouterr().out == "hi\n2\n"
