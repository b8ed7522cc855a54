"""A session: one TCP connection from its first byte to its last.

A session ties the connection machine (:mod:`p2p.rlpx`) to a channel (:mod:`p2p.net`), asks its
owner at the machine's two pauses, and, once there is a peer, moves messages between the machine and
the mailboxes. It owns how a connection ends and all time limits of writing. Everything here runs on
``p2p-io``, but for what stands under "any thread".

::

    phase       leaves by                                            for
    HANDSHAKE   both hellos accepted                                 OPEN
    OPEN        disconnect(): what was written goes out first        FLUSHING
    FLUSHING    all of it is in the kernel, or it takes too long     CLOSING
    any         Disconnect received, failure, refusal, end of data   CLOSING
    any         the socket is closed                                 CLOSED

A CLOSED session is over for its owner when the handlers of its peer have returned, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from socket import socket
from typing import Protocol

from p2p.enode import Node
from p2p.errors import DialStep, DiscReason, LoopCrashed, P2PError, PeerDisconnected
from p2p.mailbox import Mailbox
from p2p.net import Channel, Loop, Timer
from p2p.peer import Peer, ProtocolReadWriter
from p2p.rlpx import (
    Connection,
    ConnectionFailed,
    DisconnectReceived,
    Event,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
)
from p2p.whereis import where_is

#: A batch given to the channel must be in the kernel after this long.
FRAME_WRITE_TIMEOUT_S = 20.0
#: How long the last words, and what the remote still sends, may take (rlpx.md asks for patience).
LINGER_S = 1.0
#: The same for one that never became a peer, so that a stranger's socket is gone within 6 s.
STRANGER_LINGER_S = 0.5
#: How many bytes of messages are framed at once: enough to spare system calls, and little enough
#: for other connections to have their turn.
BATCH_BYTES = 256 * 1024
#: When a handler that does not read is reported.
STALL_REPORT_S = 10.0


class Phase(Enum):
    """Where a session stands; see the table at the head of the module."""

    HANDSHAKE = "handshake"
    OPEN = "open"
    FLUSHING = "flushing"
    CLOSING = "closing"
    CLOSED = "closed"


@dataclass(frozen=True)
class Ending:
    """Why a session ended: the reason given, who gave it, how far it had come, the error behind."""

    reason: DiscReason
    by_remote: bool
    step: DialStep
    cause: P2PError | OSError | None = None

    def error(self) -> PeerDisconnected:
        """What handlers get from reading and writing."""
        text = f"{self.reason}: {self.cause}" if self.cause else ""
        error = PeerDisconnected(self.reason, self.by_remote, text)
        error.__cause__ = self.cause
        return error

    def __str__(self) -> str:
        return str(self.error())


class SessionOwner(Protocol):
    """Who decides about sessions; all calls on ``p2p-io``."""

    def identity_known(self, session: Session) -> DiscReason | None:
        """The remote says who it is; no proof yet. Returns why to refuse it, or None."""

    def hello_received(self, session: Session) -> DiscReason | None:
        """The remote's hello is here, which proves its key. Returns why to refuse it, or None."""

    def session_opened(self, session: Session) -> Peer:
        """The handshake is complete: make the peer, and start its workers."""

    def session_closing(self, session: Session) -> None:
        """The session is about to end; called once."""

    def socket_closed(self, session: Session) -> None:
        """The socket is gone; handlers may still run. Called once."""

    def session_ended(self, session: Session) -> None:
        """Socket and handlers are gone; called once, last."""


