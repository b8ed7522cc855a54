"""Two connection machines on a fake link, and a remote that says whatever a test wants.

`Pair` joins two `Connection` machines with virtual time and seeded entropy, so that each run of a
test sends the same bytes. What one end says is cut into pieces by a *delivery* before the other end
gets it. `RawRemote` speaks to one machine in frames made by hand: it keeps no rule of the protocol
that the test does not keep for it. Pure: no socket, no thread, no waiting.
"""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterable, Sequence

from Crypto.Cipher import AES

from p2p.codec import encode_uint
from p2p.crypto import Entropy, PrivateKey, ctr_stream
from p2p.crypto.backend import Hasher
from p2p.errors import P2PError
from p2p.rlpx import (
    Cap,
    Connection,
    ConnectionFailed,
    ConnectionObserver,
    Event,
    Hello,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
    State,
)
from p2p.rlpx.frame import FrameReader
from p2p.rlpx.handshake import Initiator, PacketBuffer, Recipient, egress_mac, ingress_mac
from p2p.rlpx.messages import HELLO, encode_hello
from p2p.rlpx.snappy import compress

ALICE = PrivateKey.from_bytes(b"\xa1" * 32)
BOB = PrivateKey.from_bytes(b"\xb0" * 32)
MALLORY = PrivateKey.from_bytes(b"\xee" * 32)

#: What both ends speak unless a test says otherwise.
PROTOCOLS = [(Cap("alpha", 1), 3), (Cap("beta", 2), 5)]

#: What follows the size in a frame's header: [0, 0] and padding.
HEADER_REST = bytes.fromhex("c28080") + bytes(10)

Protocols = Sequence[tuple[Cap, int]]


def seeded(seed: object) -> Entropy:
    """Random bytes that are the same in every run."""
    return random.Random(repr(seed)).randbytes


def make_hello(
    key: PrivateKey, protocols: Protocols = PROTOCOLS, *, version: int = 5, name: str = "test"
) -> Hello:
    """The hello of the node that has ``key``."""
    caps = [cap for cap, _length in protocols]
    return Hello(version, name, caps, 0, key.public_key.to_bytes())


# How bytes travel: the buffers that one end has to send, and the pieces the other end gets.

Delivery = Callable[[list[bytes]], Iterable[bytes]]


def whole(buffers: list[bytes]) -> Iterable[bytes]:
    """Each buffer arrives as it was sent."""
    return buffers


def merged(buffers: list[bytes]) -> Iterable[bytes]:
    """All that was said at once arrives at once."""
    return [b"".join(buffers)]


def byte_by_byte(buffers: list[bytes]) -> Iterable[bytes]:
    """The worst network there is."""
    return [bytes([byte]) for byte in b"".join(buffers)]


def cut_at(sizes: Sequence[int]) -> Delivery:
    """Pieces of the given sizes, over and over again; never an empty one."""

    def deliver(buffers: list[bytes]) -> Iterable[bytes]:
        data, start, turn = b"".join(buffers), 0, 0
        while start < len(data):
            size = sizes[turn % len(sizes)]
            yield data[start : start + size]
            start, turn = start + size, turn + 1

    return deliver


DELIVERIES = {"whole": whole, "merged": merged, "byte by byte": byte_by_byte}


class End:
    """One machine of a pair: what happened to it, and the decisions at its two pauses."""

    def __init__(self, machine: Connection, *, accepts: bool = True) -> None:
        self.machine = machine
        #: Whether the pauses are left at once; otherwise the test calls the ``accept_`` itself.
        self.accepts = accepts
        self.events: list[Event] = []

    def take(self, events: list[Event], now: float) -> None:
        """Keep events and decide what they ask for."""
        for event in events:
            self.events.append(event)
            if not self.accepts:
                continue
            if isinstance(event, IdentityKnown):
                self.take(self.machine.accept_identity(now), now)
            elif isinstance(event, HelloReceived):
                self.take(self.machine.accept_hello(now), now)

    @property
    def state(self) -> State:
        return self.machine.state

    @property
    def messages(self) -> list[tuple[int, int, bytes]]:
        """All messages so far, as (capability, code, payload)."""
        return messages_of(self.events)

    @property
    def failure(self) -> P2PError | None:
        """The error of the last event, if the machine has failed."""
        return failure_of(self.events)


