"""ECIES as RLPx uses it (rlpx.md, "ECIES Encryption").

Pure: the ephemeral key and the initialization vector are passed in. A sealed message is::

    R            65  ephemeral public key, 0x04 || x || y
    iv           16  initialization vector of AES-128-CTR
    ciphertext    n  as many bytes as the plaintext
    tag          32  HMAC-SHA256(SHA256(kM), iv || ciphertext || shared MAC data)

with kE || kM (16 + 16 bytes) the NIST SP 800-56 concatenation KDF (SHA-256) of the x coordinate of
the key agreement. All failures to open a message raise the same error with the same text, so that a
remote cannot use us as an oracle.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

from p2p.crypto.backend import ctr_stream
from p2p.crypto.keys import PrivateKey, PublicKey
from p2p.errors import HandshakeError, InvalidKey

#: Bytes that sealing adds: R, iv and tag.
OVERHEAD = 65 + 16 + 32


def encrypt(
    recipient: PublicKey,
    plaintext: bytes,
    shared_mac_data: bytes,
    ephemeral: PrivateKey,
    iv: bytes,
) -> bytes:
    """Seal ``plaintext`` for ``recipient``, and return the message.

    ``shared_mac_data`` is authenticated, but not part of the message. Never use an ephemeral key
    and ``iv`` (16 bytes) twice.
    """
    key, mac_key = _derive(ephemeral.agree_once(recipient))
    sealed = iv + ctr_stream(key, iv)(plaintext)
    tag = _tag(mac_key, sealed, shared_mac_data)
    return b"\x04" + ephemeral.public_key.to_bytes() + sealed + tag


def decrypt(private_key: PrivateKey, message: bytes, shared_mac_data: bytes) -> bytes:
    """Open a sealed message, and return its plaintext.

    Raises HandshakeError, always with the same text.
    """
    try:
        return _open(private_key, message, shared_mac_data)
    except InvalidKey:
        raise HandshakeError("handshake message cannot be decrypted") from None


def _open(private_key: PrivateKey, message: bytes, shared_mac_data: bytes) -> bytes:
    if len(message) < OVERHEAD:
        raise InvalidKey("too short")
    key, mac_key = _derive(private_key.agree(PublicKey.from_uncompressed(message[:65])))
    sealed, tag = message[65:-32], message[-32:]
    if not hmac.compare_digest(tag, _tag(mac_key, sealed, shared_mac_data)):
        raise InvalidKey("wrong tag")
    return ctr_stream(key, sealed[:16])(sealed[16:])


def concat_kdf(secret: bytes, length: int) -> bytes:
    """Derive ``length`` bytes by NIST SP 800-56A section 5.8.1, SHA-256 and no OtherInfo."""
    blocks = -(-length // 32)
    return b"".join(
        sha256(counter.to_bytes(4, "big") + secret).digest() for counter in range(1, blocks + 1)
    )[:length]


def _derive(shared_x: bytes) -> tuple[bytes, bytes]:
    material = concat_kdf(shared_x, 32)
    return material[:16], sha256(material[16:]).digest()


def _tag(mac_key: bytes, sealed: bytes, shared_mac_data: bytes) -> bytes:
    return hmac.digest(mac_key, sealed + shared_mac_data, "sha256")
