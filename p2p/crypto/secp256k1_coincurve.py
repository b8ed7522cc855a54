"""secp256k1 by coincurve, for Python versions that it has wheels for.

Pure. The functions of :class:`p2p.crypto.backend.Secp256k1`.

coincurve's constant-time agreement returns a hash of the point, where RLPx needs the x coordinate
and discovery v5 the point, and the running time of its multiplication depends on the number. So
``agree`` uses additive scalar blinding: it splits the key into two summands, each of them
pseudorandom by itself, and adds the two products.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

import coincurve
from coincurve.ecdsa import cdata_to_der, deserialize_compact
from coincurve.utils import GROUP_ORDER_INT


def check(point: bytes) -> None:
    _parse(point)


def decompress(encoded: bytes) -> bytes:
    return _coordinates(coincurve.PublicKey(encoded))


def public_key(secret: bytes) -> bytes:
    return _coordinates(coincurve.PublicKey.from_valid_secret(secret))


def signer(secret: bytes) -> Callable[[bytes], bytes]:
    key = coincurve.PrivateKey(secret)
    return lambda digest: key.sign_recoverable(digest, hasher=None)


def recover(digest: bytes, signature: bytes) -> bytes:
    recovered = coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    return _coordinates(recovered)


def verify(point: bytes, digest: bytes, signature: bytes) -> bool:
    der = cdata_to_der(deserialize_compact(signature))
    return bool(_parse(point).verify(der, digest, hasher=None))


def agree(secret: bytes, point: bytes) -> bytes:
    # Twice as wide as the key, so that the remainders show no bias and the difference always has
    # the same sign. A remainder of 0, which would raise, has a probability of 2**-255.
    mask = int.from_bytes(hmac.digest(secret, point, "sha512"), "big")
    rest = int.from_bytes(secret, "big") - mask
    other = _parse(point)
    products = [other.multiply(_scalar(number)) for number in (rest, mask)]
    return _coordinates(coincurve.PublicKey.combine_keys(products))


def agree_once(secret: bytes, point: bytes) -> bytes:
    return _coordinates(_parse(point).multiply(secret))


def _parse(point: bytes) -> coincurve.PublicKey:
    return coincurve.PublicKey(b"\x04" + point)


def _coordinates(key: coincurve.PublicKey) -> bytes:
    encoded: bytes = key.format(compressed=False)
    return encoded[1:]


def _scalar(number: int) -> bytes:
    return (number % GROUP_ORDER_INT).to_bytes(32, "big")