def messages_of(events: Iterable[Event]) -> list[tuple[int, int, bytes]]:
    """The messages among events, as (capability, code, payload)."""
    runs = [event for event in events if isinstance(event, MessagesReceived)]
    return [(run.capability, code, data) for run in runs for code, data, _ in run.messages]


def failure_of(events: Sequence[Event]) -> P2PError | None:
    """The error of the last event, if it is a failure."""
    last = events[-1] if events else None
    return last.error if isinstance(last, ConnectionFailed) else None


class Pair:
    """Alice, who dials, and Bob, who listens."""

    def __init__(
        self,
        *,
        alice: Protocols = PROTOCOLS,
        bob: Protocols = PROTOCOLS,
        versions: tuple[int, int] = (5, 5),
        delivery: Delivery = merged,
        accepts: bool = True,
        seed: object = 0,
        accept_pre_eip8: bool = False,
        observers: tuple[ConnectionObserver | None, ConnectionObserver | None] = (None, None),
    ) -> None:
        self.now = 1000.0
        self.delivery = delivery
        self.alice = End(
            Connection(
                ALICE,
                make_hello(ALICE, alice, version=versions[0]),
                alice,
                seeded(("alice", seed)),
                self.now,
                remote=BOB.public_key,
                accept_pre_eip8=accept_pre_eip8,
                observer=observers[0],
            ),
            accepts=accepts,
        )
        self.bob = End(
            Connection(
                BOB,
                make_hello(BOB, bob, version=versions[1]),
                bob,
                seeded(("bob", seed)),
                self.now,
                accept_pre_eip8=accept_pre_eip8,
                observer=observers[1],
            ),
            accepts=accepts,
        )
        #: All bytes of each direction, in order.
        self.from_alice: list[bytes] = []
        self.from_bob: list[bytes] = []

    def pass_on(self) -> bool:
        """Carry what both ends have to say now; whether there was anything."""
        said = False
        ways = (self.alice, self.bob, self.from_alice), (self.bob, self.alice, self.from_bob)
        for sender, receiver, record in ways:
            buffers = sender.machine.data_to_send()
            said = said or bool(buffers)
            record.extend(buffers)
            for piece in self.delivery(buffers):
                receiver.take(receiver.machine.receive_data(piece, self.now), self.now)
        return said

    def drive(self) -> Pair:
        """Carry bytes until both ends are silent."""
        while self.pass_on():
            pass
        return self

    def advance(self, seconds: float) -> None:
        """Let time pass: each deadline on the way is kept, and what is then said is carried."""
        end = self.now + seconds
        while True:
            deadlines = [e.machine.deadline for e in (self.alice, self.bob)]
            due = [deadline for deadline in deadlines if deadline is not None and deadline <= end]
            if not due:
                break
            self.now = max(self.now, min(due))
            self.handle_timeout()
        self.now = end

    def handle_timeout(self) -> None:
        """Tell both ends the time, and carry what they then say."""
        for one in (self.alice, self.bob):
            one.take(one.machine.handle_timeout(self.now), self.now)
        self.drive()


