"""The machine of one RLPx connection: bytes and time in, events and bytes out.

Pure. It owns the states, the frames, compression, hello, ping and pong, the multiplexing of
message codes and all deadlines of reading; sockets, admission and the meaning of messages are the
caller's, auth and ack are in :mod:`p2p.rlpx.keyexchange`. One thread may use it at a time.

The states and their transitions are in :mod:`p2p.rlpx.state`. IDENTIFIED, with the event
``IdentityKnown``, and GREETED, with ``HelloReceived``, are pauses: data that arrive meanwhile are
kept, and the ``accept_`` calls return the events in them. In GREETED one frame is read ahead
(:meth:`Connection.read_ahead`): a Disconnect ends the connection, any other is kept and reported
once by ``MessageWaiting``. These calls raise RuntimeError in any other state. A machine that is
CLOSED stays so and ignores all input; its last output is still in :meth:`Connection.data_to_send`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from p2p.crypto import Entropy, PrivateKey, PublicKey
from p2p.crypto.backend import Bytes
from p2p.errors import (
    DiscReason,
    HelloError,
    P2PError,
    RemoteProtocolError,
    RemoteTimeout,
    UnexpectedIdentity,
)
from p2p.rlpx.capability import BASE_LENGTH, Cap, SharedCap, find, match
from p2p.rlpx.event import (
    ConnectionFailed,
    DisconnectReceived,
    Event,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
    MessageWaiting,
)
from p2p.rlpx.frame import MAX_MESSAGE_SIZE, FrameReader, FrameWriter
from p2p.rlpx.handshake import Secrets, egress_mac, ingress_mac
from p2p.rlpx.keyexchange import KeyExchange
from p2p.rlpx.messages import (
    DISCONNECT,
    EMPTY,
    HELLO,
    MAX_HELLO_SIZE,
    PING,
    PONG,
    SNAPPY_VERSION,
    Hello,
    decode_disconnect,
    decode_hello,
    encode_disconnect,
    encode_hello,
    open_disconnect,
)
from p2p.rlpx.observer import ConnectionObserver, ConnectionSetup
from p2p.rlpx.snappy import compress, decompress, unchanged
from p2p.rlpx.state import TRANSITIONS, State

#: Limit on the time from the first byte to both hellos.
HANDSHAKE_TIMEOUT_S = 5.0
#: Limit on the time between two complete frames.
FRAME_READ_TIMEOUT_S = 30.0
PING_INTERVAL_S = 15.0
#: Frames decrypted before their messages are read; an error in one comes after all of these.
FRAMES_AT_ONCE = 256

#: Packet of the handshake that a state waits for; all later ones but OPEN wait for a hello.
_PACKETS = {State.AWAIT_AUTH: "handshake (auth)", State.AWAIT_ACK: "answer to the handshake (ack)"}


class Connection:
    """One end of an RLPx connection.

    ``hello`` is our own; ``protocols`` are our (capability, number of codes) pairs; ``now`` is the
    time of the first byte, in seconds on any monotonic scale; ``remote`` is the key to dial, None
    for the end that listens; ``accept_pre_eip8`` accepts old handshakes; ``observer`` gets it all.
    """

    def __init__(
        self,
        private_key: PrivateKey,
        hello: Hello,
        protocols: Sequence[tuple[Cap, int]],
        entropy: Entropy,
        now: float,
        *,
        remote: PublicKey | None = None,
        accept_pre_eip8: bool = False,
        observer: ConnectionObserver | None = None,
    ) -> None:
        # fixed after __init__
        self._hello = hello
        self._protocols = protocols
        self._given_observer = observer  # until drop_buffers()
        # the given one, or None while it is not called
        self._observer = observer
        # known about the remote
        self.remote = remote
        self.remote_hello: Hello | None = None
        self.shared: Sequence[SharedCap] = ()
        # progress of the handshake
        self._reader: FrameReader | None = None
        self._writer: FrameWriter | None = None
        self._snappy = False
        # the frame that was read ahead of accept_hello()
        self._ahead: list[tuple[int, Bytes]] = []
        # output: frames are kept by the writer, packets of the handshake by the exchange
        self._pong_due = False
        # time
        self._handshake_deadline = now + HANDSHAKE_TIMEOUT_S
        self._read_deadline = 0.0
        self._ping_at = 0.0
        self._held = False
        # the state, changed by _enter() alone, and the last one before CLOSED
        self.state = State.AWAIT_AUTH if remote is None else State.AWAIT_ACK
        self.last_state = self.state
        self.error: P2PError | None = None  # the reason of a failure

        if observer is not None:
            given = private_key, hello, protocols, now, remote, accept_pre_eip8
            observer.setup(ConnectionSetup(*given))
        exchange = KeyExchange(private_key, remote, entropy, accept_pre_eip8, observer)
        self._exchange: KeyExchange | None = exchange  # until its last packet is sent

    # input

    def receive_data(self, data: Bytes, now: float) -> list[Event]:
        """Take bytes from the network; bytes that are kept are copied. Returns the events."""
        if self.state is State.CLOSED:
            return []
        if self._observer is not None:
            self._observer.data_in(data, now)
        if self._reader is not None:
            self._reader.receive_data(data)
        elif self._exchange is not None:
            self._exchange.receive_data(data)
        return self._process(now)

    def handle_timeout(self, now: float) -> list[Event]:
        """Fail if the remote is too late, or ping if it is time to. Returns the events."""
        if self.state is State.CLOSED:
            return []
        self._observe("handle_timeout", now)
        if self.state is not State.OPEN:
            if now >= self._handshake_deadline:
                missing = _PACKETS.get(self.state, "hello")
                return self._time_out(f"no {missing} in {HANDSHAKE_TIMEOUT_S:g} s")
        elif not self._held and now >= self._read_deadline:
            return self._time_out(f"nothing received for {FRAME_READ_TIMEOUT_S:g} s")
        elif now >= self._ping_at:
            self._frame([(PING, EMPTY)])
            self._ping_at = now + PING_INTERVAL_S
        return []

    @property
    def deadline(self) -> float | None:
        """Time at which :meth:`handle_timeout` is to be called; None once the machine is closed."""
        if self.state is State.CLOSED:
            return None
        if self.state is not State.OPEN:
            return self._handshake_deadline
        return self._ping_at if self._held else min(self._ping_at, self._read_deadline)

    def hold_reading(self) -> None:
        """Suspend the read deadline: while the caller does not read, silence is not a failure."""
        self._observe("hold_reading")
        self._held = True

    def release_reading(self, now: float) -> None:
        """Restart the read deadline: the caller reads again."""
        self._observe("release_reading", now)
        self._held = False
        self._read_deadline = now + FRAME_READ_TIMEOUT_S

    # decisions

    def accept_identity(self, now: float) -> list[Event]:
        """Accept the remote named by :class:`IdentityKnown`, and send our hello."""
        self._require(State.IDENTIFIED)
        self._observe("accept_identity", now)
        self._enter(State.AWAIT_HELLO)
        self._frame([(HELLO, encode_hello(self._hello))])
        # A remote that has read our hello expects the rest compressed, even a Disconnect that
        # crosses its own hello; the hello of an older remote turns compression off again.
        self._snappy = self._hello.version >= SNAPPY_VERSION
        return self._process(now)

    def accept_hello(self, now: float) -> list[Event]:
        """Accept the remote's hello: messages may pass from here on."""
        self._require(State.GREETED)
        self._observe("accept_hello", now)
        self._enter(State.OPEN)
        self._read_deadline = now + FRAME_READ_TIMEOUT_S
        self._ping_at = now + PING_INTERVAL_S
        return self._process(now)

    def read_ahead(self, now: float) -> list[Event]:
        """Look for a frame after the remote's hello, before the hello is accepted."""
        self._require(State.GREETED)
        self._observe("read_ahead", now)
        return self._process(now)

    # output

    @property
    def compresses(self) -> bool:
        """Whether messages are compressed (both ends have version 5 or later)."""
        return self._snappy

    def send_messages(self, messages: Iterable[tuple[int, bytes]]) -> None:
        """Frame messages, as (code on the wire, payload); ignored unless open."""
        if self.state is State.OPEN:
            if self._observer is not None:
                messages = list(messages)
                self._observer.command("send_messages", messages)
            self._frame(messages)

    def ping(self) -> None:
        """Send a ping, if open; the answer counts as a sign of life like every other frame."""
        self.send_messages([(PING, EMPTY)])

    def disconnect(self, reason: DiscReason) -> None:
        """Send a Disconnect, if frames can be sent yet, and close. Does nothing when closed."""
        if self.state is not State.CLOSED:
            self._observe("disconnect", reason)
            self._close(reason)

    def data_to_send(self) -> list[bytes]:
        """Return all output in order, as buffers; a pong is framed only here, so one at most."""
        if self._pong_due:
            self._pong_due = False
            if self.state is State.OPEN:
                self._frame([(PONG, EMPTY)])
        buffers = [] if self._writer is None else self._writer.take()
        if self._exchange is not None:
            buffers = self._exchange.packets_to_send() + buffers
            if self._reader is not None:  # the keys are agreed, and our packet is sent
                self._exchange = None
        if buffers and self._observer is not None:
            self._observer.data_out(buffers)
        return buffers

    @property
    def has_data_to_send(self) -> bool:
        """Whether :meth:`data_to_send` has anything."""
        if self._pong_due or (self._exchange is not None and self._exchange.has_packets_to_send):
            return True
        return self._writer is not None and not self._writer.is_empty

    def drop_buffers(self) -> None:
        """Close, and free all received and framed data; nothing is received or sent any more."""
        self._observe("drop_buffers")
        if self.state is not State.CLOSED:
            self._enter(State.CLOSED)
        self._given_observer = self._observer = None
        self._reader = self._writer = self._exchange = None
        self._ahead = []
        self._pong_due = False

    def set_observed(self, is_observed: bool) -> None:
        """Call the observer, or leave it out until it is to be called again.

        While it is left out, the machine costs what one without an observer does. What passes
        meanwhile is not reported later, so a recording must not be left out.
        """
        self._observer = self._given_observer if is_observed else None

    # the machine

    def _process(self, now: float) -> list[Event]:
        """Return the events in the data received so far."""
        events: list[Event] = []
        try:
            if self.state is State.OPEN:
                self._read_messages(events, now)
            elif self.state is State.AWAIT_AUTH or self.state is State.AWAIT_ACK:
                self._shake_hands(events)
            elif self.state is State.AWAIT_HELLO:
                self._await_hello(events)
            elif self.state is State.GREETED:
                self._read_ahead(events)
        except RemoteProtocolError as error:
            events.append(self._fail(error))
        if events and self._observer is not None:
            self._observer.events(events)
        return events

    def _shake_hands(self, events: list[Event]) -> None:
        assert self._exchange is not None
        secrets = self._exchange.poll_secrets()
        if secrets is None:
            return
        self._start_frames(secrets, self._exchange.rest())
        self._enter(State.IDENTIFIED)
        events.append(IdentityKnown(secrets.remote))

    def _start_frames(self, secrets: Secrets, rest: bytes) -> None:
        self.remote = secrets.remote
        self._writer = FrameWriter(secrets.aes, secrets.mac, egress_mac(secrets))
        self._reader = FrameReader(secrets.aes, secrets.mac, ingress_mac(secrets))
        # One more byte for the message code.
        self._reader.limit = MAX_HELLO_SIZE + 1
        self._reader.receive_data(rest)

    def _await_hello(self, events: list[Event]) -> None:
        assert self._reader is not None and self.remote is not None
        frames = self._read_frame()
        if not frames:
            return
        ((code, payload),) = frames
        if code == DISCONNECT:
            self._receive_disconnect(payload, events)
            return
        if code != HELLO:
            raise HelloError(f"message {code} before hello")
        hello = decode_hello(payload)
        self._snappy = min(hello.version, self._hello.version) >= SNAPPY_VERSION
        if hello.node_key != self.remote.to_bytes():
            raise UnexpectedIdentity("hello names another node than the handshake")
        self.remote_hello = hello
        self.shared = match(self._protocols, hello.caps)
        self._reader.limit = MAX_MESSAGE_SIZE
        self._enter(State.GREETED)
        events.append(HelloReceived(hello, self.shared))

    def _read_ahead(self, events: list[Event]) -> None:
        assert self._reader is not None
        if self._ahead:
            return
        self._ahead = self._read_frame()
        if self._ahead and self._ahead[0][0] == DISCONNECT:
            self._receive_disconnect(self._ahead[0][1], events)
        elif self._ahead or self._reader.frame_size > MAX_HELLO_SIZE:  # too large to keep for long
            events.append(MessageWaiting())

    def _read_messages(self, events: list[Event], now: float) -> None:
        """Read all complete frames; runs of one capability become one event."""
        assert self._reader is not None
        transform = decompress if self._snappy else bytes
        run: list[tuple[int, bytes, float]] = []
        first = end = 0  # the codes of the run's capability
        ahead, self._ahead = self._ahead, []
        while frames := ahead or self._reader.read(FRAMES_AT_ONCE):
            if self._observer is not None and not ahead:
                self._observer.frames_in(frames)
            ahead = []
            self._read_deadline = now + FRAME_READ_TIMEOUT_S
            for code, data in frames:
                if first <= code < end:
                    run.append((code - first, transform(data), now))
                elif code >= BASE_LENGTH:
                    index, first, end = find(self.shared, code)
                    run = [(code - first, transform(data), now)]
                    events.append(MessagesReceived(index, run))
                else:
                    self._receive_base(code, data, events)
                    if self.state is State.CLOSED:
                        return
            if not self._reader.has_more:
                return

    def _receive_base(self, code: int, data: Bytes, events: list[Event]) -> None:
        if code == PING:
            self._pong_due = True
        elif code == DISCONNECT:
            self._receive_disconnect(data, events)
        elif code == HELLO:
            raise HelloError("a second hello")
        # A pong, like every frame, has moved the read deadline. Other codes are reserved.

    def _receive_disconnect(self, data: Bytes, events: list[Event]) -> None:
        reason = open_disconnect(data) if self._snappy else decode_disconnect(data)
        self._enter(State.CLOSED)
        events.append(DisconnectReceived(reason))

    def _read_frame(self) -> list[tuple[int, Bytes]]:
        assert self._reader is not None
        frames = self._reader.read(1)
        if frames and self._observer is not None:
            self._observer.frames_in(frames)
        return frames

    def _frame(self, messages: Iterable[tuple[int, Bytes]]) -> None:
        if self._writer is None:
            return
        transform = compress if self._snappy else unchanged
        if self._observer is not None:
            messages = [(code, transform(payload)) for code, payload in messages]
            transform = unchanged
            self._observer.frames_out(messages)
        self._writer.write(messages, transform)

    def _time_out(self, text: str) -> list[Event]:
        event = self._fail(RemoteTimeout(text))
        if self._observer is not None:
            self._observer.events([event])
        return [event]

    def _fail(self, error: P2PError) -> Event:
        """Close because of ``error``; send its reason to the remote if the protocol allows it."""
        self.error = error
        self._close(error.disc_reason)
        return ConnectionFailed(error)

    def _close(self, reason: DiscReason) -> None:
        if self._writer is not None and reason is not DiscReason.NETWORK_ERROR:
            self._frame([(DISCONNECT, encode_disconnect(reason))])
        self._enter(State.CLOSED)

    def _enter(self, state: State) -> None:
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"connection goes from {self.state.value} to {state.value}")
        old, self.state = self.state, state
        if state is not State.CLOSED:
            self.last_state = state
        if self._observer is not None:
            self._observer.state(old, state)

    def _require(self, state: State) -> None:
        if self.state is not state:
            raise RuntimeError(f"connection is {self.state.value}, not {state.value}")

    def _observe(self, command: str, *arguments: object) -> None:
        if self._observer is not None:
            self._observer.command(command, *arguments)
