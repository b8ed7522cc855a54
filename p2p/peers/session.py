"""A session: one TCP connection from its first byte to its last.

A session connects the machine (:mod:`p2p.rlpx`) with a channel (:mod:`p2p.net`). It reports the
machine's two pauses to its owner, which ends them at once or later, and, once there is a peer, it
moves messages between the machine and the mailboxes. It owns the end of the connection and all time
limits of writing; its phases are in :mod:`p2p.peers.phase`. Everything here runs on ``p2p-io``,
except for the methods under "any thread".
"""

from __future__ import annotations

from collections.abc import Iterable

from p2p.enode import Node
from p2p.errors import DiscReason, LoopCrashed
from p2p.mailbox import Mailbox
from p2p.net import Channel, Loop, StreamSocket, Timer
from p2p.peers.owner import SessionOwner
from p2p.peers.peer import Peer
from p2p.peers.phase import TRANSITIONS, Ending, Phase
from p2p.peers.stalls import STALL_REPORT_S, StallWatch
from p2p.peers.traffic import Totals, Traffic
from p2p.rlpx import (
    Connection,
    ConnectionFailed,
    DisconnectReceived,
    Event,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
    MessageWaiting,
    State,
)

#: Longest time for a batch given to the channel to get into the kernel.
FRAME_WRITE_TIMEOUT_S = 20.0
#: Longest time for the final flush, and for data that the remote still sends (rlpx.md asks to wait
#: after a Disconnect).
LINGER_S = 1.0
#: The same for a connection that never became a peer, so that its socket is closed within 6 s.
FAILED_LINGER_S = 0.5
#: Bytes of messages framed at once: enough to save system calls, and few enough for other
#: connections to have their turn.
BATCH_BYTES = 256 * 1024