class RawRemote:
    """A remote made by hand, at the other end of ``end.machine``; the handshake is done."""

    def __init__(
        self,
        *,
        key: PrivateKey = MALLORY,
        dials: bool = True,
        protocols: Protocols = PROTOCOLS,
        accepts: bool = True,
        seed: object = 0,
        now: float = 1000.0,
        observer: ConnectionObserver | None = None,
    ) -> None:
        self.now = now
        self.key = key
        self.snappy = False
        entropy = seeded(("remote", seed))
        remote = None if dials else key.public_key
        machine = Connection(
            BOB,
            make_hello(BOB, protocols),
            protocols,
            seeded(seed),
            now,
            remote=remote,
            observer=observer,
        )
        self.end = End(machine, accepts=accepts)
        packets = PacketBuffer(key)
        if dials:
            initiator = Initiator(key, BOB.public_key, entropy)
            self.receive(initiator.auth)
            packets.receive_data(self.output())
            opened = packets.next_packet()
            assert opened is not None
            secrets = initiator.receive_ack(*opened)
        else:
            packets.receive_data(self.output())
            opened = packets.next_packet()
            assert opened is not None
            recipient = Recipient(key, *opened, entropy)
            secrets = recipient.secrets
            self.receive(recipient.ack)
        self.writer = RawWriter(secrets.aes, secrets.mac, egress_mac(secrets))
        self.reader = FrameReader(secrets.aes, secrets.mac, ingress_mac(secrets))
        self.reader.receive_data(packets.rest())

    @property
    def machine(self) -> Connection:
        return self.end.machine

    def greet(self, version: int = 5) -> RawRemote:
        """Say a proper hello, and compress from here on if the version says so."""
        self.send(HELLO, encode_hello(make_hello(self.key, version=version)))
        self.frames()
        self.snappy = version >= 5
        return self

    def frame(self, code: int, data: bytes) -> bytes:
        """A frame with exactly this data; the next one must follow it."""
        return self.writer.seal(encode_uint(code) + data)

    def receive(self, data: bytes) -> list[Event]:
        """Give the machine bytes; returns the events that came of it."""
        before = len(self.end.events)
        self.end.take(self.machine.receive_data(data, self.now), self.now)
        return self.end.events[before:]

    def send(self, code: int, payload: bytes, *, snappy: bool | None = None) -> list[Event]:
        """Send a message, compressed if that is agreed, or as the test says."""
        compressed = self.snappy if snappy is None else snappy
        return self.receive(self.frame(code, bytes(compress(payload)) if compressed else payload))

    def wait(self, seconds: float) -> list[Event]:
        """Let time pass, and tell the machine."""
        self.now += seconds
        before = len(self.end.events)
        self.end.take(self.machine.handle_timeout(self.now), self.now)
        return self.end.events[before:]

    def output(self) -> bytes:
        """Every byte that the machine has to send now."""
        return b"".join(self.machine.data_to_send())

    def frames(self) -> list[tuple[int, bytes]]:
        """The frames that the machine has to send now, as (code, data), still compressed."""
        self.reader.receive_data(self.output())
        return [(code, bytes(data)) for code, data in self.reader.read(10_000)]


class RawWriter:
    """A writer of frames after the letter of rlpx.md ("Framing"), also ones that no writer makes.

    It shares only the counter mode and the hash with the library, and takes no short cut.
    """

    def __init__(self, key: bytes, mac_key: bytes, mac: Hasher) -> None:
        self._encrypt = ctr_stream(key)
        self._block = AES.new(mac_key, AES.MODE_ECB)
        self._mac = mac

    def seal(
        self, plain: bytes, *, size: int | None = None, rest: bytes = HEADER_REST, pad: int = 0
    ) -> bytes:
        """The frame whose data, code and all, is ``plain``.

        ``size`` is what its header claims, ``rest`` what follows there, ``pad`` the padding byte.
        """
        claimed = len(plain) if size is None else size
        header = self._encrypt(claimed.to_bytes(3, "big") + rest)
        sealed_header = header + self._tag(header)
        body = self._encrypt(plain + bytes([pad]) * (-len(plain) % 16))
        self._mac.update(body)
        return sealed_header + body + self._tag(self._mac.digest()[:16])

    def _tag(self, seed: bytes) -> bytes:
        mask = self._block.encrypt(self._mac.digest()[:16])
        self._mac.update(bytes(a ^ b for a, b in zip(mask, seed, strict=True)))
        return self._mac.digest()[:16]


class Memory:
    """Counts what Python allocates in a ``with`` block; ``peak`` is the most at any time."""

    peak = 0

    def __enter__(self) -> Memory:
        tracemalloc.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
