"""The handshake of RLPx, explained from the side that dials (rlpx.md, "Initial Handshake").

Pure. A :class:`HandshakeRecord` has what that side knows; all else is computed again here, and not
taken from the machine that made it.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.codec import decode_fields
from p2p.crypto import PrivateKey, PublicKey, keccak256, keccak_hasher
from p2p.discreason import DiscReason
from p2p.enode.nodeid import NodeID
from p2p.explain.explanation import Section, Value
from p2p.rlpx import Hello

#: Sizes of the parts of an ECIES message, in bytes.
_POINT, _IV, _TAG = 65, 16, 32
#: Bytes of a block of AES, to which frames are filled up.
_BLOCK = 16
#: The header-data that all implementations send.
_HEADER_DATA = b"\xc2\x80\x80"


@dataclass(frozen=True)
class HandshakeRecord:
    """A handshake, as its initiator knows it.

    ``auth_body`` and ``ack_body`` are decrypted, with or without their padding. ``sent`` and
    ``received`` are the bytes after auth and ack, if any, ``hello`` and ``remote_hello`` the hellos
    in them. ``reason`` is that of a Disconnect in place of a hello.
    """

    key: PrivateKey
    ephemeral: PrivateKey
    nonce: bytes
    remote: PublicKey
    auth: bytes
    auth_body: bytes
    ack: bytes
    ack_body: bytes
    sent: bytes = b""
    received: bytes = b""
    hello: tuple[bytes, Hello] | None = None
    remote_hello: tuple[bytes, Hello] | None = None
    reason: DiscReason | None = None


def handshake_sections(record: HandshakeRecord) -> list[Section]:
    """Return the sections, in the order of the specification."""
    agreed = _Agreed(record)
    sections = [_keys(record), _auth(record), _ack(record), _secrets(agreed)]
    sections.append(_mac_states(record, agreed))
    if record.hello is not None:
        sections.append(_frame("The Hello of the initiator", record.sent, *record.hello))
    if record.remote_hello is not None:
        title = "The Hello of the recipient"
        sections.append(_frame(title, record.received, *record.remote_hello))
    elif record.reason is not None:
        sections.append(_disconnect(record.reason))
    return sections


class _Agreed:
    """Secrets that both ends compute from the keys and nonces."""

    def __init__(self, record: HandshakeRecord) -> None:
        (key, nonce, version), _end = decode_fields(record.ack_body, (bytes, bytes, int))
        self.remote_ephemeral, self.remote_nonce, self.version = key, nonce, version
        self.ephemeral_key = record.ephemeral.agree(PublicKey.from_bytes(key))
        self.nonces = keccak256(nonce + record.nonce)
        self.shared = keccak256(self.ephemeral_key + self.nonces)
        self.aes = keccak256(self.ephemeral_key + self.shared)
        self.mac = keccak256(self.ephemeral_key + self.aes)


def _keys(record: HandshakeRecord) -> Section:
    own = record.key.public_key
    return Section(
        "Keys of the nodes",
        "Each node has a static key on the curve secp256k1. The initiator knows the public key of "
        "the recipient from its enode URL or its record.",
        [
            Value("initiator-privkey", record.key.to_bytes(), "random"),
            Value("initiator-pubk", own.to_bytes(), "initiator-privkey * G"),
            Value("initiator-id", bytes(NodeID.from_public_key(own)), "keccak256(initiator-pubk)"),
            Value("recipient-pubk", record.remote.to_bytes()),
            Value(
                "recipient-id",
                bytes(NodeID.from_public_key(record.remote)),
                "keccak256(recipient-pubk)",
            ),
        ],
    )


def _auth(record: HandshakeRecord) -> Section:
    static = record.key.agree(record.remote)
    kinds = (bytes, bytes, bytes, int)
    (signature, _key, nonce, version), end = decode_fields(record.auth_body, kinds)
    return Section(
        "The auth message, from the initiator to the recipient",
        "The signature carries the ephemeral public key: it can be recovered with the signed "
        "value. The body is padded, so that its length is no sign, and encrypted for the "
        "recipient.",
        [
            Value("ephemeral-privkey", record.ephemeral.to_bytes(), "random"),
            Value(
                "ephemeral-pubk",
                record.ephemeral.public_key.to_bytes(),
                "ephemeral-privkey * G",
            ),
            Value("initiator-nonce", nonce, "random"),
            Value(
                "static-shared-secret", static, "ecdh.agree(initiator-privkey, recipient-pubk)"
            ),
            Value(
                "sig",
                signature,
                "sign(ephemeral-privkey, static-shared-secret ^ initiator-nonce)",
            ),
            Value("auth-vsn", version, note="A mismatch is ignored (EIP-8)."),
            Value(
                "auth-body",
                record.auth_body[:end],
                "[sig, initiator-pubk, initiator-nonce, auth-vsn, ...]",
            ),
            *_sealed("auth", "recipient", record.auth),
        ],
    )


def _ack(record: HandshakeRecord) -> Section:
    (key, nonce, version), end = decode_fields(record.ack_body, (bytes, bytes, int))
    return Section(
        "The ack message, from the recipient to the initiator",
        "Its body is encrypted for the initiator, in the same way.",
        [
            Value("recipient-ephemeral-pubk", key),
            Value("recipient-nonce", nonce, "random"),
            Value("ack-vsn", version, note="A mismatch is ignored (EIP-8)."),
            Value(
                "ack-body",
                record.ack_body[:end],
                "[recipient-ephemeral-pubk, recipient-nonce, ack-vsn, ...]",
            ),
            *_sealed("ack", "initiator", record.ack),
        ],
    )


def _sealed(name: str, reader: str, packet: bytes) -> list[Value]:
    """Return the parts of an encrypted message: size, point, IV, ciphertext, tag."""
    iv_at = 2 + _POINT
    secret = f"S = the x coordinate of r * {reader}-pubk, kE || kM = KDF(S, 32)"
    return [
        Value(f"{name}-size", packet[:2], f"length of enc-{name}-body, big-endian"),
        Value("R", packet[2:iv_at], "r * G, with r random", note=f"ECIES: {secret}."),
        Value("iv", packet[iv_at : iv_at + _IV], "random"),
        Value(
            "c",
            packet[iv_at + _IV : -_TAG],
            f"AES-128-CTR(kE, iv, {name}-body || {name}-padding)",
        ),
        Value("d", packet[-_TAG:], f"HMAC-SHA-256(sha256(kM), iv || c || {name}-size)"),
        Value(name, packet, f"{name}-size || R || iv || c || d"),
    ]


def _secrets(agreed: _Agreed) -> Section:
    return Section(
        "Secrets",
        "Both ends compute the same secrets. An observer of the network knows no private key, and "
        "the ephemeral ones are not kept: a static key that is stolen later opens no old "
        "connection.",
        [
            Value(
                "ephemeral-key",
                agreed.ephemeral_key,
                "ecdh.agree(ephemeral-privkey, recipient-ephemeral-pubk)",
            ),
            Value(
                "shared-secret",
                agreed.shared,
                "keccak256(ephemeral-key || keccak256(recipient-nonce || initiator-nonce))",
            ),
            Value(
                "aes-secret",
                agreed.aes,
                "keccak256(ephemeral-key || shared-secret)",
                note="Key of AES-256-CTR with an IV of zeros, the same stream in both directions.",
            ),
            Value("mac-secret", agreed.mac, "keccak256(ephemeral-key || aes-secret)"),
        ],
    )


def _mac_states(record: HandshakeRecord, agreed: _Agreed) -> Section:
    egress = keccak_hasher(_xor(agreed.mac, agreed.remote_nonce) + record.auth)
    ingress = keccak_hasher(_xor(agreed.mac, record.nonce) + record.ack)
    return Section(
        "MAC states of the initiator",
        "Each direction has a state of Keccak-256, which all frames update. Those of the recipient "
        "are the same, exchanged.",
        [
            Value(
                "egress-mac",
                egress.digest(),
                "keccak256.init((mac-secret ^ recipient-nonce) || auth)",
            ),
            Value(
                "ingress-mac",
                ingress.digest(),
                "keccak256.init((mac-secret ^ initiator-nonce) || ack)",
            ),
        ],
    )


def _frame(title: str, data: bytes, payload: bytes, hello: Hello) -> Section:
    size = 1 + len(payload)
    padded = -(-size // _BLOCK) * _BLOCK
    header = (size.to_bytes(3, "big") + _HEADER_DATA).ljust(_BLOCK, b"\0")
    body_at = 2 * _BLOCK
    caps = ", ".join(str(cap) for cap in hello.caps) or "none"
    return Section(
        title,
        "The first message of each end is a Hello, in a frame. It is not compressed; all later "
        "messages are, if both ends have version 5.",
        [
            Value("protocolVersion", hello.version),
            Value("clientId", hello.name),
            Value("capabilities", caps),
            Value("listenPort", hello.listen_port, note="Not used any more."),
            Value("nodeKey", hello.node_key, note="The public key of the sender."),
            Value("msg-data", payload, "[protocolVersion, clientId, capabilities, ...]"),
            Value("frame-data", b"\x80" + payload, "msg-id || msg-data", note="msg-id 0 is 0x80."),
            Value("header", header, "frame-size || header-data || header-padding"),
            Value("header-ciphertext", data[:_BLOCK], "aes(aes-secret, header)"),
            Value("header-mac", data[_BLOCK:body_at], "the MAC state after header-ciphertext"),
            Value(
                "frame-ciphertext",
                data[body_at : body_at + padded],
                "aes(aes-secret, frame-data || frame-padding)",
            ),
            Value(
                "frame-mac",
                data[body_at + padded : body_at + padded + _BLOCK],
                "the MAC state after frame-ciphertext",
            ),
        ],
    )


def _disconnect(reason: DiscReason) -> Section:
    return Section(
        "The recipient disconnects",
        "In place of its Hello it sends a Disconnect.",
        [Value("reason", f"{int(reason):#04x}: {reason}")],
    )


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))
