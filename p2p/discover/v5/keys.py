"""The cryptography of the discovery v5 handshake, for the identity scheme "v4".

Pure. Specification: discv5-theory, "Handshake Steps" and "Identity-Specific Cryptography in the
Handshake". ``challenge`` is the unmasked WHOAREYOU packet: masking IV, static header and authdata.
The initiator is the node that answers the WHOAREYOU, the recipient the one that sent it.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import NamedTuple

from p2p.crypto import PrivateKey, PublicKey

#: Size of r and s, in bytes.
SIGNATURE_SIZE = 64
#: Size of a compressed public key, in bytes.
EPHEMERAL_KEY_SIZE = 33
KEY_SIZE = 16
_AGREEMENT_TEXT = b"discovery v5 key agreement"
_PROOF_TEXT = b"discovery v5 identity proof"


class SessionKeys(NamedTuple):
    """Keys of AES-128-GCM, one for each direction."""

    initiator: bytes
    recipient: bytes


def initiator_keys(
    ephemeral: PrivateKey, recipient: PublicKey, ids: tuple[bytes, bytes], challenge: bytes
) -> SessionKeys:
    """Derive the session keys at the initiator; ``ids`` are initiator and recipient."""
    return derive(ephemeral.shared_point_once(recipient), ids, challenge)


def recipient_keys(
    private_key: PrivateKey, ephemeral: PublicKey, ids: tuple[bytes, bytes], challenge: bytes
) -> SessionKeys:
    """Derive the session keys at the recipient; ``ids`` are initiator and recipient."""
    return derive(private_key.shared_point(ephemeral), ids, challenge)


def derive(shared: PublicKey, ids: tuple[bytes, bytes], challenge: bytes) -> SessionKeys:
    """HKDF with SHA-256 (RFC 5869): the salt is the challenge, the input the compressed point."""
    pseudorandom = hmac.digest(challenge, shared.to_compressed(), "sha256")
    info = _AGREEMENT_TEXT + ids[0] + ids[1]
    # 32 bytes are the first block of HKDF-Expand.
    material = hmac.digest(pseudorandom, info + b"\x01", "sha256")
    return SessionKeys(material[:KEY_SIZE], material[KEY_SIZE:])


def sign_identity(
    private_key: PrivateKey, challenge: bytes, ephemeral_key: bytes, recipient_id: bytes
) -> bytes:
    """Return the ID signature, 64 bytes; ``ephemeral_key`` is compressed."""
    digest = _proof_digest(challenge, ephemeral_key, recipient_id)
    return private_key.sign(digest)[:SIGNATURE_SIZE]


def verify_identity(
    public_key: PublicKey,
    signature: bytes,
    challenge: bytes,
    ephemeral_key: bytes,
    recipient_id: bytes,
) -> bool:
    """Whether ``signature`` is the ID signature of the owner of ``public_key``."""
    return public_key.verify(_proof_digest(challenge, ephemeral_key, recipient_id), signature)


def _proof_digest(challenge: bytes, ephemeral_key: bytes, recipient_id: bytes) -> bytes:
    return sha256(_PROOF_TEXT + challenge + ephemeral_key + recipient_id).digest()
