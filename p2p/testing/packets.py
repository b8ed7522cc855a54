"""Scripted discovery v4: packets that the test sends and reads one by one.

A :class:`PacketScript` makes the packets of one node. A :class:`DiscoveryRemote` sends them from a
UDP socket on loopback. No thread is started; one thread at a time may use each of them.
"""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from typing import Any, TypeVar, get_args

from p2p.arguments import bytes_of, check_type, wrong, wrong_type
from p2p.clock import SYSTEM_CLOCK, Clock, Deadline, nonnegative_timeout
from p2p.crypto import PrivateKey, PublicKey
from p2p.discover.v4 import wire
from p2p.discover.v4.packet import (
    ENRRequest,
    ENRResponse,
    FindNode,
    Packet,
    Ping,
    Pong,
)
from p2p.discover.v4.wire import Received
from p2p.enode import Node, NodeID, generate_key
from p2p.errors import ServerStateError
from p2p.net import bind_udp
from p2p.net.sockaddr import endpoint_of
from p2p.netutil import Endpoint, NodeEndpoint
from p2p.server import Server
from p2p.testing.failures import of_whole, socket_timeout
from p2p.testing.peers import check_key
from p2p.testing.readwriter import PATIENCE_S

#: Lifetime of packets in seconds, as in go-ethereum.
EXPIRATION_S = 20
#: Packets of other types that :meth:`DiscoveryRemote.expect` skips at most when its time is over.
MAX_SKIPPED = 1024
#: Size in bytes that no datagram exceeds.
_MAX_DATAGRAM = 65536

P = TypeVar("P", bound=Packet)
D = TypeVar("D", bound="DiscoveryRemote")


class PacketScript(ABC):
    """A node whose packets the test makes. ``key`` is its key, ``endpoint`` its UDP endpoint.

    ``enr_seq`` is the sequence number of its record in pings and pongs; None: they have none.
    """

    def __init__(self, key: PrivateKey, endpoint: Endpoint) -> None:
        self.key = key
        self.endpoint = endpoint
        self.id = NodeID.from_public_key(key.public_key)
        self.enr_seq: int | None = None

    @abstractmethod
    def now_unix(self) -> float:
        """Return the time for the expiration of packets, in seconds since 1970."""

    def encode(self, packet: Packet) -> tuple[bytes, bytes]:
        """Return the datagram of a packet and its hash."""
        return wire.encode(self.key, packet)

    @property
    def expiration(self) -> int:
        """The expiration of a packet that is sent now, in seconds since 1970."""
        return int(self.now_unix()) + EXPIRATION_S

    def make_ping(self, to: Endpoint, **changes: Any) -> Ping:
        """Return a ping to ``to``; ``changes`` replace its fields by name."""
        here = NodeEndpoint(*self.endpoint, self.endpoint.port)
        fields: dict[str, Any] = {
            "version": 4,
            "sender": here,
            "recipient": NodeEndpoint(*to, 0),
            "expiration": self.expiration,
            "enr_seq": self.enr_seq,
        }
        return Ping(**{**fields, **changes})

    def make_pong(self, ping_hash: bytes, to: Endpoint, **changes: Any) -> Pong:
        """Return the pong to a ping from ``to``; ``changes`` replace its fields by name."""
        fields: dict[str, Any] = {
            "recipient": NodeEndpoint(*to, 0),
            "ping_hash": ping_hash,
            "expiration": self.expiration,
            "enr_seq": self.enr_seq,
        }
        return Pong(**{**fields, **changes})


def local_host(to: Endpoint) -> str:
    """Return the address of this machine from which ``to`` is reached. Sends nothing."""
    family = socket.AF_INET if to.ip.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((str(to.ip), to.port))
        host: str = probe.getsockname()[0]
    return host


def receive_from(sender: Endpoint, sock: socket.socket, deadline: Deadline) -> bytes | None:
    """Return the next datagram from ``sender``, None at the deadline; others are dropped."""
    while True:
        sock.settimeout(socket_timeout(deadline))
        try:
            data, address = sock.recvfrom(_MAX_DATAGRAM)
        except (TimeoutError, BlockingIOError):
            return None
        if endpoint_of(address) == sender:
            return data
        if deadline.is_over:  # others may send without end
            return None


