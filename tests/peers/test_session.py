"""Sessions: how the messages of one connection flow, and how it ends."""

from __future__ import annotations

import os
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

import p2p
from p2p import DiscReason
from p2p.codec import encode
from p2p.errors import LoopCrashed, PeerDisconnected
from p2p.mailbox import LIMIT_BYTES
from p2p.net import Loop
from p2p.peers.phase import Ending, Phase
from p2p.peers.session import BATCH_BYTES, Session
from p2p.peers.traffic import Totals
from p2p.rlpx import Connection, Hello, State
from p2p.testing import SimulatedClock
from tests.kit import inspect
from tests.kit.remote import LENGTH, TEST, Remote
from tests.kit.target import Inbox, Target, await_stuck, target
from tests.kit.waiting import PATIENCE_S, eventually

T = TypeVar("T")


# how it ended, in words


def test_ending_without_a_cause_names_the_reason_and_who_gave_it() -> None:
    ours = Ending(DiscReason.QUITTING, False, State.OPEN)
    theirs = Ending(DiscReason.TOO_MANY_PEERS, True, State.OPEN)
    assert str(ours) == "client quitting (local)"
    assert str(theirs) == "too many peers (remote)"


def test_ending_with_a_cause_tells_it_and_chains_it() -> None:
    cause = p2p.errors.FrameError("bad MAC")
    ending = Ending(DiscReason.PROTOCOL_ERROR, False, State.OPEN, cause)
    assert str(ending) == "breach of protocol: bad MAC"
    assert ending.error().__cause__ is cause


def test_every_waiter_gets_an_error_of_its_own() -> None:
    ending = Ending(DiscReason.REQUESTED, False, State.OPEN)
    assert ending.error() is not ending.error()


# a session by itself


class Owner:
    """Accepts everybody, makes no peer, and keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.refusal: DiscReason | None = None

    def identity_known(self, session: Session) -> None:
        self.calls.append("identity")
        if self.refusal is not None:
            session.end_locally(self.refusal)

    def hello_received(self, session: Session) -> None:
        self.calls.append("hello")

    def message_waiting(self, session: Session) -> None:
        self.calls.append("message")

    def session_opened(self, session: Session) -> Any:
        raise AssertionError("no session gets so far here")

    def session_closing(self, session: Session) -> None:
        self.calls.append("closing")

    def socket_closed(self, session: Session) -> None:
        self.calls.append("socket closed")

    def session_ended(self, session: Session) -> None:
        self.calls.append("ended")


class Bench:
    """A loop with one inbound session, whose remote end is a :class:`Remote`."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.loop = Loop("p2p-io", self.clock)
        self.owner = Owner()
        key = p2p.generate_key()
        hello = Hello(5, "bench", [TEST], 0, key.public_key.to_bytes())
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.remote = Remote(socket.create_connection(listener.getsockname()), key.public_key)
            sock, _ = listener.accept()
        self.loop.start()

        def make() -> Session:
            now = self.loop.now()
            machine = Connection(key, hello, [(TEST, LENGTH)], os.urandom, now)
            return Session(self.loop, sock, machine, self.owner, Totals([TEST]))

        self.session = self.run(make)

    def run(self, fn: Callable[..., T], *args: object) -> T:
        return self.loop.call(fn, *args, timeout_s=PATIENCE_S)

    def await_end(self) -> Ending:
        eventually(lambda: "ended" in self.owner.calls)
        assert self.session.phase is Phase.CLOSED
        assert self.owner.calls[-3:] == ["closing", "socket closed", "ended"]
        assert self.session.ending is not None
        return self.session.ending

    def await_end_after_close(self) -> Ending:
        """The same, when the session waits for the remote to close."""
        self.remote.sock.close()
        return self.await_end()

    def close(self) -> None:
        self.remote.sock.close()
        self.loop.post(self.session.abort)
        self.loop.stop()
        self.loop.join(PATIENCE_S)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_end_of_data_in_the_handshake_ends_the_session(bench: Bench) -> None:
    bench.remote.sock.shutdown(socket.SHUT_WR)
    bench.remote.expect_closed()
    assert bench.await_end() == Ending(DiscReason.NETWORK_ERROR, True, State.AWAIT_AUTH)


def test_reset_in_the_handshake_ends_the_session_with_its_error(bench: Bench) -> None:
    bench.remote.reset()
    ending = bench.await_end()
    assert (ending.reason, ending.by_remote) == (DiscReason.NETWORK_ERROR, True)
    assert isinstance(ending.cause, ConnectionResetError)


def test_silence_ends_the_session_after_five_seconds(bench: Bench) -> None:
    bench.clock.advance(4.9)
    for _ in range(2):  # the first may run before what is due, the second after it
        bench.run(lambda: None)
    assert bench.session.phase is Phase.HANDSHAKE
    bench.clock.advance(0.2)
    bench.remote.expect_closed()
    ending = bench.await_end_after_close()
    assert (ending.reason, ending.state) == (DiscReason.READ_TIMEOUT, State.AWAIT_AUTH)
    assert isinstance(ending.cause, p2p.errors.RemoteTimeout)


