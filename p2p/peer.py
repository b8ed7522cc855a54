"""Peers: what a program sees of a connected node, and of its protocols' ends of the connection.

A :class:`Peer` is made on the I/O thread when a connection has passed all checks. Each protocol it
shares with us gets a :class:`ProtocolReadWriter`, and a worker thread (:mod:`p2p.worker`) that
runs the protocol's handler with it. Both reach the I/O thread through mailboxes and through the
functions that they were given, and in no other way.
"""

from __future__ import annotations

import logging
import operator
import threading
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from p2p.clock import Clock
from p2p.enode import Node, NodeID
from p2p.errors import (
    CodeOutOfRange,
    ConfigError,
    DiscReason,
)
from p2p.events import Feed, PeerEvent
from p2p.mailbox import Mailbox
from p2p.message import Msg, MsgReadWriter
from p2p.netutil import join_host_port
from p2p.protocol import Protocol
from p2p.rlpx import Cap, SharedCap, check_fits

if TYPE_CHECKING:
    _LoggerAdapter = logging.LoggerAdapter[logging.Logger]
else:  # not subscriptable in Python 3.10
    _LoggerAdapter = logging.LoggerAdapter

#: Go shows this much of a node's name.
NAME_LENGTH = 20
#: A name longer than this is cut wherever it is shown; hello allows 2 KiB.
FULLNAME_LENGTH = 255


@dataclass(frozen=True)
class PeerTraits:
    """What the I/O thread knows of a connection when it makes a peer of it."""

    node: Node
    name: str
    caps: Sequence[Cap]
    inbound: bool
    static_dialed: bool
    trusted: bool
    remote_addr: tuple[str, int]
    local_addr: tuple[str, int]
    compressed: bool


class Peer:
    """A connected node. Any thread may use it.

    ``id`` is the 32-byte node ID, ``node`` its node (with the address it was dialed at, or that it
    came from), ``caps`` the capabilities it announced. ``inbound`` says who dialed;
    ``static_dialed`` that we did because it is a static node, ``dyn_dialed`` that we did for
    another reason; ``trusted`` that it may be connected beyond ``max_peers``. ``remote_addr`` and
    ``local_addr`` are (address, port) pairs.
    """

    def __init__(
        self,
        traits: PeerTraits,
        clock: Clock,
        logger: logging.Logger,
        disconnect: Callable[[DiscReason], None],
    ) -> None:
        # fixed after __init__
        self.id: NodeID = traits.node.id
        self.node: Node = traits.node
        self.fullname: str = printable(traits.name, FULLNAME_LENGTH)
        self.caps: tuple[Cap, ...] = tuple(traits.caps)
        self.inbound: bool = traits.inbound
        self.static_dialed: bool = traits.static_dialed
        self.dyn_dialed: bool = not traits.inbound and not traits.static_dialed
        self.remote_addr: tuple[str, int] = traits.remote_addr
        self.local_addr: tuple[str, int] = traits.local_addr
        self._logger = logger
        self._compressed = traits.compressed
        self._clock = clock
        self._created = clock.monotonic()
        self._disconnect = disconnect
        # fixed before the peer is shown to any other thread
        self.running: list[ProtocolReadWriter] = []
        # owned by p2p-io, read by any thread
        self.trusted: bool = traits.trusted

    @property
    def name(self) -> str:
        """What the node calls itself, cut after 20 characters; control characters are escaped."""
        return printable(self.fullname, NAME_LENGTH)

    @cached_property
    def log(self) -> _LoggerAdapter:
        """A logger that puts the peer in front of every line."""
        return _PeerLog(self._logger, {"peer": str(self)})

    @property
    def lifetime(self) -> float:
        """Seconds since it became a peer."""
        return self._clock.monotonic() - self._created

    def running_cap(self, protocol: str, versions: Sequence[int]) -> bool:
        """Whether one of these versions of ``protocol`` is in use on the connection."""
        return any(
            rw.protocol.name == protocol and rw.protocol.version in versions
            for rw in self.running
        )

    def disconnect(self, reason: int = DiscReason.REQUESTED) -> None:
        """End the connection; returns at once.

        What was written before is still sent, then the reason. The first reason counts.
        """
        try:
            self._disconnect(DiscReason(reason))
        except ValueError:
            raise ConfigError(f"reason must be a number from 0 up, not {reason!r}") from None

    def info(self) -> dict[str, Any]:
        """What is known of the peer, under the keys of go-ethereum's ``PeerInfo``."""
        info: dict[str, Any] = {
            "enode": self.node.url,
            "id": str(self.id),
            "name": self.fullname,
            "caps": [printable(str(cap), FULLNAME_LENGTH) for cap in self.caps],
            "network": {
                "localAddress": join_host_port(*self.local_addr),
                "remoteAddress": join_host_port(*self.remote_addr),
                "inbound": self.inbound,
                "trusted": self.trusted,
                "static": self.static_dialed,
            },
            "protocols": {rw.protocol.name: self._protocol_info(rw) for rw in self.running},
        }
        if self.node.seq > 0:
            info = {"enr": str(self.node), **info}
        return info

    def _protocol_info(self, rw: ProtocolReadWriter) -> Any:
        if rw.protocol.peer_info is None:
            return "unknown"
        known = rw.protocol.peer_info(self.id)
        return "handshake" if known is None else known

    def __str__(self) -> str:
        return f"{self.id.short} {join_host_port(*self.remote_addr)}"

    def __repr__(self) -> str:
        way = "inbound" if self.inbound else "dialed"
        where = join_host_port(*self.remote_addr)
        return f"Peer({self.id.short}… at {where}, {way}, {self.fullname!r})"


