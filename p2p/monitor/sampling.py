"""Samples of the messages and packets that pass, taken where they pass.

``p2p-io`` and ``p2p-disc`` look at the first messages of a batch and keep some of them, as many as
the open pages want; ``p2p-monitor`` takes them and decodes. While no page is open, and once a
period has had its looks, connections are not observed, so a batch costs nothing. Nothing waits. A
race of the two threads for the last sample of a period is harmless.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from p2p.clock import Clock
from p2p.crypto.backend import Bytes
from p2p.discreason import DiscReason
from p2p.enode import NodeID
from p2p.monitor.decoding import BASE, MAX_PAYLOAD
from p2p.monitor.source import Watch
from p2p.netutil import Endpoint
from p2p.observe import (
    ConnectionEvent,
    ConnectionObserver,
    ConnectionSetup,
    DisconnectReceived,
    Hello,
    HelloReceived,
    IdentityKnown,
    MessagesReceived,
    SharedCap,
)
from p2p.rlpx import Cap

#: Messages of a batch that are looked at: the first ones, however long it is.
LOOKED_AT = 4
#: Bytes of a payload that the page shows.
SHOWN_BYTES = 64
#: One kind of message takes at most this share of the samples, so that rare ones are seen, too.
_KIND_SHARE = 4
#: Messages that are looked at for a sample; then there are no more in this period.
_LOOKS_PER_SAMPLE = 100

_HELLO, _DISCONNECT, _PING, _PONG = range(4)


class Sample(NamedTuple):
    """A message or packet as it passed.

    ``payload`` is None if it is too large to be kept, ``beginning`` has its first bytes. ``value``
    is the message itself if it is decoded already, ``name`` that of a packet.
    """

    t: float
    node_id: NodeID | None
    addr: Endpoint | None
    direction: str
    cap: str
    code: int | None
    size: int | None
    payload: bytes | None = None
    beginning: bytes = b""
    value: object = None
    name: str = ""


class Sampler:
    """The samples of one period after the other."""

    def __init__(self, clock: Clock) -> None:
        # fixed after __init__
        self._clock = clock
        # set before p2p-monitor starts
        #: Called when there may be looks again, and when there are none any more.
        self.changed: Callable[[], object] = _nothing
        # replaced by p2p-monitor, read by the threads that sample
        self._protocols: frozenset[str] | None = None
        self._node_ids: frozenset[NodeID] | None = None
        self._kind_limit = 1
        # set by p2p-monitor, changed by the threads that sample
        #: Messages still to be looked at in this period.
        self.looks = 0
        self._left = 0  # samples still wanted
        self._kinds: dict[tuple[str, str, int | str | None], int] = {}
        self._samples: deque[Sample] = deque()

    # p2p-monitor

    def begin_period(
        self, watch: Watch | None, period_s: float, node_ids: frozenset[NodeID] | None
    ) -> None:
        """Want as many samples as ``watch`` says, of these nodes; None: of all."""
        rate = 0 if watch is None else watch.samples_per_s
        # At least one: the next period may be longer than this one.
        number = max(1, round(rate * period_s)) if rate else 0
        self._protocols = None if watch is None else watch.protocols
        self._node_ids = node_ids
        self._kind_limit = max(1, number // _KIND_SHARE)
        self._kinds = {}
        self._left = number
        had_looks, self.looks = self.looks > 0, number * _LOOKS_PER_SAMPLE
        if had_looks or number:  # p2p-io may be about to use up those of the last period
            self.changed()

    def take(self) -> list[Sample]:
        """Return the samples since the last call."""
        return [self._samples.popleft() for _ in range(len(self._samples))]

    # threads that sample

    def wants(
        self, cap: str, direction: str, kind: int | str | None, node_id: NodeID | None
    ) -> bool:
        """Whether a message is to be sampled; it counts as one then."""
        self.looks -= 1
        if self.looks == 0:
            self.changed()
        if self._left <= 0 or not (self._protocols is None or cap in self._protocols):
            return False
        if self._node_ids is not None and node_id not in self._node_ids:
            return False
        kinds, key = self._kinds, (cap, direction, kind)
        taken = kinds.get(key, 0)
        if taken >= self._kind_limit:
            return False
        kinds[key] = taken + 1
        self._left -= 1
        if self._left == 0 and self.looks > 0:
            self.looks = 0
            self.changed()
        return True

    def add(
        self,
        node_id: NodeID | None,
        addr: Endpoint | None,
        direction: str,
        cap: str,
        code: int | None,
        payload: bytes = b"",
        size: int | None = None,
        value: object = None,
        name: str = "",
    ) -> None:
        """Keep a message that is wanted."""
        whole = payload if len(payload) <= MAX_PAYLOAD else None
        size = len(payload) if size is None else size
        self._samples.append(
            Sample(
                self._clock.time_unix(), node_id, addr, direction, cap, code, size, whole,
                payload[:SHOWN_BYTES], value, name,
            )
        )  # fmt: skip


def _nothing() -> None:
    """Do nothing; the default callback."""


class ConnectionSampler(ConnectionObserver):
    """Observer of one connection. ``p2p-io`` only; it keeps no key and no secret.

    Hellos and Disconnects it gets decoded. Pings and pongs are in frames alone: ours are framed by
    themselves, those of the remote are seen if they are among the first of a batch.
    """

    def __init__(self, sampler: Sampler, addr: Endpoint) -> None:
        self._sampler = sampler
        self._addr = addr
        self._hello: Hello | None = None
        self._node_id: NodeID | None = None
        self._shared: Sequence[SharedCap] = ()
        self._caps: list[str] = []

    def setup(self, setup: ConnectionSetup) -> None:
        self._hello = setup.hello
        if setup.remote is not None:
            self._node_id = NodeID.from_public_key(setup.remote)

    def events(self, events: Sequence[ConnectionEvent]) -> None:
        for event in events:
            if isinstance(event, MessagesReceived):
                if self._sampler.looks > 0:
                    self._received(event)
            elif isinstance(event, IdentityKnown):
                self._node_id = NodeID.from_public_key(event.public_key)
            elif isinstance(event, HelloReceived):
                self._shared = event.shared
                self._caps = [str(shared.cap) for shared in event.shared]
                self._base("out", _HELLO, self._hello)
                self._base("in", _HELLO, event.hello)
            elif isinstance(event, DisconnectReceived):
                self._base("in", _DISCONNECT, event.reason)

    def command(self, name: str, *arguments: object) -> None:
        if name == "send_messages" and self._sampler.looks > 0:
            (messages,) = arguments
            assert isinstance(messages, list)
            for code, payload in messages[:LOOKED_AT]:
                self._sent(code, payload)
        elif name == "disconnect":
            self._base("out", _DISCONNECT, arguments[0])

    def frames_in(self, frames: Sequence[tuple[int, Bytes]]) -> None:
        if self._sampler.looks > 0:
            self._alive("in", frames)

    def frames_out(self, frames: Sequence[tuple[int, Bytes]]) -> None:
        if self._sampler.looks > 0:
            self._alive("out", frames)

    def _alive(self, direction: str, frames: Sequence[tuple[int, Bytes]]) -> None:
        for code, _ in frames[:LOOKED_AT]:
            if code == _PING or code == _PONG:
                self._base(direction, code)

    def _received(self, run: MessagesReceived) -> None:
        cap = self._caps[run.capability]
        for code, payload, _ in run.messages[:LOOKED_AT]:
            if self._sampler.wants(cap, "in", code, self._node_id):
                self._sampler.add(self._node_id, self._addr, "in", cap, code, payload)

    def _sent(self, wire_code: int, payload: bytes) -> None:
        for shared, cap in zip(self._shared, self._caps, strict=True):
            code = wire_code - shared.offset
            if 0 <= code < shared.length:
                if self._sampler.wants(cap, "out", code, self._node_id):
                    self._sampler.add(self._node_id, self._addr, "out", cap, code, payload)
                return

    def _base(self, direction: str, code: int, value: object = None) -> None:
        if self._sampler.wants(BASE, direction, code, self._node_id):
            value = _of_base(value)
            self._sampler.add(self._node_id, self._addr, direction, BASE, code, value=value)


class _BaseHello(NamedTuple):
    name: str
    version: int
    caps: list[str]


class _BaseDisconnect(NamedTuple):
    reason: str


def _of_base(value: object) -> object:
    """Return what the page shows of a message of the base protocol."""
    if isinstance(value, Hello):
        caps = [str(Cap(*cap)) for cap in value.caps]
        return _BaseHello(value.name, value.version, caps)
    return _BaseDisconnect(value.name) if isinstance(value, DiscReason) else None
