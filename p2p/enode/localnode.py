"""Our own node: the record that we publish, and how it follows what we learn about ourselves.

Owns the entries of the record, the choice of our addresses (:mod:`p2p.enode.ownaddress`), the
signing and the sequence number. It does not own the database, which whoever opened it closes.

A record with a new sequence number replaces the last one wherever it is known, so the number must
never fall, not even when the process is killed (EIP-778, "Record Structure"). It begins at the wall
clock in milliseconds, or above what is stored if that is higher, and grows by one with each record
that differs. Since the discovery thread signs too, and must not wait for the disk, numbers are
stored before they are needed, :data:`SEQ_RESERVE` at a time: the stored number is one that no
record has gone beyond. Should the numbers run out before more are stored, the last record stays
until they are.

Any thread. One lock guards all that changes; the database is asked without it.
"""

from __future__ import annotations

import logging
import threading
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple, Protocol

from p2p.clock import Clock
from p2p.crypto import PrivateKey
from p2p.enode.ids import NodeID
from p2p.enode.node import Node
from p2p.enode.nodedb import NodeDB
from p2p.enode.ownaddress import NewTracker, OwnAddress
from p2p.enr import MAX_SEQ, IPAddress, Raw, Record
from p2p.enr.entries import MAX_PORT, encode_entry
from p2p.enr.layout import assemble, signed_items
from p2p.errors import ConfigError, EncodeError, InvalidNode

#: Sequence numbers that are stored in advance; half as many must be left before more are asked
#: for. A record changes a few times in an hour.
SEQ_RESERVE = 1024

#: Entries that follow the choice of our addresses, and those that the signature brings.
_ADDRESS_KEYS = frozenset((b"ip", b"ip6", b"udp", b"udp6"))
_SCHEME_KEYS = frozenset((b"id", b"secp256k1"))
_SIGNATURE_SIZE = 64


class Moment(Protocol):
    """The time of an input, as discovery has it (``p2p.discover.Now``)."""

    @property
    def monotonic(self) -> float:
        """Seconds that never go backwards."""


class PingEndpoint(NamedTuple):
    """Where we are, as pings say it. ``ip`` is None and a port 0 when it is not known."""

    ip: IPAddress | None
    udp: int
    tcp: int


