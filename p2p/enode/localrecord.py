"""The record that we publish, kept up to date with our entries and addresses.

Pure. A :class:`LocalRecord` owns the entries of the record, the choice of our addresses
(:mod:`p2p.enode.ownaddress`), the signing and the sequence number. A record with a new sequence
number replaces the last one wherever it is known, so the number grows by one with each record that
differs (EIP-778, "Record Structure").

One thread at a time; :class:`p2p.enode.LocalNode` has a lock around it, and stores the numbers.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from p2p.arguments import check_int, check_type, wrong
from p2p.crypto import PrivateKey
from p2p.enode.node import Node
from p2p.enode.ownaddress import OwnAddress
from p2p.enr import MAX_SEQ, Raw, Record
from p2p.enr.entries import MAX_PORT, encode_entry
from p2p.enr.layout import assemble, signed_items
from p2p.errors import EncodeError
from p2p.inputs import Now
from p2p.netutil import (
    Endpoint,
    IPAddress,
    NodeEndpoint,
    canonical,
    ip_of,
    is_loopback,
    is_multicast,
    is_unspecified,
)

#: Keys of the entries set by the choice of our addresses, and of those set by the signing.
_ADDRESS_KEYS = frozenset((b"ip", b"ip6", b"udp", b"udp6"))
_SCHEME_KEYS = frozenset((b"id", b"secp256k1"))
_SIGNATURE_SIZE = 64


class LocalRecord:
    """Our record. ``seq`` is the last sequence number used, 0 if there was none."""

    def __init__(self, private_key: PrivateKey, seq: int = 0) -> None:
        self.seq = seq
        #: Whether nothing has changed since the last record was signed.
        self.is_current = False
        self._private_key = private_key
        self._entries: dict[bytes, Raw] = {}
        self._address4 = OwnAddress()
        self._address6 = OwnAddress()
        self._node: Node | None = None  # the last one signed

    # published state

    @property
    def record(self) -> Record:
        """Our current record, signed again only when something has changed."""
        record = self.node().record
        assert record is not None
        return record

    @property
    def endpoint(self) -> NodeEndpoint:
        """Our endpoint, as stated in our pings."""
        node = self.node()
        return NodeEndpoint(node.ip, node.udp, node.tcp)

    def node(self, max_seq: int = MAX_SEQ) -> Node:
        """Return our current node, with a sequence number of at most ``max_seq``.

        The limit does not apply to the first. When no number is left, the last node stays.
        """
        node = self._node
        if node is not None and (self.is_current or self.seq >= max_seq):
            return node
        pairs = {**self._entries, **self._address_pairs()}
        if node is None or node.record is None or _without_scheme(node.record) != pairs:
            self.seq += 1
            node = self._node = Node.from_record(Record.sign(self._private_key, self.seq, pairs))
        self.is_current = True  # without a new record if all changes were undone
        return node

    # entries

    def set(self, key: str | bytes, value: object) -> None:
        """Set an entry of the record; ``value`` may be any value that has an RLP encoding.

        Raises EncodeError for a value that the key cannot have, or when the record would exceed 300
        bytes, with space reserved for both addresses. Raises ArgumentError for the keys of our
        addresses, which have methods of their own, and for those of the signature.
        """
        self.put(*entry_of(key, value))

    def put(self, name: bytes, raw: Raw) -> None:
        """Set an entry made by :func:`entry_of`. Raises EncodeError as :meth:`set` does."""
        if self._entries.get(name) == raw:
            return
        entries = {**self._entries, name: raw}
        self._check_size(entries)
        self._entries = entries
        self.is_current = False

    def delete(self, key: str | bytes) -> None:
        """Remove an entry from the record, if present. Raises ArgumentError as :meth:`set`."""
        name = _byte_key(key)
        _check_key(name)
        if self._entries.pop(name, None) is not None:
            self.is_current = False

    # addresses

    def set_static_ip(self, ip: IPAddress | str) -> None:
        """Always publish this address, regardless of statements of others.

        Raises ArgumentError if ``ip`` is not an IP address, is multicast or has a zone.
        """
        self.set_static_endpoint(ip)

    def set_static_endpoint(self, ip: IPAddress | str, udp: int = 0, tcp: int = 0) -> None:
        """Publish this address with its ports, regardless of statements of others.

        A port of 0 is the one without a static address. Raises ArgumentError if ``ip`` is not an IP
        address or is multicast, or a port is not in 0..65535.
        """
        ip = _own_ip(ip)
        for name, port in (("UDP port", udp), ("TCP port", tcp)):
            check_int(name, port, 0, MAX_PORT, f"an int from 0 to {MAX_PORT}")
        address = self._address_of(ip)
        address.static_ip, address.static_udp, address.static_tcp = ip, udp, tcp
        self.is_current = False

    def clear_static_ip(self, version: int = 4) -> None:
        """Use the statements of others again; ``version`` is the IP version, 4 or 6."""
        address = self._address4 if version == 4 else self._address6
        address.static_ip, address.static_udp, address.static_tcp = None, 0, 0
        self.is_current = False

    def set_fallback_ip(self, ip: IPAddress | str) -> None:
        """Publish this address as long as no other is known.

        Raises ArgumentError if ``ip`` is not an IP address, is multicast or has a zone.
        """
        address = _own_ip(ip)
        self._address_of(address).fallback_ip = address
        self.is_current = False

    def set_fallback_udp(self, port: int) -> None:
        """Publish this UDP port with each address that was not stated by others; 0 for none.

        Raises ArgumentError unless ``port`` is in 0..65535.
        """
        check_int("UDP port", port, 0, MAX_PORT, f"an int from 0 to {MAX_PORT}")
        self._address4.fallback_udp = self._address6.fallback_udp = port
        self.is_current = False

    def endpoint_statement(
        self, from_ip: IPAddress, stated: tuple[IPAddress, int], now: Now, /
    ) -> None:
        """Record that a node at ``from_ip`` states ``stated`` as the source of our packets.

        It does not count for our address of the other IP version.
        """
        ip, port = canonical(stated[0]), stated[1]
        if is_unspecified(ip) or is_multicast(ip) or not 0 < port <= MAX_PORT:
            return  # no node can have it
        address = self._address_of(ip)
        if address.add_statement(canonical(from_ip), Endpoint(ip, port), now.monotonic):
            self.is_current = False

    def contact(self, to: tuple[IPAddress, int], now: Now, /) -> None:
        """Record that we are sending a packet to that address."""
        ip = canonical(to[0])
        if self._address_of(ip).add_contact(ip, now.monotonic):
            self.is_current = False

    def predict_full_cone_nat(self, now: Now, version: int = 4) -> bool:
        """Whether nodes that we have not contacted seem to reach us, through our router."""
        address = self._address4 if version == 4 else self._address6
        return address.tracker.predict_full_cone_nat(now.monotonic)

    # private

    def _address_of(self, ip: IPAddress) -> OwnAddress:
        return self._address4 if ip.version == 4 else self._address6

    def _address_pairs(self) -> dict[bytes, Raw]:
        (ip4, udp4), (ip6, udp6) = self._address4.choose(), self._address6.choose()
        if _is_superseded(self._address4, self._address6):
            ip4 = None
        if _is_superseded(self._address6, self._address4):
            ip6 = None
        values: dict[bytes, object] = {}
        if ip4 is not None and not is_unspecified(ip4):
            values[b"ip"] = ip4
        if ip6 is not None and not is_unspecified(ip6):
            values[b"ip6"] = ip6
        if udp4:
            values[b"udp"] = udp4
        if ip6 is not None and udp6 and udp6 != udp4:
            values[b"udp6"] = udp6
        pairs = {key: encode_entry(key, value) for key, value in values.items()}
        return pairs | self._tcp_pairs(ip6 is not None)

    def _tcp_pairs(self, has_ip6: bool) -> dict[bytes, Raw]:
        """Return the TCP ports of static addresses; readers use ``tcp`` in place of ``tcp6``."""
        tcp4, tcp6 = self._address4.static_tcp, self._address6.static_tcp
        ours = self._entries.get(b"tcp")
        raw4 = encode_entry(b"tcp", tcp4) if tcp4 else ours
        raw6 = encode_entry(b"tcp6", tcp6) if tcp6 else ours
        pairs = {} if raw4 is None else {b"tcp": raw4}
        if has_ip6 and raw6 is not None and raw6 != raw4:
            pairs[b"tcp6"] = raw6
        return pairs

    def _check_size(self, entries: dict[bytes, Raw]) -> None:
        """Raise EncodeError for entries with which a later record could exceed the size limit."""
        widest: dict[bytes, object] = {
            b"id": "v4",
            b"secp256k1": self._private_key.public_key,
            b"ip": ip_address("255.255.255.255"),
            b"ip6": IPv6Address((1 << 128) - 1),
            b"udp": MAX_PORT,
            b"udp6": MAX_PORT,
            b"tcp": MAX_PORT,
            b"tcp6": MAX_PORT,
        }
        pairs = {key: encode_entry(key, value) for key, value in widest.items()}
        try:
            assemble(bytes(_SIGNATURE_SIZE), signed_items(MAX_SEQ, {**entries, **pairs}))
        except EncodeError as error:
            raise EncodeError(f"{error}, with space for our addresses") from error


def entry_of(key: str | bytes, value: object) -> tuple[bytes, Raw]:
    """Return key and value of an entry, encoded. Raises as :meth:`LocalRecord.set` does."""
    name = _byte_key(key)
    _check_key(name)
    return name, encode_entry(name, value)


def _is_superseded(guess: OwnAddress, other: OwnAddress) -> bool:
    """Whether a guess is loopback and the other family's address is known to reach farther.

    Published, it would lead others to themselves when the other address does not answer.
    """
    ip, known = guess.choose()[0], other.choose()[0]
    if ip is None or known is None or guess.is_known or not other.is_known:
        return False
    return is_loopback(ip) and not is_loopback(known)


def _byte_key(key: str | bytes) -> bytes:
    check_type("key", key, (str, bytes), 'text such as "eth"')
    return key.encode() if isinstance(key, str) else bytes(key)


def _check_key(key: bytes) -> None:
    if key in _ADDRESS_KEYS:
        raise wrong("key", key, "another key: set_static_ip, set_fallback_ip and _udp set it")
    if key in _SCHEME_KEYS:
        raise wrong("key", key, "another key: it is part of the signature of the record")


def _without_scheme(record: Record) -> dict[bytes, Raw]:
    return {key: raw for key, raw in record.pairs.items() if key not in _SCHEME_KEYS}


def _own_ip(ip: IPAddress | str) -> IPAddress:
    given = ip_of(ip)
    if isinstance(given, IPv6Address) and given.scope_id is not None:
        raise wrong("ip", str(given), "an address without a zone, which only this machine knows")
    address = canonical(given)
    if is_multicast(address):
        raise wrong("ip", str(address), "an address of one node, not of many (multicast)")
    return address
