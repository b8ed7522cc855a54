"""Peer without a connection, for tests of code that takes a peer.

It is an object of the real class, joined to one end of a message pipe instead of a connection. Any
thread may use it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address

from p2p.arguments import check_type, wrong, wrong_type
from p2p.clock import SYSTEM_CLOCK
from p2p.crypto import PrivateKey
from p2p.enode import Node, generate_key
from p2p.errors import ArgumentError, DiscReason
from p2p.netutil import Endpoint, IPAddress, ip_of
from p2p.peers.peer import Peer, PeerTraits, ProtocolReadWriter
from p2p.peers.traffic import Totals, Traffic
from p2p.pipe import MsgPipe, msg_pipe
from p2p.protocol import Protocol
from p2p.rlpx import BASE_LENGTH, Cap, SharedCap

#: The addresses of both ends, from the networks for documentation (RFC 5737).
REMOTE_ADDR = Endpoint(IPv4Address("192.0.2.1"), 30303)
LOCAL_ADDR = Endpoint(IPv4Address("198.51.100.1"), 30303)


def make_peer(
    pipe: MsgPipe | None = None,
    *,
    name: str = "peer",
    caps: Sequence[tuple[str, int]] = (),
    node: Node | None = None,
    private_key: PrivateKey | None = None,
    remote_addr: tuple[IPAddress | str, int] = REMOTE_ADDR,
    local_addr: tuple[IPAddress | str, int] = LOCAL_ADDR,
    inbound: bool = False,
    static_dialed: bool = False,
    trusted: bool = False,
    logger: logging.Logger | None = None,
) -> Peer:
    """Return a peer without a connection, or one that is joined to the other end of ``pipe``.

    ``name`` and ``caps`` are those of its hello. ``node`` is its node; the default is a node at
    ``remote_addr`` with the key ``private_key``, by default a new one. The other options are
    attributes of :class:`~p2p.Peer`. ``peer.disconnect`` closes the pipe::

        ours, theirs = p2p.testing.msg_pipe(protocol)
        peer = p2p.testing.make_peer(theirs, name="old node", caps=[("MyProtocol", 1)])
        peer.disconnect(p2p.DiscReason.USELESS_PEER)
        ours.read_msg()  # raises PipeClosed

    Raises ArgumentError for a value of another type, and for an address that is none.
    """
    check_type("name", name, str, "a text")
    check_key("private_key", private_key)
    check_type("logger", logger, (logging.Logger, type(None)), "a logging.Logger, or None")
    remote = _endpoint("remote_addr", remote_addr)
    if pipe is None:
        pipe, _ = msg_pipe()
    check_type("pipe", pipe, MsgPipe, "an end of a message pipe, or None")
    if node is None:
        key = generate_key() if private_key is None else private_key
        node = Node.from_parts(key.public_key, *remote)
    check_type("node", node, Node, "a Node, or None")
    traits = PeerTraits(
        node=node,
        name=name,
        caps=caps_of(caps),
        inbound=inbound,
        static_dialed=static_dialed,
        trusted=trusted,
        remote_addr=remote,
        local_addr=_endpoint("local_addr", local_addr),
        compressed=True,
        offers=(),
        handlers=0,
    )
    logger = (logger or logging.getLogger("p2p")).getChild("peer")
    return _join(traits, pipe, logger)


def check_key(name: str, key: object) -> None:
    """Raise ArgumentTypeError unless ``key`` is a private key, or None."""
    check_type(name, key, (PrivateKey, type(None)), "a PrivateKey, or None")


def caps_of(caps: Iterable[tuple[str, int]]) -> list[Cap]:
    """Return the capabilities of a hello. Raises ArgumentError unless each is (name, version)."""
    wanted = 'pairs of name and version, such as [("eth", 68)]'
    check_type("caps", caps, Iterable, wanted)
    made = []
    for cap in caps:
        match cap:
            case (str(), int()):
                made.append(Cap(*cap))
            case _:
                raise wrong_type("caps", cap, wanted)
    return made


def _endpoint(name: str, address: tuple[IPAddress | str, int]) -> Endpoint:
    wanted = 'an address and a port, such as ("192.0.2.7", 30303)'
    match address:
        case (ip, int(port)) if 0 <= port <= 65535:
            try:
                return Endpoint(ip_of(ip), port)
            except ArgumentError:
                raise wrong(name, address, wanted) from None
    raise wrong_type(name, address, wanted)


def _join(traits: PeerTraits, pipe: MsgPipe, logger: logging.Logger) -> Peer:
    """Return the peer at one end of a pipe."""

    def disconnect(reason: DiscReason) -> None:
        pipe.close(reason)

    def closed() -> None:
        peer._connection_ended(pipe._error)
        peer._handlers_returned.open()
        peer._socket_closed()

    peer = Peer(traits, SYSTEM_CLOCK, logger, disconnect, pipe._outgoing, Traffic(Totals()))
    pipe._on_closed(closed)
    return peer


def add_protocol(peer: Peer, pipe: MsgPipe, protocol: Protocol) -> ProtocolReadWriter:
    """Add to ``peer`` the read-writer of ``protocol`` over its end of a pipe, and return it.

    Message codes in the pipe count from the protocol's offset on a connection, 16.
    """
    shared = SharedCap(protocol.cap, BASE_LENGTH, protocol.length)
    rw = ProtocolReadWriter(peer, protocol, shared, pipe._outgoing, lambda: None, None)
    rw._inbox = pipe._incoming
    peer._running.append(rw)
    return rw
