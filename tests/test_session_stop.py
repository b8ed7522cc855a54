"""A server that stops tells all handlers first: those that compute would slow down what follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import p2p
from p2p.session import Session
from tests.nodes import Nodes, await_event


def _looking(session: Session, look: Callable[[], None]) -> Callable[[Sequence[bytes]], None]:
    send = session.channel.send

    def look_and_send(buffers: Sequence[bytes]) -> None:
        look()
        send(buffers)

    return look_and_send


def test_every_handler_hears_of_the_stop_before_anything_is_sent(nodes: Nodes) -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        assert list(rw) == []

    server = nodes.start(protocols=[p2p.Protocol("test", 1, 8, run)])
    events = server.subscribe_events()
    for _ in range(5):
        nodes.remote(server).join()
        await_event(events, "add")
    sessions = list(server._peer_set._sessions)
    heard: list[list[bool]] = []

    def look() -> None:
        heard.append([rw.inbox.is_closed for s in sessions if s.peer for rw in s.peer.running])

    for session in sessions:
        session.channel.send = _looking(session, look)  # type: ignore[assignment, method-assign]
    assert server.stop() == []
    assert [closed for closed in heard if not all(closed)] == []
    assert len(heard) >= 5


def test_what_came_before_the_remote_left_can_be_read_after_the_stop(nodes: Nodes) -> None:
    talks = nodes.talks()
    server = nodes.start(protocols=[talks.protocol()])
    remote = nodes.remote(server).join()
    talk = talks.next()
    for code in range(3):
        remote.send(code)
    remote.sock.close()
    while not talk.rw.is_closed:  # type: ignore[attr-defined]
        server._loop.call(lambda: None)
    server._loop.call(server._peer_set.stop, 0.1, lambda: None)
    assert [msg.code for msg in talk.rw] == [0, 1, 2]
