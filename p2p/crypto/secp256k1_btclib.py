"""secp256k1 by btclib-secp256k1, for Python versions that coincurve has no wheels for.

Pure. The functions of :class:`p2p.crypto.backend.Secp256k1`.

``shared_point`` returns the point of an agreement itself in constant time, so the key needs no
blinding. The verification of each new signature, which takes twice as long as signing, is turned
off: coincurve and go-ethereum do none.
"""

from __future__ import annotations

from collections.abc import Callable

from btclib_secp256k1 import dsa, ecdh, keys, recovery


def check(point: bytes) -> None:
    keys.parse(b"\x04" + point)


def decompress(encoded: bytes) -> bytes:
    point: bytes = keys.reserialize(encoded, compressed=False)
    return point[1:]


def public_key(secret: bytes) -> bytes:
    point: bytes = keys.pubkey_from_prvkey(secret, compressed=False)
    return point[1:]


def signer(secret: bytes) -> Callable[[bytes], bytes]:
    def sign(digest: bytes) -> bytes:
        signature: bytes
        signature, recovery_id = recovery.sign(digest, secret, verify=False)
        return signature + bytes([recovery_id])

    return sign


def recover(digest: bytes, signature: bytes) -> bytes:
    point: bytes = recovery.recover(digest, signature[:64], signature[64], compressed=False)
    return point[1:]


def verify(point: bytes, digest: bytes, signature: bytes) -> bool:
    return bool(dsa.verify(digest, b"\x04" + point, signature, compact=True))


def agree(secret: bytes, point: bytes) -> bytes:
    shared: bytes = ecdh.shared_point(b"\x04" + point, secret, compressed=False)
    return shared[1:]


#: ``agree`` already runs in constant time.
agree_once = agree
