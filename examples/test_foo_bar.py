"""Tests of foo_bar.py, as a program that uses p2p may test its protocol. No network is needed but
loopback::

    PYTHONPATH=examples python -m pytest examples/test_foo_bar.py
"""

from __future__ import annotations

from foo_bar import LENGTH, NAME, VERSION, answer

import p2p
from p2p import testing

PROTOCOL = p2p.Protocol(NAME, VERSION, LENGTH, answer)


def test_foo_is_answered_with_bar() -> None:
    with testing.run_handler(PROTOCOL) as remote:
        remote.send_items(0, "foo")
        remote.expect(0, ["bar"])


def test_other_texts_are_not_answered() -> None:
    with testing.run_handler(PROTOCOL) as remote:
        remote.send_items(0, "baz")
        remote.send_items(0, "foo")
        remote.expect(0, ["bar"])  # the first message that comes


def test_message_of_another_form_ends_the_connection() -> None:
    with testing.run_handler(PROTOCOL) as remote:
        remote.send(0, "foo")
        remote.expect_end(p2p.DiscReason.PROTOCOL_ERROR)


def test_server_answers_a_client() -> None:
    with testing.connected_servers(PROTOCOL, count=1) as (server,):
        with p2p.connect(server.self, name=NAME, version=VERSION, length=LENGTH) as rw:
            rw.send_items(0, "foo")
            assert rw.read_msg(timeout=testing.PATIENCE_S).decode(tuple[str]) == ("bar",)