def test_refused_identity_is_told_the_reason(bench: Bench) -> None:
    bench.owner.refusal = DiscReason.TOO_MANY_PEERS
    bench.remote.shake_hands()
    assert bench.remote.disconnect_reason() is DiscReason.TOO_MANY_PEERS
    ending = bench.await_end_after_close()
    assert ending == Ending(DiscReason.TOO_MANY_PEERS, False, State.IDENTIFIED)
    assert "hello" not in bench.owner.calls


def test_first_ending_counts(bench: Bench) -> None:
    def end_twice() -> None:
        bench.session.end_locally(DiscReason.USELESS_PEER)
        bench.session.end_locally(DiscReason.QUITTING)
        bench.session.abort()

    bench.run(end_twice)
    assert bench.await_end().reason is DiscReason.USELESS_PEER
    assert bench.owner.calls.count("closing") == 1


def test_closed_session_that_the_remote_keeps_open_ends_after_the_linger(bench: Bench) -> None:
    bench.run(bench.session.end_locally, DiscReason.QUITTING)
    bench.remote.expect_closed()
    assert bench.session.phase is Phase.CLOSING
    bench.clock.advance(1.0)
    bench.await_end()


def test_hurried_session_lingers_only_as_long_as_it_was_told(bench: Bench) -> None:
    def stop() -> None:
        bench.session.hurry(0.25)
        bench.session.end_locally(DiscReason.QUITTING)

    bench.run(stop)
    bench.remote.expect_closed()
    bench.clock.advance(0.3)
    bench.await_end()


def test_error_of_a_session_that_has_ended_holds_no_frames(bench: Bench) -> None:
    bench.remote.send_raw(bytes(500))
    bench.remote.expect_closed()
    ending = bench.await_end_after_close()
    error: BaseException | None = ending.cause
    assert isinstance(error, p2p.errors.HandshakeError)
    while error is not None:
        assert error.__traceback__ is None
        error = error.__cause__ or error.__context__


def test_abort_closes_at_once(bench: Bench) -> None:
    bench.run(bench.session.abort)
    bench.await_end()
    assert bench.owner.calls == ["closing", "socket closed", "ended"]


def test_crash_wakes_writers_with_the_cause(bench: Bench) -> None:
    fault = RuntimeError("injected")
    bench.run(bench.session.crash, fault)
    with pytest.raises(LoopCrashed) as raised:
        bench.session.outbox.put((0, b""))
    assert raised.value.__cause__ is fault
    eventually(lambda: "ended" in bench.owner.calls)


# messages of an open session, on a server


def open_session(victim: Target) -> Session:
    (session,) = (s for s in inspect.sessions(victim.server) if s.phase is Phase.OPEN)
    return session


