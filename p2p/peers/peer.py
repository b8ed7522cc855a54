"""Peers: the public objects for a connected node and for each protocol on its connection.

A :class:`Peer` is made on the I/O thread when a connection has passed all checks. Each protocol
that both ends have gets a :class:`ProtocolReadWriter`. If the protocol has a handler, a worker
thread (:mod:`p2p.threads`) runs the handler with it; without a handler, :meth:`Peer.open` returns
it. These objects reach the I/O thread only through mailboxes and the functions passed to them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Container, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

from p2p import forks
from p2p.arguments import check_type, wrong
from p2p.clock import Clock, checked_timeout
from p2p.enode import Node, NodeID
from p2p.errors import (
    DiscReason,
    NoSharedCapability,
    P2PError,
    PeerDisconnected,
    Timeout,
    checked_reason,
)
from p2p.feed import Feed
from p2p.latch import Latch
from p2p.mailbox import Mailbox
from p2p.message import Msg, MsgReadWriter, outgoing
from p2p.netutil import Endpoint, printable
from p2p.observe import HandlerState
from p2p.peers.event import PeerEvent
from p2p.peers.handletimes import Stopwatch
from p2p.peers.traffic import PeerCounters, Traffic
from p2p.protocol import Protocol
from p2p.rlpx import Cap, SharedCap

if TYPE_CHECKING:
    _LoggerAdapter = logging.LoggerAdapter[logging.Logger]
else:  # not subscriptable in Python 3.10
    _LoggerAdapter = logging.LoggerAdapter

#: Characters of a node's name that are shown, as in go-ethereum.
NAME_LENGTH = 20
#: Longest text of a remote name; a longer one is cut wherever it is shown. Hello allows 2 KiB.
FULLNAME_LENGTH = 255

_connection_ids = count(1)


@dataclass(frozen=True)
class PeerTraits:
    """Properties of a connection, known to the I/O thread when it makes a peer of it."""

    node: Node
    name: str
    caps: Sequence[Cap]
    inbound: bool
    static_dialed: bool
    trusted: bool
    remote_addr: Endpoint
    local_addr: Endpoint
    compressed: bool
    offers: Sequence[Cap]
    handlers: int


class Peer:
    """A connected node. Any thread may use it.

    ``id`` is the 32-byte node ID, ``node`` its node (with the address it was dialed at, or that it
    came from), ``caps`` the capabilities it announced. ``inbound`` is true if the remote dialed,
    ``static_dialed`` if we dialed it as a static node, ``dyn_dialed`` if we dialed it for another
    reason, ``trusted`` if it may be connected beyond ``max_peers``. ``remote_addr`` and
    ``local_addr`` are the endpoints of the connection. ``connection_id`` numbers the connection
    within this process; messages and errors have it, too. ``counters`` has the traffic so far;
    ``is_connected``, ``wait_closed`` and ``disconnect_reason`` are about the end of the connection.
    """

    # so that Mock(spec=Peer) has them
    __slots__ = (
        *("id", "node", "fullname", "caps", "inbound", "static_dialed", "dyn_dialed", "trusted"),
        *("remote_addr", "local_addr", "connection_id", "__dict__", "__weakref__"),
    )

    def __init__(
        self,
        traits: PeerTraits,
        clock: Clock,
        logger: logging.Logger,
        disconnect: Callable[[DiscReason], None],
        outbox: Mailbox,
        traffic: Traffic,
    ) -> None:
        # fixed after __init__
        self.id: NodeID = traits.node.id
        self.node: Node = traits.node
        self.fullname: str = printable(traits.name, FULLNAME_LENGTH)
        self.caps: tuple[Cap, ...] = tuple(traits.caps)
        self.inbound: bool = traits.inbound
        self.static_dialed: bool = traits.static_dialed
        self.dyn_dialed: bool = not traits.inbound and not traits.static_dialed
        self.remote_addr: Endpoint = traits.remote_addr
        self.local_addr: Endpoint = traits.local_addr
        self._logger = logger
        self._compressed = traits.compressed
        self._offers = tuple(traits.offers)
        self._handler_count = traits.handlers
        self._clock = clock
        self._created = clock.monotonic()
        self._disconnect = disconnect
        self.connection_id: int = next(_connection_ids)
        self._outbox = outbox
        self._traffic = traffic
        # opened by workers and p2p-io, waited for by any thread
        self._closed = Latch()
        self._handlers_begun = Latch(traits.handlers)
        self._handlers_returned = Latch()
        self._process = forks.here
        # fixed before the peer is shown to any other thread
        self._running: list[ProtocolReadWriter] = []
        # set once, by any thread, when connect, accept or open returns the peer or a protocol of it
        self._is_taken = False
        # owned by p2p-io, read by any thread
        self.trusted: bool = traits.trusted
        self._is_unserved = False  # it left while its handlers waited for those of the previous one
        self._ended: float | None = None
        self._ending: Callable[[], PeerDisconnected] | None = None

    @property
    def name(self) -> str:
        """The name the node gave itself, cut after 20 characters; control characters escaped."""
        return printable(self.fullname, NAME_LENGTH)

    @cached_property
    def log(self) -> _LoggerAdapter:
        """A logger that puts the peer at the start of every line."""
        return _PeerLog(self._logger, {"peer": str(self)})

    @property
    def lifetime(self) -> float:
        """Seconds from when it became a peer until now, or until the connection ended."""
        ended = self._ended
        return (self._clock.monotonic() if ended is None else ended) - self._created

    @property
    def counters(self) -> PeerCounters:
        """Bytes of the TCP stream, and messages of each capability, in and out so far."""
        return self._traffic.counters()

    @property
    def is_connected(self) -> bool:
        """Whether messages can still be written.

        False as soon as either end has ended the connection. The peer leaves ``Server.peers``
        shortly after, when earlier messages have been sent and the socket is closed.
        """
        return not self._outbox.is_closed

    @property
    def disconnect_reason(self) -> PeerDisconnected | None:
        """The error with the reason of the connection's end, or None while it is open.

        ``reason`` is the DiscReason, ``by_remote`` says whether the remote gave it, ``__cause__``
        is the error behind it, if there is one. ``read_msg`` raises an equal one.
        """
        if self._ending is not None:
            return self._ending()
        error = self._outbox.error
        return error if isinstance(error, PeerDisconnected) else None

    @property
    def handlers(self) -> list[HandlerState]:
        """The state of each handler: what it has read, what waits for it, and its thread."""
        self._process.check("peer")
        return [_state_of(rw) for rw in self._running if rw.protocol.run is not None]

    def wait_closed(self, timeout: float | None = None) -> None:
        """Wait until the connection has ended and the peer has left ``Server.peers``.

        Waits at most ``timeout`` seconds (None: forever), then raises Timeout. Handlers may
        not have returned yet. Raises WrongProcess in a forked child.
        """
        self._process.check("peer")
        timeout = checked_timeout(timeout)
        if not self._closed.wait(timeout):
            raise Timeout(f"connection with {self} has not ended within {timeout:g} s")

    def open(self, name: str, version: int | None = None) -> ProtocolReadWriter:
        """Return the read-writer of a protocol that has no handler (``Protocol.run`` is None).

        ``version`` must be the one in use, the highest that both ends have; None accepts any.
        Each call returns the same read-writer, and any thread may use it. Closing it, or leaving
        its ``with`` block, ends the connection, with all of its protocols. Messages that the peer
        sent before the call can be read, even after it has left; when there are no more,
        ``read_msg`` raises PeerDisconnected. While a megabyte is unread, nothing is read from the
        peer::

            with server.connect(node).open("MyProtocol") as rw:
                rw.send_items(0, "foo")
                print(rw.read_msg(timeout=10).decode(tuple[str]))

        Raises NoSharedCapability if the peer does not have the protocol, ArgumentError if the
        server does not have it or has a handler for it, and WrongProcess in a forked child.
        """
        self._process.check("peer")
        check_type("name", name, str, "the name of a protocol")
        if version is not None:
            check_type("version", version, int, "a version of the protocol, or None")
        rw = self._find(name, version)
        if rw.protocol.run is not None:
            raise wrong("name", str(rw.protocol.cap), "a protocol without a handler; it has one")
        self._is_taken = True
        return rw

    def running_cap(self, protocol: str, versions: Sequence[int]) -> bool:
        """Whether one of the ``versions`` of ``protocol`` is in use on the connection."""
        check_type("protocol", protocol, str, "the name of a protocol")
        check_type("versions", versions, Container, "a list of versions")
        return any(
            rw.protocol.name == protocol and rw.protocol.version in versions
            for rw in self._running
        )

    def disconnect(self, reason: int = DiscReason.REQUESTED) -> None:
        """End the connection with ``reason``, a DiscReason or its number. Returns at once.

        Messages written before are still sent, then the reason. The first reason counts. Raises
        ArgumentError if the reason is no such number, and WrongProcess in a forked child.
        """
        self._process.check("peer")
        self._disconnect(checked_reason(reason))

    def info(self) -> dict[str, Any]:
        """Return information about the peer, under the keys of go-ethereum's ``PeerInfo``."""
        info: dict[str, Any] = {
            "enode": self.node.url,
            "id": str(self.id),
            "name": self.fullname,
            "caps": [printable(str(cap), FULLNAME_LENGTH) for cap in self.caps],
            "network": {
                "localAddress": str(self.local_addr),
                "remoteAddress": str(self.remote_addr),
                "inbound": self.inbound,
                "trusted": self.trusted,
                "static": self.static_dialed,
            },
            "protocols": {rw.protocol.name: self._protocol_info(rw) for rw in self._running},
        }
        if self.node.seq > 0:
            info = {"enr": str(self.node), **info}
        return info

    # p2p-io

    def _connection_ended(self, ending: Callable[[], PeerDisconnected]) -> None:
        """Note the end of the connection; ``ending`` makes its error."""
        self._ending = ending
        self._ended = self._clock.monotonic()

    def _socket_closed(self) -> None:
        """Wake the callers of :meth:`wait_closed`."""
        self._closed.open()

    # inside

    def _find(self, name: str, version: int | None) -> ProtocolReadWriter:
        """Return the read-writer of a protocol in use, or raise the precise error."""
        for rw in self._running:
            if rw.protocol.name == name and version in (None, rw.protocol.version):
                return rw
        asked = name if version is None else Cap(name, version)
        if not any(cap.name == name and version in (None, cap.version) for cap in self._offers):
            raise wrong("name", str(asked), f"one of our protocols, {_join(self._offers)}")
        in_use = _join(rw.protocol.cap for rw in self._running)
        text = f"{asked} is not in use with {self}; in use: {in_use}"
        raise NoSharedCapability(text, self._offers, self.caps)

    def _protocol_info(self, rw: ProtocolReadWriter) -> Any:
        if rw.protocol.peer_info is None:
            return "unknown"
        known = rw.protocol.peer_info(self.id)
        return "handshake" if known is None else known

    def __str__(self) -> str:
        return f"{self.id.short} {self.remote_addr}"

    def __repr__(self) -> str:
        way = "inbound" if self.inbound else "dialed"
        return f"Peer({self.id.short}… at {self.remote_addr}, {way}, {self.fullname!r})"