class DiscoveryRemote(PacketScript):
    """A node on a UDP socket that talks to ``node``, packet by packet.

    The socket has the address ``host``, by default the one of this machine from which ``node`` is
    reached, for a node on loopback 127.0.0.1 or ::1::

        with p2p.testing.DiscoveryRemote(server) as remote:
            remote.bond()
            remote.find_node(remote.key.public_key)
            print(remote.expect(p2p.testing.Neighbors).nodes)

    It sends no answer on its own, and drops packets from any other address. ``key`` is its private
    key, by default a new one. ``clock`` is for the expiration of its packets, by default the clock
    of the server, or of the system for a Node. One thread at a time. Raises ArgumentError for a
    node without an address or a UDP port.
    """

    def __init__(
        self,
        node: Node | Server,
        key: PrivateKey | None = None,
        clock: Clock | None = None,
        host: str | None = None,
    ) -> None:
        check_type("node", node, (Node, Server), "a Node or a Server")
        check_key("key", key)
        if isinstance(node, Server):
            clock = clock or node.config.clock
            node = node.self
        to = node.udp_endpoint
        if to is None:
            raise wrong("node", node, "a node with an address and a UDP port")
        self._host = host or local_host(to)
        self.sock = bind_udp(self._host, 0)
        super().__init__(key or generate_key(), endpoint_of(self.sock.getsockname()))
        self.to = to
        self._clock = clock or SYSTEM_CLOCK
        #: The last packet received, with the key that signed it and its hash.
        self.last: Received | None = None

    @property
    def node(self) -> Node:
        """The node that it is, without a TCP port."""
        return Node.from_parts(self.key.public_key, self._host, 0, self.endpoint.port)

    def now_unix(self) -> float:
        return self._clock.time_unix()

    def send(self, packet: Packet) -> bytes:
        """Send a packet; return its hash, which answers contain."""
        check_type("packet", packet, get_args(Packet), "a packet, such as a Ping")
        data, packet_hash = self.encode(packet)
        self.send_raw(data)
        return packet_hash

    def send_raw(self, data: bytes) -> None:
        """Send ``data`` as a datagram."""
        self._open_socket().sendto(bytes_of(data, "data"), (str(self.to.ip), self.to.port))

    def ping(self, **changes: Any) -> bytes:
        """Send a ping; return its hash. ``changes`` replace fields by name."""
        return self.send(self.make_ping(self.to, **changes))

    def pong(self, ping_hash: bytes, **changes: Any) -> bytes:
        """Send the pong to a ping; return its hash. ``changes`` replace fields by name."""
        return self.send(self.make_pong(ping_hash, self.to, **changes))

    def find_node(self, target: PublicKey | bytes) -> bytes:
        """Send a findnode for ``target``, a public key or any 64 bytes; return its hash."""
        raw = target.to_bytes() if isinstance(target, PublicKey) else bytes_of(target, "target")
        return self.send(FindNode(raw, self.expiration))

    def request_record(self) -> bytes:
        """Send an ENR request; return its hash."""
        return self.send(ENRRequest(self.expiration))

    def bond(self, timeout: float = PATIENCE_S) -> None:
        """Ping, and answer the ping back: both ends then have an endpoint proof of the other.

        Raises AssertionError if a packet is missing after ``timeout`` seconds.
        """
        ping_hash = self.ping()
        pong = self.expect(Pong, timeout)
        if pong.ping_hash != ping_hash:
            raise AssertionError(f"expected the pong to {ping_hash.hex()}; got {pong}")
        self.expect(Ping, timeout)
        assert self.last is not None
        self.pong(self.last.packet_hash)

    def read_packet(self, timeout: float = PATIENCE_S) -> Received | None:
        """Return the next packet of the node, or None after ``timeout`` seconds.

        Raises PacketError for a datagram that is no valid packet.
        """
        deadline = Deadline(nonnegative_timeout(timeout))
        data = receive_from(self.to, self._open_socket(), deadline)
        if data is None:
            return None
        self.last = wire.decode(data)
        return self.last

    def expect(self, kind: type[P], timeout: float = PATIENCE_S) -> P:
        """Return the next packet of type ``kind``; packets of other types are skipped.

        Raises AssertionError, with the skipped packets, after ``timeout`` seconds.
        """
        if kind not in get_args(Packet):
            raise wrong_type("kind", kind, "a class of packets, such as Pong")
        timeout = nonnegative_timeout(timeout)
        deadline = Deadline(timeout)
        others: list[Packet] = []
        while True:
            received = self.read_packet(deadline.left_s or 0.0)
            if received is None:
                text = f"{kind.__name__} did not come within {timeout:g} s"
                raise AssertionError(f"{text}; got {others}" if others else text)
            if isinstance(received.packet, kind):
                return received.packet
            others.append(received.packet)
            if len(others) > MAX_SKIPPED and deadline.is_over:
                raise AssertionError(f"{kind.__name__} did not come within {timeout:g} s")

    def expect_record(self, timeout: float = PATIENCE_S) -> bytes:
        """Return the record in the answer to :meth:`request_record`, as bytes.

        Raises AssertionError after ``timeout`` seconds.
        """
        return self.expect(ENRResponse, timeout).record

    def _open_socket(self) -> socket.socket:
        if self.sock.fileno() < 0:
            raise ServerStateError("this remote is closed")
        return self.sock

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    @of_whole
    def __repr__(self) -> str:
        return f"<DiscoveryRemote at {self.endpoint} of {self.to}>"

    def __enter__(self: D) -> D:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