class Session:
    """One connection. ``dest`` is the dialed node; None for an accepted connection."""

    def __init__(
        self,
        loop: Loop,
        sock: StreamSocket,
        machine: Connection,
        owner: SessionOwner,
        totals: Totals,
        *,
        dest: Node | None = None,
        static: bool = False,
    ) -> None:
        # fixed after __init__
        self.loop = loop
        self.machine = machine
        self.dest = dest
        self.static = static
        self.inbound = dest is None
        self._owner = owner
        self.outbox = Mailbox(on_items=self._post_pump)
        self.traffic = Traffic(totals)
        # owned by p2p-io
        self.phase = Phase.HANDSHAKE
        self.node = dest  # known from the auth on for an inbound connection
        self.peer: Peer | None = None
        self.ending: Ending | None = None
        self.linger_s = LINGER_S
        self._write_timeout_s = FRAME_WRITE_TIMEOUT_S
        self._workers = 0
        self._reading_paused = False  # in the handshake
        self._held = False
        self._next_batch: list[bytes] = []  # framed, to be sent when the channel is free
        self._write_deadline: float | None = None
        self._timer: Timer | None = None
        self._stall_timer: Timer | None = None
        self._stalls: StallWatch  # while reading is held
        self.channel = Channel(loop, sock, self)
        if machine.has_data_to_send:
            self._pump()
        self._arm_timer()

    # any thread

    def disconnect(self, reason: DiscReason) -> None:
        """End the session for a local reason, after sending the messages written so far."""
        self._refuse_messages(reason)
        self.loop.post(self.end_locally, reason)

    def _refuse_messages(self, reason: DiscReason, detail: str = "") -> None:
        ending = Ending(reason, False, State.OPEN, detail=detail)
        self.outbox.close(ending.error, discard=False)

    def worker_ended(self, reason: DiscReason, detail: str = "") -> None:
        """Note that a handler of the peer has returned; end the session, unless it has ended."""
        if not self.outbox.is_closed:
            self._refuse_messages(reason, detail)
        self.loop.post(self._worker_ended, reason, detail)

    def resume(self) -> None:
        """Note that an inbox that was full has room again."""
        self.loop.post(self._resume)

    def _post_pump(self) -> None:
        self.loop.post(self._pump)

    # calls of the channel

    def data_received(self, data: memoryview) -> None:
        self.traffic.received(len(data))
        if self.phase is Phase.OPEN or self.phase is Phase.HANDSHAKE:
            self._handle(self.machine.receive_data(data, self.loop.now()))

    def eof_received(self) -> None:
        self._end(Ending(DiscReason.NETWORK_ERROR, True, self.machine.last_state))

    def send_buffer_empty(self) -> None:
        self._write_deadline = None
        self._pump()

    def sending_failed(self, error: OSError) -> None:
        """Let writes fail: the remote is gone, but its last messages may not have been read."""
        self._write_deadline = None
        ending = Ending(DiscReason.NETWORK_ERROR, True, self.machine.last_state, error)
        self.outbox.close(ending.error, discard=True)

    def connection_lost(self, error: OSError | None) -> None:
        if self.ending is None:
            self.linger_s = 0.0  # the remote is gone
            self._end(Ending(DiscReason.NETWORK_ERROR, True, self.machine.last_state, error))
        if self.ending is not None:  # always, except in a crash
            self.outbox.close(self.ending.error, discard=True)  # discards the rest of a flush
        if self.phase is not Phase.CLOSED:  # a crash has closed it already
            self._enter(Phase.CLOSED)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # The peer refers to this session, and the program may keep the peer for long.
        self.machine.drop_buffers()
        self._next_batch = []
        self._owner.socket_closed(self)
        self._check_ended()

    # reading

    def _handle(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, MessagesReceived):
                assert self.peer is not None
                size = self.traffic.count_in(event)
                if not self.peer._running[event.capability]._inbox.offer(event.messages, size):
                    self._hold()
            elif isinstance(event, IdentityKnown):
                self._owner.identity_known(self)
            elif isinstance(event, HelloReceived):
                self._owner.hello_received(self)
            elif isinstance(event, MessageWaiting):
                self._owner.message_waiting(self)
            elif isinstance(event, DisconnectReceived):
                self._end(Ending(event.reason, True, self.machine.last_state))
            elif isinstance(event, ConnectionFailed):
                reason, state = event.error.disc_reason, self.machine.last_state
                self._end(Ending(reason, False, state, event.error))
        if self.machine.has_data_to_send:
            self._pump()

    def hold_handshake(self) -> None:
        """Stay at the pause of the handshake until :meth:`go_on` is called."""
        if self.machine.state is State.GREETED:
            self._handle(self.machine.read_ahead(self.loop.now()))
        else:  # data of an unproven remote stays in the kernel meanwhile
            self._reading_paused = True
            self.channel.pause_reading()

    def go_on(self) -> None:
        """Leave the pause of the handshake."""
        if self.machine.state is State.GREETED:
            self._open()
            return
        if self._reading_paused:
            self._reading_paused = False
            self.channel.resume_reading()
        self._handle(self.machine.accept_identity(self.loop.now()))

    def _open(self) -> None:
        self._enter(Phase.OPEN)
        # The machine first: it decides whether messages are compressed.
        events = self.machine.accept_hello(self.loop.now())
        self.traffic.open(self.machine.shared)
        self.peer = self._owner.session_opened(self)
        self._workers = self.peer._handler_count
        self._handle(events)

    @property
    def has_handlers(self) -> bool:
        """Whether handlers of its peer are running or have not begun."""
        return self._workers > 0

    def drop_handlers(self) -> None:
        """Count the peer's handlers as returned: they will not run."""
        self._workers = 0

    def _hold(self) -> None:
        """Stop reading until a slow handler has caught up."""
        if self._held:
            return
        self._held = True
        self.channel.pause_reading()
        self.machine.hold_reading()
        assert self.peer is not None
        self._stalls = StallWatch(self.peer)
        self._stall_timer = self.loop.call_later(STALL_REPORT_S, self._look_again)

    def _resume(self) -> None:
        if not self._held or self.peer is None or self.phase is not Phase.OPEN:
            return
        if any(rw._inbox.is_full for rw in self.peer._running):
            return
        self._held = False
        self._stop_watching()
        self.machine.release_reading(self.loop.now())
        self.channel.resume_reading()

    def _look_again(self) -> None:
        """Report handlers that do not read; resume reading if one made room without a report."""
        self._resume()
        if self._held:
            self._stalls.report()
            self._stall_timer = self.loop.call_later(STALL_REPORT_S, self._look_again)

    def _stop_watching(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    # writing

    def _pump(self) -> None:
        """Give the channel the next batch, unless it is still busy with the last one."""
        phase = self.phase
        if phase in (Phase.CLOSING, Phase.CLOSED):
            return
        if self.channel.unsent_bytes > 0:
            # One batch ahead, so that there is no gap when the kernel takes the last one.
            self._next_batch = self._next_batch or self._frame_batch()
            return
        buffers, self._next_batch = self._next_batch or self._frame_batch(), []
        if buffers:
            self._send(buffers)
        if self.channel.unsent_bytes > 0:
            self._write_deadline = self.loop.now() + self._write_timeout_s
            if self._timer is None:  # not armed between two batches of a flush
                self._arm_timer()
        elif not self.outbox.is_empty or self._next_batch:
            self.loop.post(self._pump)  # other connections first
        elif phase is Phase.FLUSHING:
            self._close()

    def _frame_batch(self) -> list[bytes]:
        """Return the next messages as frames: up to BATCH_BYTES, or a single larger message."""
        if self.phase is not Phase.HANDSHAKE and (messages := self.outbox.take(BATCH_BYTES)):
            self.machine.send_messages(messages)
            self.traffic.count_out(messages)
        return self.machine.data_to_send()

    def _send(self, buffers: list[bytes]) -> None:
        self.traffic.sent(sum(map(len, buffers)))
        self.channel.send(buffers)

    # ending

    def end_locally(self, reason: DiscReason, detail: str = "") -> None:
        """End the session for a local reason; on ``p2p-io``. A flush under way continues."""
        flush = self.phase in (Phase.OPEN, Phase.FLUSHING)
        self._end(Ending(reason, False, self.machine.last_state, detail=detail), flush=flush)

    def hurry(self, linger_s: float) -> None:
        """Limit the rest of sending to ``linger_s`` seconds from now: the server stops.

        The mailboxes are closed, and nothing is sent yet. While handlers compute, each system call
        may cost us the interpreter lock for a while, and they end at their next read.
        """
        if self.phase is Phase.OPEN:
            assert self.peer is not None
            ending = Ending(DiscReason.QUITTING, False, State.OPEN)
            self.outbox.close(ending.error, discard=False)
            for rw in self.peer._running:
                rw._inbox.close(ending.error, discard=True)
        self.linger_s = self._write_timeout_s = linger_s
        self.channel.lift_limits()
        if self.phase is Phase.FLUSHING:
            self._write_deadline = self.loop.now() + linger_s
            self._arm_timer()

    def abort(self) -> None:
        """Close the socket at once."""
        self.linger_s = 0.0
        self._end(Ending(DiscReason.NETWORK_ERROR, False, self.machine.last_state))
        self.channel.abort()

    def crash(self, cause: BaseException | None) -> None:
        """Wake all waiting threads with an error: the loop has died of ``cause``. Last call."""

        def error() -> LoopCrashed:
            crashed = LoopCrashed(f"the I/O thread died: {cause!r}")
            crashed.__cause__ = cause
            return crashed

        try:
            if self.peer is not None and self.ending is None:
                ending = Ending(DiscReason.QUITTING, False, State.OPEN, error())
                self.peer._connection_ended(ending.error)
        finally:  # the clock may be what has failed
            self.outbox.close(error, discard=True)
            for rw in () if self.peer is None else self.peer._running:
                rw._inbox.close(error, discard=True)
            if self.phase is not Phase.CLOSED:
                self._enter(Phase.CLOSED)
            self.channel.abort()

    def _end(self, ending: Ending, flush: bool = False) -> None:
        """Leave HANDSHAKE or OPEN; the first call counts."""
        if self.phase is not Phase.HANDSHAKE and self.phase is not Phase.OPEN:
            if self.phase is Phase.FLUSHING and not flush:
                self._close()  # the remote is gone, so the flush is useless
            return
        self.ending = ending
        _drop_tracebacks(ending.cause)
        self._stop_watching()
        if self.peer is not None:  # before any thread is woken
            self.peer._connection_ended(ending.error)
        ours = not ending.by_remote and ending.cause is None
        self.outbox.close(ending.error, discard=not flush)
        if self.peer is not None:
            for rw in self.peer._running:
                # Messages that the remote sent before it left are still delivered.
                rw._inbox.close(ending.error, discard=ours)
        self._owner.session_closing(self)
        if flush:
            self._flush()
        else:
            self._close()

    def _flush(self) -> None:
        """Send the messages written before, then close."""
        self._enter(Phase.FLUSHING)
        # Keep reading, and discard it: a remote that waits for us to read would not read itself.
        self.channel.resume_reading()
        self._write_deadline = self.loop.now() + self._write_timeout_s
        self._pump()
        if self.phase is Phase.FLUSHING:
            self._arm_timer()

    def _close(self) -> None:
        """Send the final flush, with Disconnect if we end the connection, and close the socket."""
        self._enter(Phase.CLOSING)
        if self.ending is not None and not self.ending.by_remote:
            self.machine.disconnect(self.ending.reason)
        self._send(self._next_batch + self.machine.data_to_send())
        self.channel.close(self.linger_s if self.peer else min(self.linger_s, FAILED_LINGER_S))

    def _enter(self, phase: Phase) -> None:
        if phase not in TRANSITIONS[self.phase]:
            raise AssertionError(f"session goes from {self.phase.value} to {phase.value}")
        self.phase = phase

    def _worker_ended(self, reason: DiscReason, detail: str) -> None:
        if self.ending is None:
            self.end_locally(reason, detail)
        self._workers -= 1
        self._check_ended()

    def _check_ended(self) -> None:
        if self.phase is Phase.CLOSED and self._workers == 0:
            self._owner.session_ended(self)

    # time

    def _arm_timer(self) -> None:
        deadlines = [self._write_deadline]
        if self.phase in (Phase.HANDSHAKE, Phase.OPEN):
            deadlines.append(self.machine.deadline)
        times = [deadline for deadline in deadlines if deadline is not None]
        if self._timer is not None:
            self._timer.cancel()
        # A new deadline is always later than the one the timer is armed for, so reading and writing
        # need not touch the timer.
        self._timer = self.loop.call_at(min(times), self._on_timer) if times else None

    def _on_timer(self) -> None:
        self._timer = None
        now = self.loop.now()
        self._excuse_waits(now)
        if self._write_deadline is not None and now >= self._write_deadline:
            self._write_deadline = None
            self._write_timed_out()
        elif self.phase in (Phase.HANDSHAKE, Phase.OPEN):
            self._handle(self.machine.handle_timeout(now))
        if self.phase in (Phase.HANDSHAKE, Phase.OPEN, Phase.FLUSHING):
            self._arm_timer()

    def _excuse_waits(self, now: float) -> None:
        """Restart the time limits if our own limits on bandwidth have made the connection wait."""
        reading, writing = self.channel.take_read_wait(), self.channel.take_write_wait()
        if writing and self._write_deadline is not None:
            self._write_deadline = now + self._write_timeout_s
        # Our ping waits behind what we write, and the remote may send nothing but its answer.
        if (reading or writing) and self.phase is Phase.OPEN and not self._held:
            self.machine.release_reading(now)

    def _write_timed_out(self) -> None:
        """Close at once: the remote does not read, so a final flush would not reach it either."""
        error = TimeoutError(f"remote has not read for {self._write_timeout_s:g} s")
        self._end(Ending(DiscReason.NETWORK_ERROR, False, self.machine.last_state, error))
        self.channel.abort()


def _drop_tracebacks(error: BaseException | None) -> None:
    """Drop the frames in which an error was raised: their variables hold received data."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
