"""A node: its identity, its endpoint, and its two text forms.

Pure. A :class:`Node` is made from a record (:mod:`p2p.enr`), from an enode URL, or from a key and
an endpoint. Of a record with both an IPv4 and an IPv6 address the one of wider scope is preferred,
IPv4 if the scopes are equal; :attr:`Node.endpoints` has both. Multicast addresses count as absent,
and an IPv4-mapped IPv6 address as IPv4.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from p2p.arguments import check_int, check_type, text_of
from p2p.crypto import PublicKey
from p2p.enode.nodeid import NodeID
from p2p.enode.url import format_enode_url, parse_enode_url
from p2p.enr import Record
from p2p.enr.layout import QUOTES
from p2p.errors import InvalidNode
from p2p.netutil import (
    Endpoint,
    IPAddress,
    Netlist,
    NodeEndpoint,
    Scope,
    canonical,
    ip_of,
    is_multicast,
    is_unspecified,
    read_ip,
    read_zoned_ip,
    scope_of,
)


@dataclass(frozen=True, slots=True, repr=False)
class Node:
    """A node of the network. Immutable; equal nodes are equal values; any thread may use it.

    Made by :meth:`from_parts`, :meth:`from_record`, :meth:`from_url` or :func:`parse_node`, which
    check their arguments. ``ip`` is None when no address is known, a port is 0 when it is not
    known, ``hostname`` is "" when there is none; ``record`` is None for a node without a record.
    """

    id: NodeID
    ip: IPAddress | None = None
    tcp: int = 0
    udp: int = 0
    hostname: str = ""
    record: Record | None = None
    public_key: PublicKey = field(kw_only=True)

    @classmethod
    def from_parts(
        cls, public_key: PublicKey, ip: IPAddress | str | None = None, tcp: int = 0, udp: int = 0
    ) -> Node:
        """Make a node without a record. Raises ArgumentError for a wrong key, address or port.

        An address with a zone (``fe80::1%eth0``) is the host name, too: nodes on other hosts must
        not get the zone.
        """
        node_id = NodeID.from_public_key(public_key)
        node = cls(node_id, public_key=public_key).with_endpoint(ip, tcp, udp)
        return node.with_hostname(str(ip)) if "%" in str(ip) else node

    @classmethod
    def from_record(cls, record: Record) -> Node:
        """Make the node that signed ``record``. Raises ArgumentTypeError for other types."""
        check_type("record", record, Record, "a Record (parse_node reads text)")
        node_id = NodeID.from_public_key(record.public_key)
        ip, udp, tcp = _choose_endpoint(record)
        return cls(node_id, ip, tcp, udp, record=record, public_key=record.public_key)

    @classmethod
    def from_url(cls, text: str) -> Node:
        """Read an enode URL (:mod:`p2p.enode.url`). Raises InvalidNode with the wrong part."""
        url = parse_enode_url(text)
        node = cls.from_parts(url.public_key, url.ip, url.tcp, url.udp)
        return node.with_hostname(url.hostname) if url.hostname else node

    @property
    def seq(self) -> int:
        """The sequence number of the record, 0 without one."""
        return 0 if self.record is None else self.record.seq

    @property
    def tcp_endpoint(self) -> Endpoint | None:
        """Endpoint for RLPx connections; None without a usable address and port."""
        return self._endpoint(self.tcp)

    @property
    def udp_endpoint(self) -> Endpoint | None:
        """Endpoint for discovery packets; None without a usable address and port."""
        return self._endpoint(self.udp)

    @property
    def endpoints(self) -> tuple[NodeEndpoint, ...]:
        """The endpoints, at most one for each IP version: ``ip`` with its ports comes first.

        The second is that of the record; the zero address does not count, which would lead to this
        machine. Without an ``ip`` there is none.
        """
        if self.ip is None or is_unspecified(self.ip):
            return ()
        first = NodeEndpoint(self.ip, self.udp, self.tcp)
        others = () if self.record is None else _endpoints_of(self.record)
        version = self.ip.version
        return first, *(other for other in others if _is_second(other.ip, version))

    @property
    def tcp_endpoints(self) -> tuple[Endpoint, ...]:
        """The :attr:`endpoints` for RLPx connections, without those that have no port."""
        return tuple(Endpoint(ip, tcp) for ip, _, tcp in self.endpoints if ip and tcp)

    @property
    def udp_endpoints(self) -> tuple[Endpoint, ...]:
        """The :attr:`endpoints` for discovery packets, without those that have no port."""
        return tuple(Endpoint(ip, udp) for ip, udp, _ in self.endpoints if ip and udp)

    @property
    def quic_endpoint(self) -> Endpoint | None:
        """Endpoint for QUIC connections; None without a record that has one."""
        if self.record is None:
            return None
        quic = self.record.quic if isinstance(self.ip, IPv4Address) else self.record.quic6
        return self._endpoint(quic or 0)

    @property
    def url(self) -> str:
        """The node as an enode URL, without the other entries of its record."""
        name = self.public_key.to_bytes().hex()
        return format_enode_url(name, self.ip, self.hostname, self.tcp, self.udp)

    def with_hostname(self, hostname: str) -> Node:
        """Return the same node with a DNS name to reach it by; "" for none.

        A link-local address with a zone (``fe80::1%eth0``) is a name, too, and becomes the ``ip``.
        Raises InvalidNode for a text that looks like an IPv4 address but is not one.
        """
        hostname = text_of(hostname, "host name")
        try:
            read_ip(hostname)
        except ValueError as error:
            raise InvalidNode(f"host name {error}") from None
        zoned = read_zoned_ip(hostname)
        return replace(self, hostname=hostname, ip=self.ip if zoned is None else canonical(zoned))

    def with_ip(self, ip: IPAddress | str | None) -> Node:
        """Return the same node at another address, None for none.

        A zone is left out. Raises ArgumentError for a text that is not an address.
        """
        return replace(self, ip=_usable(ip))

    def with_endpoint(self, ip: IPAddress | str | None, tcp: int, udp: int) -> Node:
        """Return the same node at another endpoint. Raises ArgumentError as from_parts does."""
        return replace(self, ip=_usable(ip), tcp=_port("TCP", tcp), udp=_port("UDP", udp))

    def within(self, networks: Netlist | None) -> Node:
        """Return the same node at the first of its :attr:`endpoints` in ``networks``.

        Without such an endpoint, or without ``networks``, it is unchanged.
        """
        if networks is None or self.ip is None or networks.contains(self.ip):
            return self
        for ip, udp, tcp in self.endpoints:
            if ip is not None and networks.contains(ip):
                return replace(self, ip=ip, udp=udp, tcp=tcp)
        return self

    def _endpoint(self, port: int) -> Endpoint | None:
        if self.ip is None or is_unspecified(self.ip) or port == 0:
            return None
        return Endpoint(self.ip, port)

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        """Return the text of the record, or the URL without one; :func:`parse_node` reads both."""
        return self.url if self.record is None else self.record.to_text()

    def __repr__(self) -> str:
        host = self.hostname or self.ip
        return f"Node({self.id.short}… at {host}, tcp {self.tcp}, udp {self.udp})"


def check_node(node: object, name: str = "node") -> None:
    """Raise ArgumentTypeError for what is no Node."""
    check_type(name, node, Node, "a Node (parse_node(text) makes one of a URL)")


def parse_node(text: str) -> Node:
    """Read ``enode://...`` or ``enr:...``. Raises InvalidNode with the reason.

    Surrounding white space is ignored.
    """
    text = text_of(text, "node")
    if text.startswith("enode://"):
        return Node.from_url(text)
    if text.startswith("enr:"):
        return Node.from_record(Record.from_text(text))
    why = "quotes around the text" if text[:1] in QUOTES else "missing prefix"
    raise InvalidNode(f"{why}: neither an enode:// URL nor an enr: record")


def _port(name: str, port: int) -> int:
    check_int(f"{name} port", port, 0, 0xFFFF, "an int from 0 to 65535")
    return port


def _usable(ip: IPAddress | str | None) -> IPAddress | None:
    """Return ``ip`` in canonical form, None for a multicast address, which no node can have."""
    if ip is None:
        return None
    ip = canonical(ip_of(ip))
    return None if is_multicast(ip) else ip


def _is_second(ip: IPAddress | None, version: int) -> bool:
    """Whether ``ip`` may stand beside an address of ``version``."""
    return ip is not None and ip.version != version and not is_unspecified(ip)


def _choose_endpoint(record: Record) -> NodeEndpoint:
    """Return the endpoint to use, as go-ethereum chooses it; without an address, the ports."""
    endpoints = _endpoints_of(record)
    return endpoints[0] if endpoints else NodeEndpoint(None, record.udp or 0, record.tcp or 0)


def _endpoints_of(record: Record) -> list[NodeEndpoint]:
    """Return the endpoints of a record, that of the address of wider scope first."""
    tcp, udp = record.tcp or 0, record.udp or 0
    found = [NodeEndpoint(_usable(record.ip), udp, tcp)]
    ip6 = _usable(record.ip6)
    if not isinstance(ip6, IPv4Address):  # else it is IPv4-mapped, and the ports are those of IPv4
        udp = udp if record.udp6 is None else record.udp6
        tcp = tcp if record.tcp6 is None else record.tcp6
    found.append(NodeEndpoint(ip6, udp, tcp))
    return sorted((one for one in found if one.ip is not None), key=_by_scope)


def _by_scope(endpoint: NodeEndpoint) -> int:
    """Rank an endpoint by the scope of its address. The order of equal ones is kept: IPv4 first."""
    assert endpoint.ip is not None
    return -_globality(endpoint.ip)


def _globality(ip: IPAddress) -> int:
    """Rank an address by its scope. As in go-ethereum, special networks count as global."""
    return 0 if is_unspecified(ip) else scope_of(ip) or Scope.GLOBAL
