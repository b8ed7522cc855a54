"""A peer that never reads, and a handler that never reads: one must not harm the others."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
import time
from collections.abc import Sized
from contextlib import suppress
from functools import partial

import pytest

import p2p
import p2p.testing
from p2p import DiscReason
from p2p.mailbox import LIMIT_BYTES
from p2p.peers.phase import Phase
from p2p.peers.session import Session
from p2p.rlpx.messages import DISCONNECT
from p2p.usercode import where_is
from tests.kit import inspect
from tests.kit.remote import FIRST_CODE, Remote, connect
from tests.kit.target import Inbox, Target, await_stuck, sessions, talk, target
from tests.kit.waiting import PATIENCE_S, eventually

WRITE_TIMEOUT_S = 20.0
#: So long that a busy machine is not taken for a stop that waits in vain.
STOP_TIMEOUT_S = 20.0
#: Small enough for the kernel to be full soon.
RECEIVE_BUFFER = 32 * 1024


class Writer:
    """A handler that writes until it cannot."""

    def __init__(self, size: int = 16 * 1024) -> None:
        self.payload = bytes(size)
        self.written = 0
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        try:
            while True:
                rw.write_msg(p2p.Msg(0, self.payload))
                self.written += 1
        except p2p.P2PError as error:
            self.error = error
            raise
        finally:
            self.ended.set()


def deaf(victim: Target) -> Remote:
    """A peer that will not read."""
    sock = connect(victim.server, RECEIVE_BUFFER)
    return Remote(sock, victim.key, version=4).open()  # so that zeros fill the kernel, too


# the remote does not read


def test_write_blocks_when_a_bounded_amount_waits_and_others_go_on() -> None:
    writer = Writer()
    with target(writer.run) as victim, talk(victim) as honest, deaf(victim) as remote:
        session = await_stuck(victim)
        waiting = session.outbox._size + session.channel.unsent_bytes
        assert waiting < 2 * LIMIT_BYTES
        assert not writer.ended.is_set()
        honest.exchange()
        remote.reset()
        assert writer.ended.wait(PATIENCE_S)


def test_peer_that_does_not_read_for_20_s_is_dropped_with_network_error() -> None:
    writer = Writer()
    with target(writer.run) as victim, talk(victim) as honest, deaf(victim) as remote:
        await_stuck(victim)
        with victim.server.subscribe_events() as events:
            victim.clock.advance(WRITE_TIMEOUT_S - 1)
            honest.exchange()
            assert not writer.ended.is_set()
            victim.clock.advance(1.0)
            assert writer.ended.wait(PATIENCE_S)
            dropped = events.get(PATIENCE_S)
        assert isinstance(writer.error, p2p.PeerDisconnected)
        assert (writer.error.reason, writer.error.by_remote) == (DiscReason.NETWORK_ERROR, False)
        assert isinstance(writer.error.__cause__, TimeoutError)
        assert (dropped.type, dropped.peer) == ("drop", remote.node.id)
        assert "has not read for 20 s" in dropped.error
        victim.await_quiet(peers=1)


def test_peer_that_reads_slowly_but_reads_is_kept() -> None:
    writer = Writer()
    with target(writer.run) as victim, deaf(victim) as remote:
        for _ in range(3):
            session = await_stuck(victim)
            deadline = session.loop.call(getattr, session, "_write_deadline")
            assert deadline is not None
            victim.clock.advance(WRITE_TIMEOUT_S - 8)
            while session._write_deadline == deadline:  # until another batch has its turn
                remote.receive()
            remote.send_payloads((0, b"a sign of life"))
        assert not writer.ended.is_set()
        remote.reset()
        assert writer.ended.wait(PATIENCE_S)


def test_every_thread_that_waits_in_write_wakes_when_the_peer_is_dropped() -> None:
    errors: list[BaseException] = []

    def write(rw: p2p.MsgReadWriter) -> None:
        try:
            while True:
                rw.write_msg(p2p.Msg(0, bytes(100_000)))
        except p2p.PeerDisconnected as error:
            errors.append(error)

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        threads = [threading.Thread(target=write, args=(rw,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with target(run) as victim, deaf(victim):
        session = await_stuck(victim)
        eventually(lambda: len(session.outbox._writers) == 4)
        victim.clock.advance(WRITE_TIMEOUT_S)
        victim.await_quiet()
        assert len(errors) == 4
        assert len({id(error) for error in errors}) == 4


def test_stop_ends_in_time_while_a_peer_does_not_read() -> None:
    writer = Writer()
    with target(writer.run, clock=p2p.testing.SystemClock()) as victim, deaf(victim):
        await_stuck(victim)
        assert_stops_in_time(victim)
    assert isinstance(writer.error, p2p.PeerDisconnected)
    assert writer.error.reason is DiscReason.QUITTING


def assert_stops_in_time(victim: Target) -> None:
    """What waits to be sent has a second; half of all the time is what the stop would wait for it
    if that were not given up (p2p.parts)."""
    begun = time.monotonic()
    assert victim.server.stop(timeout=STOP_TIMEOUT_S) == []
    assert time.monotonic() - begun < STOP_TIMEOUT_S / 2


def flush(victim: Target) -> None:
    """Disconnect the peer that does not read, so that its messages wait to be flushed."""
    session = await_stuck(victim)
    assert session.peer is not None
    session.peer.disconnect(DiscReason.USELESS_PEER)
    eventually(lambda: session.phase is Phase.FLUSHING)


def test_flush_to_a_peer_that_does_not_read_is_given_up_after_20_s() -> None:
    writer = Writer()
    with target(writer.run) as victim, talk(victim) as honest, deaf(victim):
        flush(victim)
        assert writer.ended.wait(PATIENCE_S)
        victim.clock.advance(WRITE_TIMEOUT_S)
        victim.await_quiet(peers=1)
        honest.exchange()


def test_all_that_was_accepted_is_flushed_before_the_reason() -> None:
    writer = Writer()
    with target(writer.run) as victim, deaf(victim) as remote:
        flush(victim)
        assert writer.ended.wait(PATIENCE_S)
        for _ in range(writer.written):
            assert remote.next_message() == (0, writer.payload)
        assert remote.disconnect_reason() is DiscReason.USELESS_PEER
        assert not remote.messages


def test_reset_while_we_flush_ends_the_flush() -> None:
    writer = Writer()
    with target(writer.run) as victim, deaf(victim) as remote:
        flush(victim)
        remote.reset()
        victim.await_quiet()


def test_disconnect_by_the_remote_while_we_flush_ends_the_flush() -> None:
    writer = Writer()
    with target(writer.run) as victim, deaf(victim) as remote:
        flush(victim)
        remote.say_disconnect(b"\xc1\x04")
        remote.sock.close()
        victim.await_quiet()


def test_stop_ends_in_time_while_we_flush() -> None:
    writer = Writer()
    with target(writer.run, clock=p2p.testing.SystemClock()) as victim, deaf(victim):
        flush(victim)
        assert_stops_in_time(victim)


# our handler does not read


class Sleeper:
    """A handler that reads nothing until it is told to."""

    def __init__(self) -> None:
        self.awake = threading.Event()
        self.inbox = Inbox()

    def run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        self.inbox.peers.put(peer)
        self.awake.wait()  # here it sleeps
        self.inbox.run(peer, rw)

    @property
    def place(self) -> str:
        """Where it sleeps."""
        return f"{__file__}:{Sleeper.run.__code__.co_firstlineno + 2} in run"


def flood(remote: Remote, count: int = 4000, size: int = 4096) -> threading.Thread:
    """Send numbered messages from a thread of its own, for it will block."""

    def send() -> None:
        for number in range(count):
            payload = number.to_bytes(4, "big") + bytes(size - 4)
            frame = remote.frame(FIRST_CODE, payload)  # version 4: nothing is compressed
            try:
                remote.send_raw(frame)
            except OSError:
                return

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def reset_flood(remote: Remote, sender: threading.Thread) -> None:
    """Reset the connection, though the sender may stand in a write: while it does, the kernel
    closes nothing."""
    with suppress(OSError):  # it is over already
        remote.sock.shutdown(socket.SHUT_RDWR)
    sender.join(PATIENCE_S)
    remote.reset()


def bound_kernel(victim: Target) -> None:
    """Have the kernel keep little of what the server does not read, and not as much as it likes."""
    sock = inspect.listener(victim.server)._sock
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)  # of those it accepts


def await_held(victim: Target) -> Session:
    """Wait until a session has stopped reading, and watches its handlers (asked on the loop)."""
    loop = inspect.loop(victim.server)
    eventually(lambda: loop.call(lambda: any(s._held for s in sessions(victim))))
    return sessions(victim)[0]


def await_released(session: Session) -> None:
    """Wait until the session reads again, after all that was sent has been read.

    Asked on the loop: it may be between the offer that fills the inbox and the hold.
    """
    eventually(lambda: session.loop.call(lambda: not session._held))


def test_handler_that_does_not_read_stops_the_reading_and_loses_nothing() -> None:
    sleeper, count = Sleeper(), 4000
    with target(sleeper.run) as victim, talk(victim) as honest:
        bound_kernel(victim)
        with victim.attack(version=4) as remote:
            remote.open()
            sender = flood(remote, count)
            session = await_held(victim)
            honest.exchange()
            assert sender.is_alive()  # most of it has no room anywhere
            assert session.peer is not None
            held = session.peer._running[0]._inbox._size
            assert held < 2 * LIMIT_BYTES
            sleeper.awake.set()
            for number in range(count):
                assert sleeper.inbox.message().payload[:4] == number.to_bytes(4, "big")
            sender.join(PATIENCE_S)
            assert not sender.is_alive()
        sleeper.inbox.ending()
        victim.await_quiet(peers=1)


def test_pings_go_on_and_the_peer_is_kept_while_the_handler_does_not_read() -> None:
    sleeper = Sleeper()
    with target(sleeper.run) as victim, talk(victim) as honest:
        with victim.attack(version=4) as remote:
            remote.open()
            sender = flood(remote)
            await_held(victim)
            # A minute of it: twice the read time-out.
            for _ in range(4):
                victim.clock.advance(15.0)
                remote.receive()  # a ping
                honest.exchange()
            assert victim.server.peer_count == 2
            reset_flood(remote, sender)
            sleeper.awake.set()
        sleeper.inbox.ending()


def test_silence_counts_from_the_moment_of_reading_again() -> None:
    """No read time-out while held, nor right after; 30 s later there is one."""
    sleeper = Sleeper()
    with target(sleeper.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        sender = flood(remote, 600)
        session = await_held(victim)
        victim.clock.advance(25.0)
        victim.clock.advance(25.0)
        sleeper.awake.set()
        for _ in range(600):
            sleeper.inbox.message()
        sender.join(PATIENCE_S)
        await_released(session)
        victim.clock.advance(29.0)
        honest_pass(victim)
        assert session.phase is Phase.OPEN
        victim.clock.advance(1.0)
        ending = sleeper.inbox.ending()
        assert ending.reason is DiscReason.READ_TIMEOUT
        assert isinstance(ending.__cause__, p2p.errors.RemoteTimeout)


def test_stalled_handler_is_logged_once_with_its_place() -> None:
    sleeper = Sleeper()
    with target(sleeper.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        sender = flood(remote)
        session = await_held(victim)
        assert session.peer is not None
        (rw,) = session.peer._running
        eventually(lambda: where_is(rw._thread) == sleeper.place)
        victim.clock.advance(9.9)
        honest_pass(victim)
        assert _stalls(victim) == []
        for _ in range(5):
            victim.clock.advance(10.0)
            honest_pass(victim)
        (record,) = _stalls(victim)
        assert record.levelno == logging.WARNING
        message = record.getMessage()
        assert sleeper.place in message
        assert remote.node.id.short in message and "test/1" in message
        reset_flood(remote, sender)
        sleeper.awake.set()
        sleeper.inbox.ending()


def test_handler_that_reads_in_time_is_not_logged() -> None:
    sleeper = Sleeper()
    with target(sleeper.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        sender = flood(remote, 600)
        session = await_held(victim)
        victim.clock.advance(9.0)
        sleeper.awake.set()
        for _ in range(600):
            sleeper.inbox.message()
        sender.join(PATIENCE_S)
        await_released(session)
        victim.clock.advance(5.0)
        honest_pass(victim)
        assert _stalls(victim) == []
        remote.reset()
        sleeper.inbox.ending()


class Stepper:
    """A handler that reads as many messages as it is told to."""

    def __init__(self) -> None:
        self.steps = threading.Semaphore(0)
        self.inbox = Inbox()

    def run(self, peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        self.inbox.peers.put(peer)
        try:
            while True:
                self.steps.acquire(timeout=PATIENCE_S)
                self.inbox.messages.put(rw.read_msg())
        except p2p.P2PError as error:
            self.inbox.endings.put(error)


def test_handler_that_reads_slowly_is_reported_only_once_it_has_stopped_for_10_s() -> None:
    stepper = Stepper()
    with target(stepper.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        sender = flood(remote)
        session = await_held(victim)
        for _ in range(5):
            stepper.steps.release()
            stepper.inbox.message()
            victim.clock.advance(10.0)
            honest_pass(victim)
            assert session._held and _stalls(victim) == []
        victim.clock.advance(10.0)
        honest_pass(victim)
        assert len(_stalls(victim)) == 1
        reset_flood(remote, sender)
        stepper.steps.release(5000)
        stepper.inbox.ending()


def test_handler_of_a_connection_that_has_ended_is_not_reported() -> None:
    sleeper = Sleeper()
    with target(sleeper.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        sender = flood(remote)
        session = await_held(victim)
        sleeper.inbox.peer().disconnect()
        inspect.settle(victim.server)
        assert session.phase is not Phase.OPEN
        victim.clock.advance(10.0)
        honest_pass(victim)
        assert _stalls(victim) == []
        sleeper.awake.set()
        reset_flood(remote, sender)


@pytest.mark.parametrize("found_by", ["reset", "ping", "write"])
def test_messages_and_reason_of_a_peer_that_has_gone_are_read_although_the_inbox_was_full(
    found_by: str,
) -> None:
    """What lies in the kernel when the connection dies is still delivered, and in order."""
    sleeper = Sleeper()
    with target(sleeper.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        peer = sleeper.inbox.peer()
        sent = fill_inbox(victim, remote)
        (session,) = sessions(victim)
        with victim.server.subscribe_events() as events:
            if found_by == "reset":
                remote.reset()
            else:
                remote.sock.close()  # the reset is then the answer to whatever we send
            if found_by == "ping":
                victim.clock.advance(15.0)
            elif found_by == "write":
                write_until_it_fails(peer)
            eventually(lambda: session.outbox.is_closed)
            sleeper.awake.set()
            for number in range(sent):
                assert sleeper.inbox.message().payload[:4] == number.to_bytes(4, "big")
            ending = sleeper.inbox.ending()
            assert (ending.reason, ending.by_remote) == (DiscReason.TOO_MANY_PEERS, True)
            assert events.get(PATIENCE_S).type == "drop"


def fill_inbox(victim: Target, remote: Remote) -> int:
    """Send messages until no more are read, and some that the kernel keeps, and a Disconnect.

    Returns how many messages.
    """
    (session,) = sessions(victim)
    assert session.peer is not None
    inbox = session.peer._running[0]._inbox
    frames = (
        remote.frame(FIRST_CODE, number.to_bytes(4, "big") + bytes(16 * 1024))
        for number in itertools.count()
    )
    while not session._held:
        before = len(inbox._items)
        remote.send_raw(next(frames))
        eventually(partial(_has_grown, inbox._items, before))
        session.loop.call(int)
    sent = len(inbox._items)
    rest = [next(frames), next(frames), remote.frame(DISCONNECT, b"\x04")]
    remote.send_raw(b"".join(rest))
    size, sock = sum(map(len, rest)), session.channel._sock
    eventually(lambda: len(sock.recv(2 * size, socket.MSG_PEEK)) == size)
    return sent + 2


def _has_grown(items: Sized, size: int) -> bool:
    return len(items) > size


def write_until_it_fails(peer: p2p.Peer) -> None:
    """A writer learns that the connection is dead before a reader has come to its end."""
    with pytest.raises(p2p.PeerDisconnected) as raised:
        while True:
            peer._running[0].write_msg(p2p.Msg(0, bytes(1024)))
    assert raised.value.reason is DiscReason.NETWORK_ERROR


def test_disconnect_by_us_reaches_a_peer_whose_messages_are_not_read() -> None:
    """While we flush, what the remote sends is read and dropped, or it would not read either."""
    sleeper = Sleeper()
    with target(sleeper.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        sender = flood(remote, 2000)
        await_held(victim)
        sleeper.inbox.peer().disconnect(DiscReason.USELESS_PEER)
        sender.join(PATIENCE_S)
        assert remote.disconnect_reason() is DiscReason.USELESS_PEER
        sleeper.awake.set()
        assert sleeper.inbox.ending().reason is DiscReason.USELESS_PEER


@pytest.mark.parametrize("end", ["returns", "raises"])
def test_handler_that_ends_with_a_full_inbox_leaves_nothing(end: str) -> None:
    go = threading.Event()

    def run(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
        go.wait()
        if end == "raises":
            raise p2p.Disconnect(DiscReason.TOO_MANY_PEERS)

    with target(run) as victim, victim.attack(version=4) as remote:
        remote.open()
        sender = flood(remote, 2000)
        await_held(victim)
        go.set()
        sender.join(PATIENCE_S)
        expected = DiscReason.QUITTING if end == "returns" else DiscReason.TOO_MANY_PEERS
        assert remote.disconnect_reason() is expected
        remote.sock.close()
        victim.await_quiet()


def test_small_messages_are_bounded_by_their_memory_not_their_bytes() -> None:
    """Empty messages cost memory, too."""
    sleeper = Sleeper()
    with target(sleeper.run) as victim, victim.attack(version=4) as remote:
        remote.open()
        stop = threading.Event()

        def send() -> None:
            while not stop.is_set():
                remote.machine.send_messages([(FIRST_CODE, b"")] * 500)
                try:
                    remote.flush()
                except OSError:
                    return

        sender = threading.Thread(target=send)
        sender.start()
        session = await_held(victim)
        assert session.peer is not None
        # One read may add up to 256 KiB of frames of 64 bytes.
        assert len(session.peer._running[0]._inbox._items) < 2 * LIMIT_BYTES / 128
        stop.set()
        remote.sock.shutdown(socket.SHUT_RDWR)
        sender.join(PATIENCE_S)
        sleeper.awake.set()
        sleeper.inbox.ending()


def honest_pass(victim: Target) -> None:
    """Return when the loop has run what is due."""
    for _ in range(3):
        inspect.settle(victim.server)


def _stalls(victim: Target) -> list[logging.LogRecord]:
    return [r for r in list(victim.log.records) if "has not read for" in r.getMessage()]

