"""A flood of pings from a peer that does not read the pongs: no more than one waits."""

from __future__ import annotations

import threading

import p2p
from p2p.rlpx.base import EMPTY, PING
from p2p.session import Session
from tests.hostile.remote import PATIENCE_S, Remote, connect
from tests.hostile.target import await_stuck, eventually, talk, target

RECEIVE_BUFFER = 32 * 1024
PINGS = 20_000
#: A pong on the wire: header, one block, two MACs.
PONG_BYTES = 64


def framed(session: Session) -> int:
    """The bytes that are framed and not in the kernel yet."""
    return session.channel.unsent_bytes + sum(map(len, session._next_batch))


def test_pings_of_a_peer_that_does_not_read_leave_one_pong_at_the_most() -> None:
    ended = threading.Event()

    def write(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        try:
            while True:
                rw.write_msg(p2p.Msg(0, bytes(16 * 1024)))
        except p2p.PeerDisconnected:
            ended.set()
            raise

    with target(write) as victim, talk(victim) as honest:
        remote = Remote(connect(victim.server, RECEIVE_BUFFER), victim.key, version=4).open()
        with remote:
            session = await_stuck(victim)
            before = session.loop.call(framed, session)
            for _ in range(PINGS // 1000):
                remote.machine.send_messages([(PING, EMPTY)] * 1000)
                remote.flush()
            remote.send((0, b"after the pings"))
            assert session.peer is not None
            inbox = session.peer.running[0].inbox
            eventually(lambda: not inbox.is_empty)
            assert session.loop.call(framed, session) <= before + PONG_BYTES
            honest.exchange()
            remote.reset()
            assert ended.wait(PATIENCE_S)
