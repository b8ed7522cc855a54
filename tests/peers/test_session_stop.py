"""A server that stops tells all handlers first: those that compute would slow down what follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

import p2p
from p2p.peers.session import Session
from tests.kit import inspect
from tests.kit.nodes import Nodes, await_event


def _looking(session: Session, look: Callable[[], None]) -> Callable[[Sequence[bytes]], None]:
    send = session.channel.send

    def look_and_send(buffers: Sequence[bytes]) -> None:
        look()
        send(buffers)

    return look_and_send


@pytest.mark.usefixtures("short_linger")
def test_every_handler_hears_of_the_stop_before_anything_is_sent(nodes: Nodes) -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        assert list(rw) == []

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    events = server.subscribe_events()
    for _ in range(5):
        nodes.remote(server).open()
        await_event(events, "add")
    sessions = inspect.sessions(server)
    heard: list[list[bool]] = []

    def look() -> None:
        heard.append([rw._inbox.is_closed for s in sessions if s.peer for rw in s.peer._running])

    for session in sessions:
        session.channel.send = _looking(session, look)  # type: ignore[assignment, method-assign]
    assert server.stop() == []
    assert [closed for closed in heard if not all(closed)] == []
    assert len(heard) >= 5


def test_what_came_before_the_remote_left_can_be_read_after_the_stop(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    remote = nodes.remote(server).open()
    talk = talks.next()
    for code in range(3):
        remote.send_payload(code)
    remote.sock.close()
    while not talk.rw.is_closed:  # type: ignore[attr-defined]
        inspect.settle(server)
    inspect.on_io(server, inspect.peer_set(server).stop, 0.1, lambda: None)
    assert [msg.code for msg in talk.rw] == [0, 1, 2]
