"""Our own node: the record that we publish, for any thread, with its number in the database.

:mod:`p2p.enode.localrecord` decides on the content of the record; here are the lock and the
numbers. This module does not own the database: the caller that opened it closes it.

A record with a new sequence number replaces the last one wherever it is known, so the number must
never fall, not even when the process is killed (EIP-778, "Record Structure"). It begins at the wall
clock in milliseconds, or above the stored number if that is higher, and grows by one with each
record that differs. Since the discovery thread signs too, and must not wait for the disk, numbers
are stored before they are needed, :data:`SEQ_RESERVE` at a time: the stored number is an upper
bound for the numbers of all records. If the numbers run out before more are stored, the last record
stays until they are.

Any thread. One lock guards all mutable state; the database is used without it.
"""

from __future__ import annotations

import logging
import threading
from ipaddress import IPv4Address

from p2p.clock import SYSTEM_CLOCK, Clock
from p2p.crypto import PrivateKey
from p2p.enode.db.nodedb import NodeDB
from p2p.enode.localrecord import LocalRecord, entry_of
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.enr import Record
from p2p.inputs import Now
from p2p.netutil import IPAddress, NodeEndpoint

#: Sequence numbers that are reserved in advance; more are reserved when half of them are used. A
#: record changes a few times in an hour.
SEQ_RESERVE = 1024
#: Address in our record as long as no other is known, as in go-ethereum.
FALLBACK_IP: IPAddress = IPv4Address("127.0.0.1")


class LocalNode:
    """Our own node.

    ``clock`` gives the wall-clock time of the first sequence number. The constructor stores that
    number, and so waits for the disk: not for an I/O thread. Raises NodeDBError when it cannot be
    stored. The methods never wait, and any thread may call them.
    """

    def __init__(
        self,
        private_key: PrivateKey,
        db: NodeDB,
        *,
        clock: Clock = SYSTEM_CLOCK,
        logger: logging.Logger | None = None,
    ) -> None:
        # fixed after __init__
        self._log = (logger or logging.getLogger("p2p")).getChild("enode")
        self._id = NodeID.from_public_key(private_key.public_key)
        self._db = db
        # guarded by _lock
        self._lock = threading.Lock()
        seq = max(db.local_seq(self._id), int(clock.time_unix() * 1000) - 1)
        self._local = LocalRecord(private_key, seq)
        self._reserved = seq + SEQ_RESERVE  # the number that the database was asked to store
        # Written under _lock; read without, where a node that is just out of date does no harm.
        self._node: Node | None = None  # the last one signed
        db.set_local_seq(self._id, self._reserved)

    # published state

    @property
    def id(self) -> NodeID:
        """Our node ID."""
        return self._id

    @property
    def record(self) -> Record:
        """Our current record, signed again only when something has changed."""
        record = self.node().record
        assert record is not None
        return record

    @property
    def seq(self) -> int:
        """The sequence number of :attr:`record`."""
        return self.node().seq

    @property
    def endpoint(self) -> NodeEndpoint:
        """Our endpoint, as stated in our pings."""
        node = self.node()
        return NodeEndpoint(node.ip, node.udp, node.tcp)

    def node(self) -> Node:
        """Return our node, with its :attr:`record`."""
        node = self._node
        if node is not None and self._local.is_current:
            return node
        stored = self._db.stored_local_seq(self._id)
        with self._lock:
            before, node = self._node, self._local.node(stored)
            self._node = node
            reserve = self._reserve_locked()
        if reserve:
            self._db.reserve_local_seq(self._id, reserve)
        if node is not before:
            place = f"{node.ip}, udp {node.udp}, tcp {node.tcp}"
            self._log.info("local record: seq %d, id %s, %s", node.seq, self._id.short, place)
        return node

    # entries

    def set(self, key: str | bytes, value: object) -> None:
        """Set an entry of the record; ``value`` may be any value that has an RLP encoding.

        Raises EncodeError for a value that the key cannot have, or when the record would exceed 300
        bytes, with space reserved for both addresses. Raises ArgumentError for the keys of our
        addresses, which have methods of their own, and for those of the signature.
        """
        name, raw = entry_of(key, value)  # without the lock: this may run code of the program
        with self._lock:
            self._local.put(name, raw)

    def delete(self, key: str | bytes) -> None:
        """Remove an entry from the record, if present. Raises ArgumentError as :meth:`set`."""
        with self._lock:
            self._local.delete(key)

    # addresses

    def set_static_ip(self, ip: IPAddress | str) -> None:
        """Always publish this address, regardless of statements of others.

        Raises ArgumentError if ``ip`` is not an IP address, is multicast or has a zone.
        """
        with self._lock:
            self._local.set_static_ip(ip)

    def set_static_endpoint(self, ip: IPAddress | str, udp: int = 0, tcp: int = 0) -> None:
        """Publish this address with its ports, regardless of statements of others.

        A port of 0 is the one without a static address. Raises ArgumentError if ``ip`` is not an IP
        address or is multicast, or a port is not in 0..65535.
        """
        with self._lock:
            self._local.set_static_endpoint(ip, udp, tcp)

    def clear_static_ip(self, version: int = 4) -> None:
        """Use the statements of others again; ``version`` is the IP version, 4 or 6."""
        with self._lock:
            self._local.clear_static_ip(version)

    def set_fallback_ip(self, ip: IPAddress | str) -> None:
        """Publish this address as long as no other is known.

        Raises ArgumentError if ``ip`` is not an IP address, is multicast or has a zone.
        """
        with self._lock:
            self._local.set_fallback_ip(ip)

    def set_fallback_udp(self, port: int) -> None:
        """Publish this UDP port with each address that was not stated by others; 0 for none.

        Raises ArgumentError unless ``port`` is in 0..65535.
        """
        with self._lock:
            self._local.set_fallback_udp(port)

    def endpoint_statement(
        self, from_ip: IPAddress, stated: tuple[IPAddress, int], now: Now, /
    ) -> None:
        """Record that a node at ``from_ip`` states ``stated`` as the source of our packets.

        It does not count for our address of the other IP version.
        """
        with self._lock:
            self._local.endpoint_statement(from_ip, stated, now)

    def contact(self, to: tuple[IPAddress, int], now: Now, /) -> None:
        """Record that we are sending a packet to that address."""
        with self._lock:
            self._local.contact(to, now)

    def predict_full_cone_nat(self, now: Now, version: int = 4) -> bool:
        """Whether nodes that we have not contacted seem to reach us, through our router."""
        with self._lock:
            return self._local.predict_full_cone_nat(now, version)

    # private

    def __repr__(self) -> str:
        return f"<LocalNode {self._id.short}>"

    def _reserve_locked(self) -> int:
        """Return the number to be stored now, 0 if enough are left."""
        if self._reserved - self._local.seq > SEQ_RESERVE // 2:
            return 0
        self._reserved = self._local.seq + SEQ_RESERVE
        return self._reserved