class Hand:
    """A handler that stands still while the test uses its read-writer."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._over = threading.Event()

    def run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        self.peer, self._rw = peer, rw
        self._ready.set()
        self._over.wait()

    @property
    def rw(self) -> p2p.MsgReadWriter:
        assert self._ready.wait(PATIENCE_S)
        return self._rw

    def let_go(self) -> None:
        self._over.set()


@pytest.fixture
def hand() -> Iterator[Hand]:
    made = Hand()
    yield made
    made.let_go()


@pytest.mark.parametrize(
    "sizes",
    [
        [BATCH_BYTES, 10, 10],
        [BATCH_BYTES + 1, 0, BATCH_BYTES + 1, 0],
        [LIMIT_BYTES, LIMIT_BYTES, 1],
        [BATCH_BYTES - 1000, 2000, 1],
        [5_000_000, 1, 5_000_000],
    ],
    ids=str,
)
def test_message_after_one_larger_than_a_batch_is_sent(hand: Hand, sizes: list[int]) -> None:
    """Each write must reach the loop, whatever the batches before it were."""
    with target(hand.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        for size in sizes:
            hand.rw.write_msg(p2p.Msg(1, bytes(size)))
            assert remote.next_message() == (1, bytes(size))
        hand.let_go()


def test_messages_leave_in_the_order_of_the_writes(hand: Hand) -> None:
    sizes = [0, 300_000, 1, 70_000, 5, 262_144, 17, 262_016, 3, 1_048_576, 0]
    with target(hand.run) as victim, victim.attack() as remote:
        remote.open()
        messages = [(n % LENGTH, os.urandom(size)) for n, size in enumerate(sizes * 3)]

        def write() -> None:
            for code, payload in messages:
                hand.rw.write_msg(p2p.Msg(code, payload))

        writer = threading.Thread(target=write)
        writer.start()
        assert [remote.next_message() for _ in messages] == messages
        writer.join(PATIENCE_S)
        hand.let_go()


def test_everything_written_before_the_handler_returns_arrives_before_disconnect() -> None:
    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        for number in range(500):
            p2p.send(rw, 0, number)

    with target(run) as victim, victim.attack() as remote:
        remote.open()
        assert remote.disconnect_reason() is DiscReason.QUITTING
        assert [payload for _, payload in remote.messages] == [
            encode(number) for number in range(500)
        ]


def test_second_handler_that_leaves_does_not_cut_the_flush_short(hand: Hand) -> None:
    """The first reason ends the connection; what was written before it is still sent."""
    other = Inbox()
    protocols = [
        p2p.Protocol("test", 1, LENGTH, hand.run),
        p2p.Protocol("zest", 1, LENGTH, other.run),
    ]
    with target(protocols=protocols) as victim:
        caps = [TEST, p2p.Cap("zest", 1)]
        with victim.attack(version=4, caps=caps) as remote:
            remote.open()
            rw, count = hand.rw, 0

            def write() -> None:
                nonlocal count
                try:
                    while True:
                        rw.write_msg(p2p.Msg(0, count.to_bytes(8, "big") + bytes(50_000)))
                        count += 1
                except PeerDisconnected:
                    pass

            writer = threading.Thread(target=write)
            writer.start()
            await_stuck(victim)
            hand.peer.disconnect(DiscReason.USELESS_PEER)
            assert other.ending().reason is DiscReason.USELESS_PEER
            writer.join(PATIENCE_S)
            hand.let_go()
            for number in range(count):
                assert remote.next_message()[1][:8] == number.to_bytes(8, "big")
            assert remote.disconnect_reason() is DiscReason.USELESS_PEER


def test_write_that_has_to_wait_always_has_a_timer(hand: Hand) -> None:
    """Between two batches of a flush nothing is due; the batch that sticks needs a time limit."""
    with target(hand.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        rw = hand.rw
        session = open_session(victim)

        def between_two_batches() -> None:
            session.phase = Phase.FLUSHING
            session._write_deadline = None
            session._on_timer()
            session.phase = Phase.OPEN

        session.loop.call(between_two_batches)
        assert session._timer is None

        def write() -> None:
            try:
                while True:
                    rw.write_msg(p2p.Msg(0, bytes(100_000)))
            except PeerDisconnected:
                pass

        writer = threading.Thread(target=write)
        writer.start()
        await_stuck(victim)
        assert session.loop.call(lambda: session._timer) is not None
        remote.reset()
        writer.join(PATIENCE_S)
        hand.let_go()


def test_peer_that_the_program_keeps_holds_no_buffers_of_its_connection(hand: Hand) -> None:
    with target(hand.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        rw, session = hand.rw, open_session(victim)
        assert session.machine._reader is not None and session.machine._writer is not None
        left = [weakref.ref(session.machine._reader), weakref.ref(session.machine._writer)]
        frame = remote.frame(16, bytes(100_000))
        remote.send_raw(frame[:50_000])
        rw.write_msg(p2p.Msg(0, b""))
        remote.next_message()
        remote.reset()
        eventually(lambda: session.phase is Phase.CLOSED)
        inspect.settle(victim.server)
        assert [ref() for ref in left] == [None, None]
        assert not session.machine.has_data_to_send and not session._next_batch
        hand.let_go()


def test_peer_that_the_program_keeps_holds_nothing_of_a_flush_that_was_cut_short(
    hand: Hand,
) -> None:
    with target(hand.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        rw, session = hand.rw, open_session(victim)

        def write() -> None:
            with pytest.raises(PeerDisconnected):
                while True:
                    rw.write_msg(p2p.Msg(0, bytes(100_000)))

        writer = threading.Thread(target=write)
        writer.start()
        await_stuck(victim)
        hand.peer.disconnect()
        writer.join(PATIENCE_S)
        session.loop.call(int)  # it has heard of the disconnect, too
        assert session.phase is Phase.FLUSHING and not session.outbox.is_empty
        remote.reset()
        eventually(lambda: session.phase is Phase.CLOSED)
        assert session.outbox.is_empty
        hand.let_go()


def test_stop_with_little_time_gives_what_is_written_as_little(hand: Hand) -> None:
    with target(hand.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        rw = hand.rw

        def write() -> None:
            try:
                while True:
                    rw.write_msg(p2p.Msg(0, bytes(100_000)))
            except PeerDisconnected:
                hand.let_go()

        writer = threading.Thread(target=write)
        writer.start()
        session = await_stuck(victim)
        peer_set = inspect.peer_set(victim.server)
        closed = threading.Event()
        inspect.on_io(victim.server, peer_set.stop, 0.25, closed.set)
        victim.clock.advance(0.2)
        for _ in range(2):  # the first may run before what is due, the second after it
            inspect.settle(victim.server)
        assert session.phase is Phase.FLUSHING
        victim.clock.advance(0.1)
        assert closed.wait(PATIENCE_S)
        writer.join(PATIENCE_S)


def test_write_that_times_out_names_the_time_it_had(bench: Bench) -> None:
    def late() -> None:
        bench.session.hurry(0.25)
        bench.session._write_timed_out()

    bench.run(late)
    assert "has not read for 0.25 s" in str(bench.await_end())
