"""Captured datagrams of discovery, v4 and v5.

Pure. v4 is signed and not encrypted: every datagram with the right hash is a packet. v5 is masked
with the recipient's node ID, and encrypted with the keys of a session (discv5-wire, "Packet
Encoding"): the IDs come from the key log and from what else was seen, the keys from the key log.
"""

from __future__ import annotations

from collections import OrderedDict

from p2p.capture.event import PacketSeen
from p2p.capture.keys import KeyRing
from p2p.capture.packets import Datagram
from p2p.crypto import gcm
from p2p.discover.v4 import wire
from p2p.discover.v5 import message, packet
from p2p.enode.nodeid import NodeID
from p2p.errors import DecodeError, PacketError
from p2p.netutil import Endpoint

#: Node IDs that are tried on datagrams to an endpoint, each of which takes 2 us.
MAX_NODE_IDS = 1024
_NO_KEY = "no key of the key log fits; the first message to a node is random, it asks for WHOAREYOU"
#: Endpoints whose node ID is cached.
MAX_ENDPOINTS = 65_536


class DiscoveryReader:
    """The reader of the datagrams of a capture."""

    def __init__(self, keys: KeyRing) -> None:
        # fixed after __init__
        self._keys = keys
        # changed by packets; the last seen is the last
        self._node_ids: OrderedDict[NodeID, None] = OrderedDict()
        self._nodes: OrderedDict[Endpoint, NodeID] = OrderedDict()
        self._learn_keys()

    def learn(self, node_id: NodeID) -> None:
        """Note that there is a node with this ID."""
        self._node_ids[node_id] = None
        self._node_ids.move_to_end(node_id)
        if len(self._node_ids) > MAX_NODE_IDS:
            self._node_ids.popitem(last=False)

    def read(self, datagram: Datagram, time: float) -> PacketSeen | None:
        """Return the event of a datagram; None for one that is no packet of discovery."""
        if datagram.size != len(datagram.payload):
            return None  # cut off
        return self._read_v4(datagram, time) or self._read_v5(datagram, time)

    def _read_v4(self, datagram: Datagram, time: float) -> PacketSeen | None:
        ends, size = (datagram.source, datagram.destination), datagram.size
        kind = str(wire.kind_of(datagram.payload))
        try:
            received = wire.decode(datagram.payload)
        except PacketError as error:
            if error.reason in ("size", "hash"):
                return None
            return PacketSeen(time, *ends, "v4", kind, None, None, str(error), size)
        sender = NodeID.from_public_key(received.public_key)
        self.learn(sender)
        return PacketSeen(time, *ends, "v4", kind, sender, received.packet, "", size)

    def _read_v5(self, datagram: Datagram, time: float) -> PacketSeen | None:
        recipient = self._recipient_of(datagram)
        if recipient is None:
            return None
        ends, size = (datagram.source, datagram.destination), datagram.size
        try:
            found = packet.decode(datagram.payload, recipient)
        except PacketError as error:
            return PacketSeen(time, *ends, "v5", "", None, None, str(error), size)
        if isinstance(found, packet.WhoAreYou):
            return PacketSeen(time, *ends, "v5", "whoareyou", None, found, "", size)
        sender = NodeID(found.source)
        self.learn(sender)
        kind, decoded, error_text = self._open(found, sender, recipient)
        return PacketSeen(time, *ends, "v5", kind, sender, decoded, error_text, size)

    def _open(
        self, found: packet.MessagePacket | packet.HandshakePacket, sender: NodeID, to: NodeID
    ) -> tuple[str, object, str]:
        """Return kind, message and error of a packet with a message."""
        is_handshake = isinstance(found, packet.HandshakePacket)
        kind = "handshake" if is_handshake else "message"
        plaintext = self._decrypt(found, sender, to)
        if plaintext is None and self._keys.refresh():
            plaintext = self._decrypt(found, sender, to)
        if plaintext is None:
            return kind, None, _NO_KEY
        try:
            decoded = message.decode(plaintext)
        except DecodeError as error:
            return kind, None, str(error)
        name = str(decoded.kind)
        return f"handshake, {name}" if is_handshake else name, decoded, ""

    def _decrypt(
        self, found: packet.MessagePacket | packet.HandshakePacket, sender: NodeID, to: NodeID
    ) -> bytes | None:
        sessions = self._keys.sessions(sender, to)
        for place, keys in enumerate(sessions):
            key = keys.initiator_key if keys.initiator == sender else keys.recipient_key
            try:
                plaintext = gcm(key).decrypt(found.nonce, found.ciphertext, found.head)
            except ValueError:
                continue
            sessions.insert(0, sessions.pop(place))
            return plaintext
        return None

    def _learn_keys(self) -> None:
        for node_id in sorted(self._keys.node_ids)[:MAX_NODE_IDS]:
            self.learn(node_id)

    def _recipient_of(self, datagram: Datagram) -> NodeID | None:
        """Return the node whose ID unmasks a datagram; None if it is none of those known."""
        if not packet.MIN_PACKET_SIZE <= datagram.size <= packet.MAX_PACKET_SIZE:
            return None
        known = self._nodes.get(datagram.destination)
        if known is not None and packet.is_ours(datagram.payload, known):
            return known
        if self._keys.refresh():
            self._learn_keys()
        for node_id in reversed(self._node_ids):
            if packet.is_ours(datagram.payload, node_id):
                self._nodes[datagram.destination] = node_id
                if len(self._nodes) > MAX_ENDPOINTS:
                    self._nodes.popitem(last=False)
                return node_id
        return None