class ProtocolReadWriter(MsgReadWriter):
    """The end of a connection for one protocol: for its handler, or from ``open``. Any thread."""

    __slots__ = ("connection_id", "protocol")  # for mocks, like the slots of Peer

    def __init__(
        self,
        peer: Peer,
        protocol: Protocol,
        shared: SharedCap,
        outbox: Mailbox,
        on_room: Callable[[], object],
        events: Feed[PeerEvent] | None,
    ) -> None:
        # fixed after __init__
        self.protocol = protocol
        self._inbox = Mailbox(on_room=on_room)
        self.connection_id = peer.connection_id
        # fixed before a handler has it; only for one with a handler
        self._stopwatch: Stopwatch | None = None
        # owned by the threads that read
        self._timing: Stopwatch | None = None  # the stopwatch, while it runs
        self._batch = -1.0  # time of arrival of the last batch from the socket
        # set by the worker while the handler runs, for reports
        self._thread: threading.Thread | None = None
        self._peer = peer
        self._offset = shared.offset
        self._length = shared.length
        self._outbox = outbox
        self._events = events

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written any more; messages received before may still be read.

        True as soon as either end has ended the connection; ``Peer.disconnect_reason`` has the
        reason.
        """
        return self._outbox.is_closed

    @property
    def disconnect_reason(self) -> PeerDisconnected | None:
        """The error with the reason of the connection's end, ``Peer.disconnect_reason``."""
        return self._peer.disconnect_reason

    def close(self, reason: int = DiscReason.REQUESTED) -> None:
        """End the connection, with all of its protocols, as ``Peer.disconnect`` does.

        Returns at once; messages written before are still sent, then the reason. The first reason
        counts. Raises ArgumentError if the reason is no number of a reason. In a forked child it
        does nothing.
        """
        reason = checked_reason(reason)
        if self._peer._process.is_here:
            self._peer._disconnect(reason)

    def read_msg(self, timeout: float | None = None) -> Msg:
        if self._timing is not None:
            self._end_timing()
        try:
            code, payload, received_at = self._inbox.get(timeout)
        except P2PError as error:
            error.connection_id = self.connection_id
            raise
        if received_at != self._batch:
            self._begin_batch(code, received_at)
        msg = Msg(code, payload, received_at, self.connection_id)
        if self._events is not None:
            self._publish("msgrecv", msg.code, msg.size)
        return msg

    def write_msg(self, msg: Msg) -> None:
        offset, compressed = self._offset, self._peer._compressed
        code, payload = outgoing(msg, self._length, self.protocol.cap, offset, compressed)
        try:
            self._outbox.put((offset + code, payload))
        except P2PError as error:
            error.connection_id = self.connection_id
            raise
        if self._events is not None:
            self._publish("msgsend", code, len(payload))

    def _begin_batch(self, code: int, received_at: float) -> None:
        """Time the first message of a batch, if a handler reads it."""
        self._batch = received_at
        if self._stopwatch is not None:
            self._stopwatch.start(code)
            self._timing = self._stopwatch

    def _end_timing(self) -> None:
        """End the time of a message that a handler has read, if one is being timed."""
        timing, self._timing = self._timing, None
        if timing is not None:  # else another thread that reads has ended it
            timing.stop()

    def _publish(self, kind: Any, code: int, size: int) -> None:
        assert self._events is not None
        self._events.publish(
            PeerEvent(
                type=kind,
                peer=self._peer.id,
                protocol=self.protocol.name,
                msg_code=code,
                msg_size=size,
                local=self._peer.local_addr,
                remote=self._peer.remote_addr,
            )
        )

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else "open"
        return f"<read-writer of {self.protocol.cap} with {self._peer}, {state}>"


def _state_of(rw: ProtocolReadWriter) -> HandlerState:
    inbox = rw._inbox
    return HandlerState(
        rw.protocol.cap,
        inbox.gets,
        len(inbox),
        inbox.size_bytes,
        inbox.has_reader,
        rw._thread,
    )


def _join(caps: Iterable[Cap]) -> str:
    return ", ".join(str(cap) for cap in caps) or "none"


class _PeerLog(_LoggerAdapter):
    """A logger adapter that puts the peer at the start of every line."""

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        assert self.extra is not None
        return f"{self.extra['peer']}: {msg}", kwargs