class Session:
    """One connection. ``dest`` is the node that was dialed, None for one that was accepted."""

    def __init__(
        self,
        loop: Loop,
        sock: socket,
        machine: Connection,
        owner: SessionOwner,
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
        self.outbox = Mailbox(on_items=self._post_write)
        # owned by p2p-io
        self.phase = Phase.HANDSHAKE
        self.node = dest  # that of an inbound connection is known from the auth on
        self.peer: Peer | None = None
        self.ending: Ending | None = None
        self.linger_s = LINGER_S
        self._write_timeout_s = FRAME_WRITE_TIMEOUT_S
        self._workers = 0
        self._held = False
        self._next_batch: list[bytes] = []  # framed, for when the channel has sent the last one
        self._write_deadline: float | None = None
        self._timer: Timer | None = None
        self._stall_timer: Timer | None = None
        # while reading is held: the inboxes not reported yet, and how often each was read from
        self._watched: dict[ProtocolReadWriter, int] = {}
        self.channel = Channel(loop, sock, self)
        if machine.has_data_to_send:
            self._write()
        self._arm_timer()

    # any thread

    def disconnect(self, reason: DiscReason) -> None:
        """End the session for a reason of ours, after what was written so far."""
        self._refuse_messages(reason)
        self.loop.post(self.end_locally, reason)

    def _refuse_messages(self, reason: DiscReason) -> None:
        ending = Ending(reason, False, DialStep.CONNECTED)
        self.outbox.close(ending.error, discard=False)

    def worker_ended(self, reason: DiscReason) -> None:
        """One of the peer's handlers has returned, and with it ends the session, if it has not."""
        if not self.outbox.is_closed:
            self._refuse_messages(reason)
        self.loop.post(self._worker_ended, reason)

    def resume(self) -> None:
        """An inbox that was full has room again."""
        self.loop.post(self._resume)

    def _post_write(self) -> None:
        self.loop.post(self._write)

    # calls of the channel

    def data_received(self, data: memoryview) -> None:
        if self.phase is Phase.OPEN or self.phase is Phase.HANDSHAKE:
            self._handle(self.machine.receive_data(data, self.loop.now()))

    def eof_received(self) -> None:
        self._end(Ending(DiscReason.NETWORK_ERROR, True, self.machine.step))

    def send_buffer_empty(self) -> None:
        self._write_deadline = None
        self._write()

    def sending_failed(self, error: OSError) -> None:
        """The remote is gone, but the handlers have not read all that it said: writes fail now."""
        self._write_deadline = None
        ending = Ending(DiscReason.NETWORK_ERROR, True, self.machine.step, error)
        self.outbox.close(ending.error, discard=True)

    def connection_lost(self, error: OSError | None) -> None:
        if self.ending is None:
            self.linger_s = 0.0  # there is nobody to linger for
            self._end(Ending(DiscReason.NETWORK_ERROR, True, self.machine.step, error))
        if self.ending is not None:  # as always, but in a crash
            self.outbox.close(self.ending.error, discard=True)  # what a flush has not sent
        self.phase = Phase.CLOSED
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # The peer leads here, and the program may keep it for long.
        self.machine.drop_buffers()
        self._next_batch = []
        self._owner.socket_closed(self)
        self._check_ended()

    # reading

    def _handle(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, MessagesReceived):
                assert self.peer is not None
                if not self.peer.running[event.capability].inbox.offer(event.messages):
                    self._hold()
            elif isinstance(event, IdentityKnown):
                if not self._refused(self._owner.identity_known(self)):
                    self._handle(self.machine.accept_identity(self.loop.now()))
            elif isinstance(event, HelloReceived):
                if not self._refused(self._owner.hello_received(self)):
                    self._open()
            elif isinstance(event, DisconnectReceived):
                self._end(Ending(event.reason, True, self.machine.step))
            elif isinstance(event, ConnectionFailed):
                step = self.machine.step
                self._end(Ending(event.error.disc_reason, False, step, event.error))
        if self.machine.has_data_to_send:
            self._write()

    def _refused(self, reason: DiscReason | None) -> bool:
        if reason is None:
            return False
        self._end(Ending(reason, False, self.machine.step))
        return True

    def _open(self) -> None:
        self.phase = Phase.OPEN
        # The machine first: it settles whether messages are compressed.
        events = self.machine.accept_hello(self.loop.now())
        self.peer = self._owner.session_opened(self)
        self._workers = len(self.peer.running)
        self._handle(events)

    def _hold(self) -> None:
        """A handler is slow: stop reading until it has caught up."""
        if self._held:
            return
        self._held = True
        self.channel.pause_reading()
        self.machine.hold_reading()
        assert self.peer is not None
        self._watched = {rw: rw.inbox.gets for rw in self.peer.running}
        self._stall_timer = self.loop.call_later(STALL_REPORT_S, self._look_again)

    def _resume(self) -> None:
        if not self._held or self.peer is None or self.phase is not Phase.OPEN:
            return
        if any(rw.inbox.is_full for rw in self.peer.running):
            return
        self._held = False
        self._stop_watching()
        self.machine.release_reading(self.loop.now())
        self.channel.resume_reading()

    def _look_again(self) -> None:
        """Now and then while reading is held: a handler may have made room and failed to say so,
        as at the end of its stack."""
        self._resume()
        if self._held:
            self._report_stalls()
            self._stall_timer = self.loop.call_later(STALL_REPORT_S, self._look_again)

    def _report_stalls(self) -> None:
        """Report once each handler that has read nothing since it was last looked at."""
        assert self.peer is not None
        # No inbox fills up while nothing is read, so those that are not full need no watching.
        full = {rw: gets for rw, gets in self._watched.items() if rw.inbox.is_full}
        self._watched = {rw: rw.inbox.gets for rw, gets in full.items() if rw.inbox.gets != gets}
        for rw in full.keys() - self._watched.keys():
            self.peer.log.warning(
                "handler of %s has not read for %g s with a full inbox; it is at %s",
                rw.protocol.cap,
                STALL_REPORT_S,
                where_is(rw.thread),
            )

    def _stop_watching(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    # writing

    def _write(self) -> None:
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
            self.channel.send(buffers)
        if self.channel.unsent_bytes > 0:
            self._write_deadline = self.loop.now() + self._write_timeout_s
            if self._timer is None:  # it was not needed between two batches of a flush
                self._arm_timer()
        elif not self.outbox.is_empty or self._next_batch:
            self.loop.post(self._write)  # other connections first
        elif phase is Phase.FLUSHING:
            self._close()

    def _frame_batch(self) -> list[bytes]:
        """The next messages as frames; BATCH_BYTES of them or a single larger one."""
        if self.phase is not Phase.HANDSHAKE:
            self.machine.send_messages(self.outbox.take(BATCH_BYTES))
        return self.machine.data_to_send()

    # ending

    def end_locally(self, reason: DiscReason) -> None:
        """End the session for a reason of ours; on ``p2p-io``. A flush under way goes on."""
        flush = self.phase in (Phase.OPEN, Phase.FLUSHING)
        self._end(Ending(reason, False, self.machine.step), flush=flush)

    def hurry(self, linger_s: float) -> None:
        """The server stops: what is still to be sent has only ``linger_s`` seconds from now on.

        The handlers hear of it, and nothing is sent yet: while some of them compute, each system
        call may cost us the interpreter for a while, and they end when they look for a message.
        """
        if self.phase is Phase.OPEN:
            assert self.peer is not None
            ending = Ending(DiscReason.QUITTING, False, DialStep.CONNECTED)
            self.outbox.close(ending.error, discard=False)
            for rw in self.peer.running:
                rw.inbox.close(ending.error, discard=True)
        self.linger_s = self._write_timeout_s = linger_s
        if self.phase is Phase.FLUSHING:
            self._write_deadline = self.loop.now() + linger_s
            self._arm_timer()

    def abort(self) -> None:
        """Close the socket at once."""
        self.linger_s = 0.0
        self._end(Ending(DiscReason.NETWORK_ERROR, False, self.machine.step))
        self.channel.abort()

    def crash(self, cause: BaseException | None) -> None:
        """The loop is dead: wake whoever waits, tell the cause. Last call."""

        def error() -> LoopCrashed:
            crashed = LoopCrashed(f"the I/O thread died: {cause!r}")
            crashed.__cause__ = cause
            return crashed

        self.outbox.close(error, discard=True)
        if self.peer is not None:
            for rw in self.peer.running:
                rw.inbox.close(error, discard=True)
        self.phase = Phase.CLOSED
        self.channel.abort()

    def _end(self, ending: Ending, flush: bool = False) -> None:
        """Leave HANDSHAKE or OPEN; the first call counts."""
        if self.phase is not Phase.HANDSHAKE and self.phase is not Phase.OPEN:
            if self.phase is Phase.FLUSHING and not flush:
                self._close()  # there is nobody to flush to any more
            return
        self.ending = ending
        _drop_tracebacks(ending.cause)
        self._stop_watching()
        ours = not ending.by_remote and ending.cause is None
        self.outbox.close(ending.error, discard=not flush)
        if self.peer is not None:
            for rw in self.peer.running:
                # What the remote sent before it left is still delivered.
                rw.inbox.close(ending.error, discard=ours)
        self._owner.session_closing(self)
        self.phase = Phase.FLUSHING
        if not flush:
            self._close()
            return
        # Read on, and throw it away: a remote that waits for us to read would not read itself.
        self.channel.resume_reading()
        self._write_deadline = self.loop.now() + self._write_timeout_s
        self._write()
        if self.phase is Phase.FLUSHING:
            self._arm_timer()

    def _close(self) -> None:
        """Say the last words, if there are any, and close the socket in good order."""
        self.phase = Phase.CLOSING
        if self.ending is not None and not self.ending.by_remote:
            self.machine.disconnect(self.ending.reason)
        self.channel.send(self._next_batch + self.machine.data_to_send())
        self.channel.close(self.linger_s if self.peer else min(self.linger_s, STRANGER_LINGER_S))

    def _worker_ended(self, reason: DiscReason) -> None:
        if self.ending is None:
            self.end_locally(reason)
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
        # Deadlines only ever move away from a timer that is armed, or are farther than its next
        # shot, so reading and writing need not touch it.
        self._timer = self.loop.call_at(min(times), self._on_timer) if times else None

    def _on_timer(self) -> None:
        self._timer = None
        now = self.loop.now()
        if self._write_deadline is not None and now >= self._write_deadline:
            self._write_deadline = None
            self._write_timed_out()
        elif self.phase in (Phase.HANDSHAKE, Phase.OPEN):
            self._handle(self.machine.handle_timeout(now))
        if self.phase in (Phase.HANDSHAKE, Phase.OPEN, Phase.FLUSHING):
            self._arm_timer()

    def _write_timed_out(self) -> None:
        """The remote does not read: no last words would reach it either."""
        error = TimeoutError(f"remote has not read for {self._write_timeout_s:g} s")
        self._end(Ending(DiscReason.NETWORK_ERROR, False, self.machine.step, error))
        self.channel.abort()


def _drop_tracebacks(error: BaseException | None) -> None:
    """Let go of the frames in which an error was raised, which hold what was received."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
