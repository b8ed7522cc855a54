"""The machine of one RLPx connection: bytes and time in, events and bytes out.

Pure. It owns the handshake, the frames, compression, hello, ping and pong, the multiplexing of
message codes and all deadlines of reading; it does not know how bytes travel, who may connect or
what messages mean. One thread may use it at a time.

::

    state          leaves by                               for
    AWAIT_AUTH     auth received (recipient)               IDENTIFIED, event IdentityKnown
    AWAIT_ACK      ack received (initiator)                IDENTIFIED, event IdentityKnown
    IDENTIFIED     accept_identity(): sends hello          AWAIT_HELLO
    AWAIT_HELLO    hello received                          GREETED, event HelloReceived
    GREETED        accept_hello()                          OPEN
    OPEN           Disconnect received, or a failure       CLOSED
    any            disconnect(), a failure, a deadline     CLOSED

IDENTIFIED and GREETED are pauses: what arrives meanwhile is kept, and the ``accept_`` calls return
the events that it holds. A machine that is CLOSED stays so and ignores all input; what it has to
say is still in :meth:`data_to_send`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from p2p.crypto import Entropy, PrivateKey, PublicKey
from p2p.crypto.backend import Bytes
from p2p.errors import (
    CompressionError,
    DialStep,
    DiscReason,
    HelloError,
    InvalidMessageCode,
    P2PError,
    RemoteProtocolError,
    RemoteTimeout,
    UnexpectedIdentity,
)
from p2p.rlpx.base import (
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
)
from p2p.rlpx.capability import BASE_LENGTH, Cap, SharedCap, match
from p2p.rlpx.event import (
    ConnectionFailed,
    DisconnectReceived,
    Event,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
)
from p2p.rlpx.frame import MAX_MESSAGE_SIZE, FrameReader, FrameWriter
from p2p.rlpx.handshake import (
    PLAIN_ACK_SIZE,
    PLAIN_AUTH_SIZE,
    Initiator,
    PacketBuffer,
    Recipient,
    Secrets,
)
from p2p.rlpx.snappy import compress, decompress

#: From the first byte to both hellos.
HANDSHAKE_TIMEOUT_S = 5.0
#: A complete frame must arrive at least this often.
FRAME_READ_TIMEOUT_S = 30.0
PING_INTERVAL_S = 15.0
#: Frames opened before their messages are looked at; an error among them comes after all of these.
FRAMES_AT_ONCE = 256


class State(Enum):
    """Where a connection stands; see the table at the head of the module."""

    AWAIT_AUTH = "await auth"
    AWAIT_ACK = "await ack"
    IDENTIFIED = "identified"
    AWAIT_HELLO = "await hello"
    GREETED = "greeted"
    OPEN = "open"
    CLOSED = "closed"


_STEPS = {
    State.AWAIT_AUTH: DialStep.AUTH,
    State.AWAIT_ACK: DialStep.ACK,
    State.IDENTIFIED: DialStep.HELLO,
    State.AWAIT_HELLO: DialStep.HELLO,
    State.GREETED: DialStep.HELLO,
    State.OPEN: DialStep.CONNECTED,
}


class Connection:
    """One end of an RLPx connection.

    ``hello`` is what we will say of ourselves; ``protocols`` are our (capability, length) pairs;
    ``remote`` is the key to dial, None for the end that listens; ``now`` is the time of the first
    byte, in seconds on any monotonic scale.
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
    ) -> None:
        # fixed after __init__
        self._private_key = private_key
        self._hello = hello
        self._protocols = protocols
        self._entropy = entropy
        # what is known of the remote
        self.remote = remote
        self.remote_hello: Hello | None = None
        self.shared: Sequence[SharedCap] = ()
        # how far the handshake has come
        self._initiator: Initiator | None = None
        self._reader: FrameReader | None = None
        self._writer: FrameWriter | None = None
        self._snappy = False
        # output: packets of the handshake; frames are kept by the writer
        self._packets_out: list[bytes] = []
        self._pong_due = False
        # time
        self._handshake_deadline = now + HANDSHAKE_TIMEOUT_S
        self._read_deadline = 0.0
        self._ping_at = 0.0
        self._held = False
        # the outcome: the step reached and the error, when there is one
        self.step = DialStep.AUTH
        self.error: P2PError | None = None

        plain_size = PLAIN_AUTH_SIZE if remote is None else PLAIN_ACK_SIZE
        self._packets = PacketBuffer(private_key, plain_size if accept_pre_eip8 else 0)
        if remote is None:
            self.state = State.AWAIT_AUTH
        else:
            self._initiator = Initiator(private_key, remote, entropy)
            self._packets_out.append(self._initiator.auth)
            self._enter(State.AWAIT_ACK)

    # input

    def receive_data(self, data: Bytes, now: float) -> list[Event]:
        """Take bytes from the network; ``data`` is copied where it is kept."""
        if self.state is State.CLOSED:
            return []
        if self._reader is not None:
            self._reader.receive_data(data)
        else:
            self._packets.receive_data(memoryview(data))
        return self._process(now)

    def handle_timeout(self, now: float) -> list[Event]:
        """Do what is due: fail if the remote is too late, ping if it is time to."""
        if self.state is State.CLOSED:
            return []
        if self.state is not State.OPEN:
            if now >= self._handshake_deadline:
                return self._fail(RemoteTimeout(f"no {self.step} in {HANDSHAKE_TIMEOUT_S:g} s"))
        elif not self._held and now >= self._read_deadline:
            return self._fail(RemoteTimeout(f"nothing received for {FRAME_READ_TIMEOUT_S:g} s"))
        elif now >= self._ping_at:
            self.ping()
            self._ping_at = now + PING_INTERVAL_S
        return []

    @property
    def deadline(self) -> float | None:
        """When :meth:`handle_timeout` wants to be called; None once the machine is closed."""
        if self.state is State.CLOSED:
            return None
        if self.state is not State.OPEN:
            return self._handshake_deadline
        return self._ping_at if self._held else min(self._ping_at, self._read_deadline)

    def hold_reading(self) -> None:
        """The caller stops reading for a while: the remote's silence is not its fault."""
        self._held = True

    def release_reading(self, now: float) -> None:
        """The caller reads again."""
        self._held = False
        self._read_deadline = now + FRAME_READ_TIMEOUT_S

    # decisions

    def accept_identity(self, now: float) -> list[Event]:
        """Go on with the remote that :class:`IdentityKnown` named: send our hello."""
        self._require(State.IDENTIFIED)
        self._enter(State.AWAIT_HELLO)
        self._write([(HELLO, encode_hello(self._hello))])
        # Whoever has read our hello expects the rest compressed, even a Disconnect that crosses its
        # own hello; that of an older remote takes this back.
        self._snappy = self._hello.version >= SNAPPY_VERSION
        return self._process(now)

    def accept_hello(self, now: float) -> list[Event]:
        """Go on with the remote's hello: messages may pass from here on."""
        self._require(State.GREETED)
        assert self._reader is not None
        self._enter(State.OPEN)
        self._reader.limit = MAX_MESSAGE_SIZE
        self._read_deadline = now + FRAME_READ_TIMEOUT_S
        self._ping_at = now + PING_INTERVAL_S
        return self._process(now)

    # output

    @property
    def compresses(self) -> bool:
        """Whether messages are compressed (both ends have version 5 or later)."""
        return self._snappy

    def send_messages(self, messages: Iterable[tuple[int, bytes]]) -> None:
        """Frame messages, as (code counted from 0, payload); ignored when closed."""
        if self.state is State.OPEN:
            self._write(messages)

    def ping(self) -> None:
        """Send a ping, if open; the answer counts as a sign of life like every other frame."""
        self.send_messages([(PING, EMPTY)])

    def disconnect(self, reason: DiscReason) -> None:
        """Tell the remote why, if frames can be sent yet, and close. Harmless when closed."""
        if self.state is State.CLOSED:
            return
        if self._writer is not None and reason is not DiscReason.NETWORK_ERROR:
            self._write([(DISCONNECT, encode_disconnect(reason))])
        self.state = State.CLOSED

    def data_to_send(self) -> list[bytes]:
        """Everything to be sent, in order, as buffers; a pong only now, so there is one at most."""
        if self._pong_due:
            self._pong_due = False
            if self.state is State.OPEN:
                self._write([(PONG, EMPTY)])
        frames = [] if self._writer is None else self._writer.take()
        if not self._packets_out:
            return frames
        packets, self._packets_out = self._packets_out, []
        return packets + frames

    @property
    def has_data_to_send(self) -> bool:
        """Whether :meth:`data_to_send` has anything."""
        if self._pong_due or self._packets_out:
            return True
        return self._writer is not None and not self._writer.is_empty

    def drop_buffers(self) -> None:
        """Nothing will come and go any more: close, and let go of what was received and framed."""
        self.state = State.CLOSED
        self._reader = self._writer = self._initiator = None
        self._packets = PacketBuffer(self._private_key)
        self._packets_out = []
        self._pong_due = False

    # the machine

    def _process(self, now: float) -> list[Event]:
        """Everything that can be said about what has arrived so far."""
        events: list[Event] = []
        try:
            if self.state is State.OPEN:
                self._read_messages(events, now)
            elif self.state is State.AWAIT_AUTH or self.state is State.AWAIT_ACK:
                self._shake_hands(events)
            elif self.state is State.AWAIT_HELLO:
                self._await_hello(events)
        except RemoteProtocolError as error:
            events += self._fail(error)
        return events

    def _shake_hands(self, events: list[Event]) -> None:
        opened = self._packets.next_packet()
        if opened is None:
            return
        if self._initiator is not None:
            secrets = self._initiator.receive_ack(*opened)
        else:
            recipient = Recipient(self._private_key, *opened, self._entropy)
            self._packets_out.append(recipient.ack)
            secrets = recipient.secrets
        self._start_frames(secrets)
        self._enter(State.IDENTIFIED)
        events.append(IdentityKnown(secrets.remote))

    def _start_frames(self, secrets: Secrets) -> None:
        self.remote = secrets.remote
        self._initiator = None
        self._writer = FrameWriter(secrets.aes, secrets.mac, secrets.egress_mac)
        self._reader = FrameReader(secrets.aes, secrets.mac, secrets.ingress_mac)
        # One more byte for the message code.
        self._reader.limit = MAX_HELLO_SIZE + 1
        self._reader.receive_data(self._packets.rest())

    def _await_hello(self, events: list[Event]) -> None:
        assert self._reader is not None and self.remote is not None
        frames = self._reader.read(1)
        if not frames:
            return
        ((code, payload),) = frames
        if code == DISCONNECT:
            self._receive_disconnect(self._open_disconnect(payload), events)
            return
        if code != HELLO:
            raise HelloError(f"message {code} before hello")
        hello = decode_hello(payload)
        self._snappy = min(hello.version, self._hello.version) >= SNAPPY_VERSION
        if hello.node_key != self.remote.to_bytes():
            raise UnexpectedIdentity("hello names another node than the handshake")
        self.remote_hello = hello
        self.shared = match(self._protocols, hello.caps)
        self._enter(State.GREETED)
        events.append(HelloReceived(hello, self.shared))

    def _read_messages(self, events: list[Event], now: float) -> None:
        """Read all complete frames; runs of one capability become one event."""
        assert self._reader is not None
        transform = decompress if self._snappy else bytes
        run: list[tuple[int, bytes, float]] = []
        first = end = 0  # the codes of the run's capability
        while frames := self._reader.read(FRAMES_AT_ONCE):
            self._read_deadline = now + FRAME_READ_TIMEOUT_S
            for code, data in frames:
                if first <= code < end:
                    run.append((code - first, transform(data), now))
                elif code >= BASE_LENGTH:
                    index, first, end = self._find(code)
                    run = [(code - first, transform(data), now)]
                    events.append(MessagesReceived(index, run))
                else:
                    self._receive_base(code, data, events)
                    if self.state is State.CLOSED:
                        return
            if not self._reader.has_more:
                return

    def _find(self, code: int) -> tuple[int, int, int]:
        """(index, first code, code after the last) of the capability a code belongs to."""
        for index, (_cap, offset, length) in enumerate(self.shared):
            if offset <= code < offset + length:
                return index, offset, offset + length
        raise InvalidMessageCode(f"message code {code} belongs to no protocol")

    def _receive_base(self, code: int, data: Bytes, events: list[Event]) -> None:
        if code == PING:
            self._pong_due = True
        elif code == DISCONNECT:
            self._receive_disconnect(self._open_disconnect(data), events)
        elif code == HELLO:
            raise HelloError("a second hello")
        # A pong, like every frame, has moved the read deadline. Other codes are for later versions.

    def _open_disconnect(self, data: Bytes) -> DiscReason:
        """@ethereumjs/devp2p does not compress its Disconnect, go-ethereum does."""
        if self._snappy:
            try:
                return decode_disconnect(decompress(data))
            except CompressionError:
                pass
        return decode_disconnect(data)

    def _receive_disconnect(self, reason: DiscReason, events: list[Event]) -> None:
        self.state = State.CLOSED
        events.append(DisconnectReceived(reason))

    def _write(self, messages: Iterable[tuple[int, bytes]]) -> None:
        if self._writer is not None:
            self._writer.write(messages, compress if self._snappy else _unchanged)

    def _fail(self, error: P2PError) -> list[Event]:
        """Close because of ``error``, telling the remote where the protocol allows it."""
        self.error = error
        self.disconnect(error.disc_reason)
        return [ConnectionFailed(error)]

    def _enter(self, state: State) -> None:
        self.state = state
        self.step = _STEPS[state]

    def _require(self, state: State) -> None:
        if self.state is not state:
            raise RuntimeError(f"connection is {self.state.value}, not {state.value}")


def _unchanged(data: Bytes) -> Bytes:
    return data
