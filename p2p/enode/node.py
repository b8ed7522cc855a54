"""A node: who it is, where it can be reached, and the two texts it is written as.

Pure. A :class:`Node` is made of a record (:mod:`p2p.enr`), of an enode URL, or of a key and an
endpoint. Of a record with both an IPv4 and an IPv6 address the more global one is used, IPv4 when
they are equal; multicast addresses count as absent, and an IPv4-mapped IPv6 address as IPv4.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

from ..crypto import PublicKey
from ..enr import IPAddress, Record
from ..errors import InvalidNode
from .ids import NodeID
from .url import format_enode_url, parse_enode_url

_PRIVATE = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)


class Endpoint(NamedTuple):
    """An address and a port, 1..65535; equal to the pair of both."""

    ip: IPAddress
    port: int


@dataclass(frozen=True, slots=True, repr=False)
class Node:
    """A node of the network. Immutable; equal nodes are equal values; any thread may use it.

    Made by :meth:`from_parts`, :meth:`from_record`, :meth:`from_url` or :func:`parse_node`, which
    check what they are given. ``ip`` is None when no address is known, a port is 0 when it is not
    known, ``hostname`` is "" when there is none; ``record`` is None for a node without a record.
    """

    id: NodeID
    ip: IPAddress | None = None
    tcp: int = 0
    udp: int = 0
    hostname: str = ""
    record: Record | None = None
    _public_key: PublicKey | None = field(default=None, kw_only=True)

    @classmethod
    def from_parts(
        cls, public_key: PublicKey, ip: IPAddress | str | None = None, tcp: int = 0, udp: int = 0
    ) -> Node:
        """A node without a record. Raises InvalidNode for a wrong address or port."""
        node_id = NodeID.from_public_key(public_key)
        node = cls(node_id, _public_key=public_key)
        return node.with_endpoint(ip, tcp, udp)

    @classmethod
    def from_record(cls, record: Record) -> Node:
        """The node that signed ``record``."""
        public_key = record.public_key
        if public_key is None:
            node_id = NodeID(record.get("nulladdr", bytes) or b"")
        else:
            node_id = NodeID.from_public_key(public_key)
        ip, tcp, udp = _choose_endpoint(record)
        return cls(node_id, ip, tcp, udp, record=record, _public_key=public_key)

    @classmethod
    def from_url(cls, text: str) -> Node:
        """Read an enode URL (:mod:`p2p.enode.url`). Raises InvalidNode, which names the part."""
        url = parse_enode_url(text)
        node = cls.from_parts(url.public_key, url.ip, url.tcp, url.udp)
        return node.with_hostname(url.hostname) if url.hostname else node

    @property
    def public_key(self) -> PublicKey:
        """The node's key. Raises InvalidNode for a node of the test scheme "null": it has none."""
        if self._public_key is None:
            raise InvalidNode(f"node {self.id.short} has no public key")
        return self._public_key

    @property
    def seq(self) -> int:
        """The sequence number of the record, 0 without one."""
        return 0 if self.record is None else self.record.seq

    @property
    def tcp_endpoint(self) -> Endpoint | None:
        """Where RLPx connections are taken; None without a usable address and port."""
        return self._endpoint(self.tcp)

    @property
    def udp_endpoint(self) -> Endpoint | None:
        """Where discovery packets are taken; None without a usable address and port."""
        return self._endpoint(self.udp)

    @property
    def quic_endpoint(self) -> Endpoint | None:
        """Where QUIC connections are taken; None without a record that tells."""
        if self.record is None:
            return None
        quic = self.record.quic if isinstance(self.ip, IPv4Address) else self.record.quic6
        return self._endpoint(quic or 0)

    @property
    def url(self) -> str:
        """The node as an enode URL; what else its record says is not in it."""
        if self._public_key is None:
            name = f"null.{self.id}"
        else:
            name = self._public_key.to_bytes().hex()
        return format_enode_url(name, self.ip, self.hostname, self.tcp, self.udp)

    def with_hostname(self, hostname: str) -> Node:
        """The same node, reached by a DNS name."""
        return replace(self, hostname=hostname)

    def with_ip(self, ip: IPAddress | str | None) -> Node:
        """The same node at another address. Raises InvalidNode for text that is no address."""
        return replace(self, ip=_usable(ip))

    def with_endpoint(self, ip: IPAddress | str | None, tcp: int, udp: int) -> Node:
        """The same node at another address and ports. Raises InvalidNode as from_parts does."""
        return replace(self, ip=_usable(ip), tcp=_port("TCP", tcp), udp=_port("UDP", udp))

    def _endpoint(self, port: int) -> Endpoint | None:
        if self.ip is None or self.ip.is_unspecified or port == 0:
            return None
        return Endpoint(self.ip, port)

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        """The record's text when there is a record, else the URL; :func:`parse_node` reads both."""
        return self.url if self.record is None else self.record.to_text()

    def __repr__(self) -> str:
        host = self.hostname or self.ip
        return f"Node({self.id.short}… at {host}, tcp {self.tcp}, udp {self.udp})"


def parse_node(text: str) -> Node:
    """Read ``enode://...`` or ``enr:...``. Raises InvalidNode, which says what is wrong."""
    if text.startswith("enode://"):
        return Node.from_url(text)
    if text.startswith("enr:"):
        return Node.from_record(Record.from_text(text))
    raise InvalidNode("missing prefix: neither an enode:// URL nor an enr: record")


def _port(name: str, port: int) -> int:
    if not 0 <= port <= 0xFFFF:
        raise InvalidNode(f"{name} port {port} is not in 0..65535")
    return port


def _usable(ip: IPAddress | str | None) -> IPAddress | None:
    """``ip`` in the form that nodes have it, None when no node can be there."""
    if isinstance(ip, str):
        ip = _parse_ip(ip)
    if isinstance(ip, IPv6Address):
        # A zone means something on one machine only.
        ip = ip.ipv4_mapped or IPv6Address(int(ip))
    return None if ip is None or ip.is_multicast else ip


def _parse_ip(text: str) -> IPAddress:
    try:
        return ip_address(text)
    except ValueError:
        raise InvalidNode(f"{text[:80]!r} is not an IP address") from None


def _choose_endpoint(record: Record) -> tuple[IPAddress | None, int, int]:
    """The address to use, with its TCP and UDP port, as go-ethereum chooses them."""
    ip4, ip6 = _usable(record.ip), _usable(record.ip6)
    tcp, udp = record.tcp or 0, record.udp or 0
    if ip6 is None or (ip4 is not None and _globality(ip4) >= _globality(ip6)):
        return ip4, tcp, udp
    if isinstance(ip6, IPv4Address):
        return ip6, tcp, udp
    tcp6, udp6 = record.tcp6, record.udp6
    return ip6, tcp if tcp6 is None else tcp6, udp if udp6 is None else udp6


def _globality(ip: IPAddress) -> int:
    if ip.is_unspecified:
        return 0
    if ip.is_loopback:
        return 1
    if ip.is_link_local:
        return 2
    return 3 if any(ip in network for network in _PRIVATE) else 4
