"""secp256k1 keys: parsing, signing, recovery and key agreement.

Pure; key objects are immutable and may be shared by threads. Public keys travel as 64 bytes
(x then y, big-endian, as in RLPx and enode URLs) or compressed to 33 (as in node records).

libsecp256k1 also reads the hybrid prefixes 0x06 and 0x07, which no part of devp2p allows. It is
therefore given keys only with a prefix that was checked or set here.
"""

from __future__ import annotations

from collections.abc import Callable

from p2p.arguments import bytes_of
from p2p.crypto.backend import secp256k1
from p2p.errors import InvalidKey

#: Returns the requested number of random bytes. Tests pass a counter, all else ``os.urandom``.
Entropy = Callable[[int], bytes]

PUBLIC_KEY_SIZE = 64
PRIVATE_KEY_SIZE = 32
SIGNATURE_SIZE = 65
#: Order of the curve, its number of points: private keys are below it (SEC 2, 2.4.1).
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class PublicKey:
    """A point on secp256k1. Equal keys are equal objects; usable as a dict key.

    Raises InvalidKey unless ``raw``, x then y, 64 bytes, is a point on the curve.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        raw = bytes_of(raw, "public key")
        if len(raw) != PUBLIC_KEY_SIZE:
            raise InvalidKey(f"public key has {len(raw)} bytes, want {PUBLIC_KEY_SIZE}")
        self._raw = raw
        try:
            secp256k1.check(raw)
        except ValueError:
            raise InvalidKey("public key is not a point on secp256k1") from None

    @classmethod
    def from_bytes(cls, raw: bytes) -> PublicKey:
        """Read x then y, 64 bytes. Raises InvalidKey unless they are a point on the curve."""
        return cls(raw)

    @classmethod
    def from_uncompressed(cls, raw: bytes) -> PublicKey:
        """Read 0x04 and 64 bytes. Raises InvalidKey for every other prefix."""
        raw = bytes_of(raw, "public key")
        if len(raw) != PUBLIC_KEY_SIZE + 1 or raw[0] != 0x04:
            raise InvalidKey("not an uncompressed public key")
        return cls(raw[1:])

    @classmethod
    def from_compressed(cls, raw: bytes) -> PublicKey:
        """Read 0x02 or 0x03 and x, 33 bytes. Raises InvalidKey for anything else."""
        raw = bytes_of(raw, "public key")
        if len(raw) != 33 or raw[0] not in (0x02, 0x03):
            raise InvalidKey("not a compressed public key")
        try:
            return cls._of_point(secp256k1.decompress(raw))
        except ValueError:
            raise InvalidKey("public key is not a point on secp256k1") from None

    @classmethod
    def _of_point(cls, point: bytes) -> PublicKey:
        """Return the key of a point that libsecp256k1 has computed, which needs no check."""
        key = cls.__new__(cls)
        key._raw = point
        return key

    def to_bytes(self) -> bytes:
        """Return x then y, 64 bytes."""
        return self._raw

    def to_compressed(self) -> bytes:
        """Return 0x02 or 0x03 and x, 33 bytes."""
        return bytes([0x02 | self._raw[63] & 1]) + self._raw[:32]

    def verify(self, digest: bytes, signature: bytes) -> bool:
        """Whether r || s (64 bytes) is a signature of the 32-byte digest by this key, with s low.

        Raises ArgumentTypeError for an argument that is not bytes.
        """
        digest = bytes_of(digest, "digest")
        signature = bytes_of(signature, "signature")
        if len(digest) != 32 or len(signature) != 64:
            return False
        try:
            return secp256k1.verify(self._raw, digest, signature)
        except ValueError:
            return False

    def __reduce__(self) -> tuple[Callable[[bytes], PublicKey], tuple[bytes]]:
        """Copy and pickle by the bytes, which are checked again."""
        return PublicKey.from_bytes, (self._raw,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self._raw == other._raw

    def __hash__(self) -> int:
        return hash(self._raw)

    def __repr__(self) -> str:
        return f"PublicKey({self._raw[:8].hex()}…)"


class PrivateKey:
    """A secp256k1 private key. Its ``repr`` does not show the secret.

    The public key and the signer are made when first used, since each costs a multiplication: of
    the four keys that the ends of a handshake generate, one signs and three show their public keys.

    Raises InvalidKey unless ``raw`` is 32 bytes, a big-endian number above 0 and below the order.
    """

    __slots__ = ("_public_key", "_secret", "_signer")

    def __init__(self, raw: bytes) -> None:
        raw = bytes_of(raw, "private key")
        if len(raw) != PRIVATE_KEY_SIZE:
            raise InvalidKey(f"private key has {len(raw)} bytes, want {PRIVATE_KEY_SIZE}")
        if not 0 < int.from_bytes(raw, "big") < _ORDER:
            raise InvalidKey("private key is zero or not below the curve's order") from None
        self._secret = raw
        # Two threads may compute the same one at the same time; both results are the same.
        self._public_key: PublicKey | None = None
        self._signer: Callable[[bytes], bytes] | None = None

    @classmethod
    def from_bytes(cls, raw: bytes) -> PrivateKey:
        """Read a big-endian number, 32 bytes. Raises InvalidKey unless 0 < number < order."""
        return cls(raw)

    @classmethod
    def generate(cls, entropy: Entropy) -> PrivateKey:
        """Make a key of random bytes; asks again if they are not a key, one case in 2**128."""
        while True:
            try:
                return cls.from_bytes(entropy(PRIVATE_KEY_SIZE))
            except InvalidKey:
                continue

    @property
    def public_key(self) -> PublicKey:
        """The public key of this private key."""
        key = self._public_key
        if key is None:
            key = self._public_key = PublicKey._of_point(secp256k1.public_key(self._secret))
        return key

    def to_bytes(self) -> bytes:
        """Return the number, big-endian, 32 bytes."""
        return self._secret

    def sign(self, digest: bytes) -> bytes:
        """Sign a 32-byte digest: r || s || v, 65 bytes, v in 0..3, s low, nonce by RFC 6979.

        Raises InvalidKey unless ``digest`` is 32 bytes.
        """
        digest = bytes_of(digest, "digest")
        if len(digest) != 32:
            raise InvalidKey(f"digest has {len(digest)} bytes, want 32")
        signer = self._signer
        if signer is None:
            signer = self._signer = secp256k1.signer(self._secret)
        return signer(digest)

    def agree(self, other: PublicKey) -> bytes:
        """Return the x coordinate, 32 bytes, of the point both ends can compute (``ecdh.agree``).

        For long-lived keys: the running time does not reveal the key.
        """
        return self.shared_point(other).to_bytes()[:32]

    def agree_once(self, other: PublicKey) -> bytes:
        """Return the same for ephemeral keys: may be faster, but its time may reveal the key."""
        return self.shared_point_once(other).to_bytes()[:32]

    def shared_point(self, other: PublicKey) -> PublicKey:
        """Return the point that both ends can compute (elliptic-curve Diffie-Hellman).

        For long-lived keys: the running time does not reveal the key.
        """
        return PublicKey._of_point(secp256k1.agree(self._secret, other.to_bytes()))

    def shared_point_once(self, other: PublicKey) -> PublicKey:
        """Return the same for ephemeral keys: may be faster, but its time may reveal the key."""
        return PublicKey._of_point(secp256k1.agree_once(self._secret, other.to_bytes()))

    def __reduce__(self) -> tuple[Callable[[bytes], PrivateKey], tuple[bytes]]:
        """Copy and pickle by the bytes: a pickle contains the private key."""
        return PrivateKey.from_bytes, (self._secret,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrivateKey) and self._secret == other._secret

    def __hash__(self) -> int:
        return hash(self.public_key)

    def __repr__(self) -> str:
        return f"PrivateKey(of {self.public_key!r})"


def recover(digest: bytes, signature: bytes) -> PublicKey:
    """Return the public key that signed a 32-byte digest with r || s || v, 65 bytes.

    Raises InvalidKey if there is none, and for bytes of another length or a v above 3.
    """
    if len(digest) != 32 or len(signature) != SIGNATURE_SIZE or signature[64] > 3:
        raise InvalidKey("not a recoverable signature")
    try:
        return PublicKey._of_point(secp256k1.recover(bytes(digest), bytes(signature)))
    except ValueError as error:
        raise InvalidKey("signature has no public key") from error
