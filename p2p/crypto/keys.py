"""secp256k1 keys: parsing, signing, recovery and key agreement.

Pure; key objects are immutable and may be shared by threads. Public keys travel as 64 bytes
(x then y, big-endian, as in RLPx and enode URLs) or compressed to 33 (as in node records).

libsecp256k1 also reads the hybrid prefixes 0x06 and 0x07, which no part of devp2p allows; keys are
parsed here with a prefix of our own choosing, so that they never get in.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

import coincurve
from coincurve.ecdsa import cdata_to_der, deserialize_compact

from p2p.errors import InvalidKey

#: Gives as many random bytes as asked for. Tests pass a counter, everybody else ``os.urandom``.
Entropy = Callable[[int], bytes]

PUBLIC_KEY_SIZE = 64
PRIVATE_KEY_SIZE = 32
SIGNATURE_SIZE = 65
#: How many points the curve has: private keys are below (SEC 2, 2.4.1).
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class PublicKey:
    """A point on secp256k1. Equal keys are equal objects; usable as a dict key."""

    __slots__ = ("_point", "_raw")

    def __init__(self, point: coincurve.PublicKey, raw: bytes | None = None) -> None:
        self._point = point
        self._raw = point.format(compressed=False)[1:] if raw is None else raw

    @classmethod
    def from_bytes(cls, raw: bytes) -> PublicKey:
        """Read x then y, 64 bytes. Raises InvalidKey unless that is a point on the curve."""
        if len(raw) != PUBLIC_KEY_SIZE:
            raise InvalidKey(f"public key has {len(raw)} bytes, want {PUBLIC_KEY_SIZE}")
        raw = bytes(raw)
        return cls(_parse(b"\x04" + raw), raw)

    @classmethod
    def from_uncompressed(cls, raw: bytes) -> PublicKey:
        """Read 0x04 and 64 bytes. Raises InvalidKey for every other prefix."""
        if len(raw) != PUBLIC_KEY_SIZE + 1 or raw[0] != 0x04:
            raise InvalidKey("not an uncompressed public key")
        raw = bytes(raw)
        return cls(_parse(raw), raw[1:])

    @classmethod
    def from_compressed(cls, raw: bytes) -> PublicKey:
        """Read 0x02 or 0x03 and x, 33 bytes. Raises InvalidKey for anything else."""
        if len(raw) != 33 or raw[0] not in (0x02, 0x03):
            raise InvalidKey("not a compressed public key")
        return cls(_parse(bytes(raw)))

    def to_bytes(self) -> bytes:
        """x then y, 64 bytes."""
        return self._raw

    def to_compressed(self) -> bytes:
        """0x02 or 0x03 and x, 33 bytes."""
        return self._point.format(compressed=True)

    def verify(self, digest: bytes, signature: bytes) -> bool:
        """Whether r || s (64 bytes) signs the 32-byte digest. A high s is refused."""
        if len(digest) != 32 or len(signature) != 64:
            return False
        try:
            der = cdata_to_der(deserialize_compact(bytes(signature)))
            return self._point.verify(der, bytes(digest), hasher=None)
        except ValueError:
            return False

    def multiply(self, scalar: bytes) -> bytes:
        """The x coordinate, 32 bytes, of this point times a valid 32-byte scalar.

        The time it takes depends on the scalar.
        """
        return _x_of(self._point.multiply(scalar))

    def multiply_by_sum(self, *scalars: bytes) -> bytes:
        """The x coordinate, 32 bytes, of this point times the sum of valid 32-byte scalars.

        The time it takes depends on each of them.
        """
        products = [self._point.multiply(scalar) for scalar in scalars]
        return _x_of(coincurve.PublicKey.combine_keys(products))

    def __reduce__(self) -> tuple[Callable[[bytes], PublicKey], tuple[bytes]]:
        """Copies and pickles are made of the bytes; the point itself can be neither."""
        return PublicKey.from_bytes, (self._raw,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self._raw == other._raw

    def __hash__(self) -> int:
        return hash(self._raw)

    def __repr__(self) -> str:
        return f"PublicKey({self._raw[:8].hex()}…)"


class PrivateKey:
    """A secp256k1 private key. Its ``repr`` does not show it.

    What a key can do is made when it is first asked for, since each costs a multiplication: of the
    four keys that the ends of a handshake generate, one signs and three show their public keys.
    """

    __slots__ = ("_public_key", "_secret", "_signer")

    def __init__(self, raw: bytes) -> None:
        if len(raw) != PRIVATE_KEY_SIZE:
            raise InvalidKey(f"private key has {len(raw)} bytes, want {PRIVATE_KEY_SIZE}")
        if not 0 < int.from_bytes(raw, "big") < _ORDER:
            raise InvalidKey("private key is zero or not below the curve's order") from None
        self._secret = bytes(raw)
        # Two threads that ask for the same at the same time both make it; both are right.
        self._public_key: PublicKey | None = None
        self._signer: coincurve.PrivateKey | None = None

    @classmethod
    def from_bytes(cls, raw: bytes) -> PrivateKey:
        """Read a big-endian number, 32 bytes. Raises InvalidKey unless 0 < number < order."""
        return cls(raw)

    @classmethod
    def generate(cls, entropy: Entropy) -> PrivateKey:
        """Make a key of random bytes; asks again in the one case of 2**128 that they do not fit."""
        while True:
            try:
                return cls.from_bytes(entropy(PRIVATE_KEY_SIZE))
            except InvalidKey:
                continue

    @property
    def public_key(self) -> PublicKey:
        """The point that belongs to it."""
        key = self._public_key
        if key is None:
            key = self._public_key = PublicKey(coincurve.PublicKey.from_valid_secret(self._secret))
        return key

    def to_bytes(self) -> bytes:
        """The number, big-endian, 32 bytes."""
        return self._secret

    def sign(self, digest: bytes) -> bytes:
        """Sign a 32-byte digest: r || s || v, 65 bytes, v in 0..3, s low, nonce by RFC 6979."""
        signer = self._signer
        if signer is None:
            signer = self._signer = coincurve.PrivateKey(self._secret)
        return signer.sign_recoverable(digest, hasher=None)

    def agree(self, other: PublicKey) -> bytes:
        """The x coordinate, 32 bytes, of the point both ends can compute (``ecdh.agree``).

        For keys that are kept: the two numbers whose multiplications it takes add up to the key,
        and each for itself is as good as random.
        """
        # Twice as wide as the key, so that the remainders show no bias and the difference has
        # always the same sign. That a remainder is 0, which would raise, has a chance of 2**-255.
        mask = int.from_bytes(hmac.digest(self._secret, other.to_bytes(), "sha512"), "big")
        rest = int.from_bytes(self._secret, "big") - mask
        return other.multiply_by_sum(_scalar(rest), _scalar(mask))

    def agree_once(self, other: PublicKey) -> bytes:
        """The same in half the time, which depends on the key. For keys that are used once."""
        return other.multiply(self._secret)

    def __reduce__(self) -> tuple[Callable[[bytes], PrivateKey], tuple[bytes]]:
        """As for public keys. Who keeps the pickle keeps the key."""
        return PrivateKey.from_bytes, (self._secret,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrivateKey) and self._secret == other._secret

    def __hash__(self) -> int:
        return hash(self.public_key)

    def __repr__(self) -> str:
        return f"PrivateKey(of {self.public_key!r})"


def recover(digest: bytes, signature: bytes) -> PublicKey:
    """Find the key that made r || s || v over a 32-byte digest. Raises InvalidKey if none did."""
    if len(digest) != 32 or len(signature) != SIGNATURE_SIZE or signature[64] > 3:
        raise InvalidKey("not a recoverable signature")
    try:
        point = coincurve.PublicKey.from_signature_and_message(
            bytes(signature), bytes(digest), hasher=None
        )
    except ValueError as error:
        raise InvalidKey("signature has no public key") from error
    return PublicKey(point)


def _scalar(number: int) -> bytes:
    return (number % _ORDER).to_bytes(PRIVATE_KEY_SIZE, "big")


def _x_of(point: coincurve.PublicKey) -> bytes:
    return point.format(compressed=False)[1:33]


def _parse(encoded: bytes) -> coincurve.PublicKey:
    try:
        return coincurve.PublicKey(encoded)
    except ValueError:
        raise InvalidKey("public key is not a point on secp256k1") from None
