"""Definition of a sub-protocol; a program passes one to the server for each that it speaks.

A protocol is immutable data and may be shared by servers and threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from p2p.arguments import check_function, check_int, check_type, of_options, wrong
from p2p.enode.topic import topic_id
from p2p.rlpx import Cap

if TYPE_CHECKING:
    from p2p.enode import Node
    from p2p.message import MsgReadWriter
    from p2p.peers.peer import Peer

#: Limit on the codes of a protocol. Real ones have less than 64; a code is a 64-bit number.
MAX_LENGTH = 2**32


@dataclass(frozen=True, slots=True)
class Protocol:
    """A sub-protocol.

    ``name`` and ``version`` are its capability; ``length`` is the number of its message codes, at
    least 1. rlpx.md demands a name of at most eight ASCII characters; go-ethereum and this library
    accept longer ones, others may not: see docs/reference/peers.md.

    ``run(peer, rw)`` is called in a thread of its own for each peer that has the capability; the
    connection ends when it returns (DiscReason.QUITTING) or raises. An exception about this
    connection, or raised by the program, ends it with its ``disc_reason``; any other is a failure
    (DiscReason.SUBPROTOCOL_ERROR). It is a plain function: a call of a coroutine or generator
    function would run nothing. None: there is no handler and no thread; the program reads and
    writes with ``Peer.open(name)``, of a peer from ``Server.connect`` or ``Server.accept``.

    ``node_info()`` and ``peer_info(id)`` return the protocol's part of ``Server.node_info`` and
    ``Peer.info``; ``peer_info`` may return None while its own handshake goes on. ``attributes`` are
    entries of our node record, by key. ``dial_candidates`` are nodes worth dialing for this
    protocol: a collection, which is read again and again, or an iterator, which may block and is
    read once. ``topic`` is the name of a topic, or its identifier of 32 bytes: a server with
    ``discovery_topics`` advertises itself under it if it listens, and dials nodes that it finds
    under it, beside those of other sources.

    Raises ConfigError, naming the option, for values of other types or out of range.
    """

    name: str
    version: int
    length: int
    run: Callable[[Peer, MsgReadWriter], object] | None = None
    node_info: Callable[[], Any] | None = None
    peer_info: Callable[[bytes], Any] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    dial_candidates: Iterable[Node] | None = None
    topic: str | bytes | None = None

    @of_options()
    def __post_init__(self) -> None:
        wanted = "printable text, since other nodes compare and show it"
        check_type("Protocol.name", self.name, str, wanted)
        if not self.name or not self.name.isprintable():
            raise wrong("Protocol.name", self.name, wanted)
        _check_number("version", self.version, 0, 2**32 - 1)
        if self.length == 0 and type(self.length) is int:
            wanted = (
                "at least 1 (without a message code nothing can be written, and the other end "
                "would refuse each message as one of no protocol)"
            )
            raise wrong("Protocol.length", self.length, wanted)
        _check_number("length", self.length, 1, MAX_LENGTH)
        if self.run is not None:
            check_function("Protocol.run", self.run, "peer", "rw")
        if self.node_info is not None:
            check_function("Protocol.node_info", self.node_info)
        if self.peer_info is not None:
            check_function("Protocol.peer_info", self.peer_info, "id")
        check_type("Protocol.attributes", self.attributes, Mapping, "a mapping")
        for key in self.attributes:
            check_type("key of Protocol.attributes", key, str, "a str")
        if self.dial_candidates is not None:
            wanted = "an iterable of nodes, or None"
            check_type("Protocol.dial_candidates", self.dial_candidates, Iterable, wanted)
        if self.topic is not None:
            topic_id(self.topic, "Protocol.topic")

    @property
    def cap(self) -> Cap:
        """The capability, as in the hello."""
        return Cap(self.name, self.version)


def _check_number(option: str, value: object, least: int, most: int) -> None:
    check_int(f"Protocol.{option}", value, least, most, f"a number from {least} to {most}")
