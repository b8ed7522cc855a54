"""A flood of pings from a peer that does not read the pongs: they do not pile up."""

from __future__ import annotations

import threading

import p2p
from p2p.peers.session import BATCH_BYTES, Session
from p2p.rlpx.messages import EMPTY, PING
from tests.kit.remote import Remote, connect
from tests.kit.target import await_stuck, talk, target
from tests.kit.waiting import PATIENCE_S, eventually

RECEIVE_BUFFER = 32 * 1024
MESSAGE_BYTES = 16 * 1024
#: The batch in the channel and, depending on timing, one ahead of it, with a pong each. A batch may
#: be larger by a message, which leaves more than its frames and the pong add.
FRAMED_BYTES = 2 * (BATCH_BYTES + MESSAGE_BYTES)
#: Their pongs, 64 bytes each, are several times as many bytes.
PINGS = 50_000


def framed(session: Session) -> int:
    """The bytes that are framed and not in the kernel yet; those of the machine are taken away."""
    waiting = session._next_batch + session.machine.data_to_send()
    return session.channel.unsent_bytes + sum(map(len, waiting))


def test_pongs_for_a_peer_that_does_not_read_do_not_pile_up() -> None:
    ended = threading.Event()

    def write(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        try:
            while True:
                rw.write_msg(p2p.Msg(0, bytes(MESSAGE_BYTES)))
        except p2p.PeerDisconnected:
            ended.set()
            raise

    with target(write) as victim, talk(victim) as honest:
        remote = Remote(connect(victim.server, RECEIVE_BUFFER), victim.key, version=4).open()
        with remote:
            session = await_stuck(victim)
            for _ in range(PINGS // 1000):
                remote.machine.send_messages([(PING, EMPTY)] * 1000)
                remote.flush()
            remote.send_payloads((0, b"after the pings"))
            assert session.peer is not None
            inbox = session.peer._running[0]._inbox
            eventually(lambda: not inbox.is_empty)
            assert session.loop.call(framed, session) <= FRAMED_BYTES
            honest.exchange()
            remote.reset()
            assert ended.wait(PATIENCE_S)
