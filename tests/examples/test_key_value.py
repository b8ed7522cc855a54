"""examples/key_value.py prints what its docstring says, and ends as a program should."""

from __future__ import annotations

from typing import Any

import p2p

NAME, LENGTH = "kv", 3


def test_both_sides_print_what_the_docstring_shows(run: Any, documented: Any, cut: Any) -> None:
    store_shows, client_shows = documented("key_value.py")
    store = run("key_value.py")
    url = store.line()
    client = run("key_value.py", url)
    assert client.end() == (0, client_shows, "")
    said = store.line()
    store.interrupt()
    assert store.end() == (0, [], "")
    assert cut([url, said]) == store_shows[:2]


def test_store_refuses_what_is_too_large_and_a_message_that_is_no_request(run: Any) -> None:
    url = run("key_value.py").line()
    with p2p.connect(url, name=NAME, version=1, length=LENGTH) as rw:
        rw.send_items(0, 7, "key", bytes(1001))
        assert rw.read_msg(20).decode(tuple[int, bool, bytes]) == (7, False, b"")
        rw.send_items(2, 7)
        try:
            rw.read_msg(20)
        except p2p.PeerDisconnected as ended:
            assert ended.reason == p2p.DiscReason.PROTOCOL_ERROR


def test_store_that_is_not_there(run: Any) -> None:
    code, lines, errors = run("key_value.py", "nonsense").end()
    assert (code, lines) == (1, [])
    assert errors.startswith("cannot connect: ")