class ProtocolReadWriter(MsgReadWriter):
    """A protocol's end of a connection, as handlers get it. Any thread may use it."""

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
        self.inbox = Mailbox(on_room=on_room)
        # set by the worker while the handler runs, for reports
        self.thread: threading.Thread | None = None
        self._peer = peer
        self._offset = shared.offset
        self._length = shared.length
        self._outbox = outbox
        self._events = events

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be written any more; what has arrived before may still be read."""
        return self._outbox.is_closed

    def read_msg(self, timeout: float | None = None) -> Msg:
        msg = Msg(*self.inbox.get(timeout))
        if self._events is not None:
            self._publish("msgrecv", msg)
        return msg

    def write_msg(self, msg: Msg) -> None:
        code, payload = operator.index(msg.code), msg.payload
        if not 0 <= code < self._length:
            raise CodeOutOfRange(f"message code is {code}, {self.protocol.cap} has {self._length}")
        if type(payload) is not bytes:
            payload = bytes(memoryview(payload))  # bytes(5) would be five zero bytes
        check_fits(payload, self._peer._compressed)
        self._outbox.put((self._offset + code, payload))
        if self._events is not None:
            self._publish("msgsend", msg)

    def _publish(self, kind: Any, msg: Msg) -> None:
        assert self._events is not None
        self._events.publish(
            PeerEvent(
                type=kind,
                peer=self._peer.id,
                protocol=self.protocol.name,
                msg_code=msg.code,
                msg_size=msg.size,
                local=join_host_port(*self._peer.local_addr),
                remote=join_host_port(*self._peer.remote_addr),
            )
        )

    def __repr__(self) -> str:
        return f"<read-writer of {self.protocol.cap} with {self._peer}>"


def printable(text: str, limit: int) -> str:
    """``text`` from a stranger, fit for a terminal and a log: escaped, and cut with an ellipsis."""
    shown = text
    if not text.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= limit else shown[:limit] + "..."


class _PeerLog(_LoggerAdapter):
    """Puts the peer in front of every line."""

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        assert self.extra is not None
        return f"{self.extra['peer']}: {msg}", kwargs