class LocalNode:
    """Our node. ``new_tracker`` makes what predicts our address (``p2p.netutil.IPTracker``).

    Without it no address is predicted. ``clock`` tells the wall-clock time the first sequence
    number is taken from. Stores that number, and so waits for the disk: not for an I/O thread.
    Raises NodeDBError when it cannot be stored. All else never waits, and any thread may call it.
    """

    def __init__(
        self,
        private_key: PrivateKey,
        db: NodeDB,
        *,
        clock: Clock,
        new_tracker: NewTracker | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        # fixed after __init__
        self._log = (logger or logging.getLogger("p2p")).getChild("enode")
        self.id = NodeID.from_public_key(private_key.public_key)
        self._private_key = private_key
        self._db = db
        # guarded by _lock
        self._lock = threading.Lock()
        self._entries: dict[bytes, Raw] = {}
        self._address4 = OwnAddress.tracked(new_tracker)
        self._address6 = OwnAddress.tracked(new_tracker)
        self._seq = max(db.local_seq(self.id), int(clock.time_unix() * 1000) - 1)
        self._reserved = self._seq + SEQ_RESERVE  # what the database was asked to store
        # Written under _lock; read without, where a node that is just out of date does no harm.
        self._node: Node | None = None  # the last that was signed
        self._is_current = False  # whether nothing has changed since
        db.set_local_seq(self.id, self._reserved)

    # What we publish.

    @property
    def record(self) -> Record:
        """Our record as it stands, signed anew only when something has changed."""
        record = self.node().record
        assert record is not None
        return record

    @property
    def seq(self) -> int:
        """The sequence number of :attr:`record`."""
        return self.node().seq

    @property
    def endpoint(self) -> PingEndpoint:
        """Where we are, as our pings say it."""
        node = self.node()
        return PingEndpoint(node.ip, node.udp, node.tcp)

    def node(self) -> Node:
        """Our node, with :attr:`record`."""
        node = self._node
        if node is not None and self._is_current:
            return node
        stored = self._db.stored_local_seq(self.id)
        with self._lock:
            node, is_new = self._sign_locked(stored)
            reserve = self._reserve_locked()
        if reserve:
            self._db.reserve_local_seq(self.id, reserve)
        if is_new:
            place = f"{node.ip}, udp {node.udp}, tcp {node.tcp}"
            self._log.info("local record: seq %d, id %s, %s", node.seq, self.id.short, place)
        return node

    # What others may know of us.

    def set(self, key: str | bytes, value: object) -> None:
        """Put an entry into the record, or replace it; any value that has an RLP encoding.

        Raises EncodeError for a value that the key cannot have, or when the record would grow
        beyond 300 bytes; room is kept for both addresses. Raises ConfigError for the keys of our
        addresses, which have methods of their own, and for those of the signature.
        """
        name = _byte_key(key)
        _check_key(name)
        raw = encode_entry(name, value)
        with self._lock:
            if self._entries.get(name) == raw:
                return
            entries = {**self._entries, name: raw}
            self._check_size(entries)
            self._entries = entries
            self._is_current = False

    def delete(self, key: str | bytes) -> None:
        """Take an entry out of the record. Raises ConfigError as :meth:`set` does."""
        name = _byte_key(key)
        _check_key(name)
        with self._lock:
            if self._entries.pop(name, None) is not None:
                self._is_current = False

    # Where we are.

    def set_static_ip(self, ip: IPAddress | str) -> None:
        """Publish this address, whatever others state. Raises InvalidNode for none of ours."""
        address = _own_ip(ip)
        with self._lock:
            self._address_locked(address).static_ip = address
            self._is_current = False

    def clear_static_ip(self, version: int = 4) -> None:
        """Believe others again; ``version`` is 4 or 6."""
        with self._lock:
            (self._address4 if version == 4 else self._address6).static_ip = None
            self._is_current = False

    def set_fallback_ip(self, ip: IPAddress | str) -> None:
        """Publish this address as long as no other is known. Raises InvalidNode for none."""
        address = _own_ip(ip)
        with self._lock:
            self._address_locked(address).fallback_ip = address
            self._is_current = False

    def set_fallback_udp(self, port: int) -> None:
        """Publish this UDP port with each address that was not stated by others; 0 for none.

        Raises InvalidNode for a number that is no port.
        """
        if not 0 <= port <= MAX_PORT:
            raise InvalidNode(f"UDP port {port} is not in 0..{MAX_PORT}")
        with self._lock:
            self._address4.fallback_udp = self._address6.fallback_udp = port
            self._is_current = False

    def endpoint_statement(
        self, from_ip: IPAddress, stated: tuple[IPAddress, int], now: Moment, /
    ) -> None:
        """A node at ``from_ip`` says that our packets come from ``stated``.

        The tracker does not hear it about our address of the other IP version.
        """
        ip, port = _unmap(stated[0]), stated[1]
        if ip.is_unspecified or ip.is_multicast or not 0 < port <= MAX_PORT:
            return  # nobody can be there
        with self._lock:
            address = self._address_locked(ip)
            if address.add_statement(_unmap(from_ip), (ip, port), now.monotonic):
                self._is_current = False

    def contact(self, to: tuple[IPAddress, int], now: Moment, /) -> None:
        """We are sending a packet to that address."""
        ip = _unmap(to[0])
        with self._lock:
            if self._address_locked(ip).add_contact(ip, now.monotonic):
                self._is_current = False

    def predict_full_cone_nat(self, now: Moment, version: int = 4) -> bool:
        """Whether nodes that we have not contacted seem to reach us, through our router."""
        with self._lock:
            tracker = (self._address4 if version == 4 else self._address6).tracker
            return tracker is not None and tracker.predict_full_cone_nat(now.monotonic)

    # Within.

    def _address_locked(self, ip: IPAddress) -> OwnAddress:
        return self._address4 if ip.version == 4 else self._address6

    def _sign_locked(self, stored_seq: int) -> tuple[Node, bool]:
        """The node as it is now, and whether it is a new one."""
        node = self._node
        if node is not None and (self._is_current or self._seq >= stored_seq):
            return node, False  # current, or no number left
        pairs = {**self._entries, **self._address_pairs_locked()}
        if node is not None and node.record is not None and _without_scheme(node.record) == pairs:
            self._is_current = True  # what had changed has changed back
            return node, False
        self._seq += 1
        self._node = Node.from_record(Record.sign(self._private_key, self._seq, pairs))
        self._is_current = True
        return self._node, True

    def _reserve_locked(self) -> int:
        """The number to have stored now, 0 if enough are left."""
        if self._reserved - self._seq > SEQ_RESERVE // 2:
            return 0
        self._reserved = self._seq + SEQ_RESERVE
        return self._reserved

    def _address_pairs_locked(self) -> dict[bytes, Raw]:
        (ip4, udp4), (ip6, udp6) = self._address4.choose(), self._address6.choose()
        values: dict[bytes, object] = {}
        if ip4 is not None and not ip4.is_unspecified:
            values[b"ip"] = ip4
        if ip6 is not None and not ip6.is_unspecified:
            values[b"ip6"] = ip6
        if udp4:
            values[b"udp"] = udp4
        if udp6 and udp6 != udp4:
            values[b"udp6"] = udp6
        return {key: encode_entry(key, value) for key, value in values.items()}

    def _check_size(self, entries: dict[bytes, Raw]) -> None:
        """Refuse entries with which a record might become too large to sign later."""
        widest: dict[bytes, object] = {
            b"id": "v4",
            b"secp256k1": self._private_key.public_key,
            b"ip": ip_address("255.255.255.255"),
            b"ip6": IPv6Address((1 << 128) - 1),
            b"udp": MAX_PORT,
            b"udp6": MAX_PORT,
        }
        pairs = {key: encode_entry(key, value) for key, value in widest.items()}
        try:
            assemble(bytes(_SIGNATURE_SIZE), signed_items(MAX_SEQ, {**pairs, **entries}))
        except EncodeError as error:
            raise EncodeError(f"{error}, room for our addresses included") from error


def _byte_key(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else bytes(key)


def _check_key(key: bytes) -> None:
    if key in _ADDRESS_KEYS:
        raise ConfigError(f"{key.decode()!r} is set by set_static_ip, set_fallback_ip and _udp")
    if key in _SCHEME_KEYS:
        raise ConfigError(f"{key.decode()!r} is part of the signature of the record")


def _without_scheme(record: Record) -> dict[bytes, Raw]:
    return {key: raw for key, raw in record.pairs.items() if key not in _SCHEME_KEYS}


def _unmap(ip: IPAddress) -> IPAddress:
    """``ip``, as IPv4 when it is IPv4 in IPv6 form; a zone means something on one machine only."""
    return (ip.ipv4_mapped or IPv6Address(int(ip))) if isinstance(ip, IPv6Address) else ip


def _own_ip(ip: IPAddress | str) -> IPAddress:
    try:
        address = _unmap(ip_address(ip))
    except ValueError:
        raise InvalidNode(f"{ip!r:.80} is not an IP address") from None
    if address.is_multicast:
        raise InvalidNode(f"{address} is a multicast address, no node is there")
    return address
