"""Packets of discovery, explained: those of v4, and those of v5 whose recipient is known.

Pure. discv4.md, "Wire Protocol"; discv5-wire.md, "Packet Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime, timezone

from p2p.arguments import bytes_of, check_type, wrong
from p2p.crypto import gcm, keccak256
from p2p.discover.v4 import wire as wire4
from p2p.discover.v5 import message as message5
from p2p.discover.v5 import packet as packet5
from p2p.discover.v5.packet import HandshakePacket, MessagePacket, Packet, WhoAreYou
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.enr import Record
from p2p.errors import DecodeError, InvalidNode, PacketError
from p2p.explain.explanation import Explanation, Section, Value

#: Bytes of the hash and of the signature before a packet of v4, and of a session key of v5.
_HASH, _SIGNATURE = 32, 65
_KEY_SIZE = 16
_KINDS5 = {MessagePacket: "message", WhoAreYou: "WHOAREYOU", HandshakePacket: "handshake message"}


def explain_packet(
    data: bytes, recipient: Node | NodeID | None = None, session_key: bytes | None = None
) -> Explanation:
    """Explain a datagram of discovery v4 or v5.

    A datagram of v5 is masked with the node ID of its recipient; ``recipient`` is that node or its
    ID. ``session_key`` (16 bytes) decrypts its message. Raises PacketError, with the reason, for a
    datagram that is no packet, ArgumentError for arguments of another type or size. Any thread.
    """
    data = bytes_of(data, "data")
    check_type("recipient", recipient, (Node, NodeID, type(None)), "a Node, a NodeID, or None")
    if session_key is not None and len(bytes_of(session_key, "session_key")) != _KEY_SIZE:
        raise wrong("session_key", session_key, f"{_KEY_SIZE} bytes")
    node_id = recipient.id if isinstance(recipient, Node) else recipient
    if node_id is not None and packet5.is_ours(data, node_id):
        return _explain_v5(data, node_id, session_key)
    try:
        return _explain_v4(data)
    except PacketError as error:
        if node_id is None:
            hint = "a packet of v5 needs the node ID of its recipient"
            raise PacketError(error.reason, f"no packet of v4: {error}; {hint}") from error
        raise


# v4


def _explain_v4(data: bytes) -> Explanation:
    packet, public_key, packet_hash = wire4.decode(data)
    rest = data[_HASH:]
    signed = rest[_SIGNATURE:]
    node_id = NodeID.from_public_key(public_key)
    header = Section(
        "Header",
        "The hash tells this packet from those of other protocols on the same port, and names it "
        "in answers. The signature proves the sender.",
        [
            Value("hash", packet_hash, "keccak256(signature || packet-type || packet-data)"),
            Value("signature", rest[:_SIGNATURE], "sign(packet-type || packet-data): r, s, v"),
            Value("signed digest", keccak256(signed), "keccak256(packet-type || packet-data)"),
            Value("sender's public key", public_key.to_bytes(), "recovered from the signature"),
            Value("sender's node ID", bytes(node_id), "keccak256(public key)"),
            Value("packet-type", signed[:1], note=str(packet.kind)),
            Value("packet-data", signed[1:], "an RLP list"),
        ],
    )
    content = Section(str(packet.kind), "Fields of the packet.", list(_fields(packet)))
    return Explanation(f"A packet of discovery v4: {packet.kind}", [header, content])


# v5


def _explain_v5(data: bytes, recipient: NodeID, session_key: bytes | None) -> Explanation:
    packet = packet5.decode(data, recipient)
    kind = _KINDS5[type(packet)]
    sections = [_mask(packet, data, recipient), _authdata(packet)]
    if not isinstance(packet, WhoAreYou):
        sections.append(_message(packet, session_key))
    return Explanation(f"A packet of discovery v5: {kind}", sections)


def _mask(packet: Packet, data: bytes, recipient: NodeID) -> Section:
    head = packet.head
    at = packet5.IV_SIZE
    return Section(
        "Header",
        "The header is masked with AES-CTR. This hides it from firewalls, not from those who know "
        "the recipient.",
        [
            Value("masking-iv", head[:at], "random"),
            Value("masking-key", bytes(recipient)[:_KEY_SIZE], "dest-id[:16]"),
            Value(
                "masked-header", data[at : len(head)], "aesctr(masking-key, masking-iv, header)"
            ),
            Value("protocol-id", head[at : at + 6], note="The text discv5."),
            Value("version", head[at + 6 : at + 8]),
            Value("flag", head[at + 8 : at + 9], note=_KINDS5[type(packet)]),
            Value("nonce", packet.nonce),
            Value("authdata-size", head[at + 21 : at + 23]),
        ],
    )


def _authdata(packet: Packet) -> Section:
    if isinstance(packet, WhoAreYou):
        text = "A challenge: the sender of the packet with this nonce is to prove its identity."
        values = [Value("id-nonce", packet.id_nonce, "random"), Value("enr-seq", packet.enr_seq)]
        return Section("authdata of WHOAREYOU", text, values)
    values = [Value("src-id", packet.source, note="Node ID of the sender.")]
    text = "The sender of the message."
    if isinstance(packet, HandshakePacket):
        text = "The answer to a challenge, and the half of the sender of a new session key."
        signed = "id-sign(challenge-data, eph-pubkey, dest-id)"
        values += [
            Value("id-signature", packet.signature, signed),
            Value("eph-pubkey", packet.ephemeral_key, "eph-privkey * G, compressed"),
            Value("record", packet.record, note=_record_of(packet.record)),
        ]
    return Section("authdata", text, values)


def _record_of(rlp: bytes) -> str:
    if not rlp:
        return "Left out: the recipient has the current one."
    try:
        return str(Node.from_record(Record.from_rlp(rlp)))
    except InvalidNode as error:
        return f"Invalid: {error}."


def _message(packet: MessagePacket | HandshakePacket, session_key: bytes | None) -> Section:
    text = "Encrypted with AES-128-GCM; the header is authenticated with it."
    values = [Value("message", packet.ciphertext, "aesgcm(session-key, nonce, message-pt, header)")]
    if session_key is None:
        text += " Without the session key it cannot be read."
        return Section("Message", text, values)
    try:
        plaintext = gcm(session_key).decrypt(packet.nonce, packet.ciphertext, packet.head)
    except ValueError:
        raise PacketError("key", "the session key does not decrypt the message") from None
    try:
        message = message5.decode(plaintext)
    except DecodeError as error:
        raise PacketError("data", f"invalid message: {error}") from error
    values += [
        Value("message-pt", plaintext, "message-type || message-data"),
        Value("message-type", plaintext[:1], note=str(message.kind)),
        *_fields(message),
    ]
    return Section("Message", text, values)


def _fields(packet: object) -> Iterator[Value]:
    for field in fields(packet):  # type: ignore[arg-type]
        value = getattr(packet, field.name)
        if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
            yield Value(field.name, f"{len(value)} of them")
            for number, item in enumerate(value):
                yield Value(f"{field.name}[{number}]", _shown(item))
        else:
            yield Value(field.name, _shown(value), note=_note(field.name, value))


def _shown(value: object) -> object:
    if isinstance(value, bytes):
        return value
    names = getattr(value, "_fields", None)
    if names is None:
        return value
    parts = ((name, getattr(value, name)) for name in names)
    return ", ".join(f"{name} {x.hex() if isinstance(x, bytes) else x}" for name, x in parts)


def _note(name: str, value: object) -> str:
    if name != "expiration" or not isinstance(value, int):
        return ""
    try:
        return f"{datetime.fromtimestamp(value, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "Beyond all calendars."
