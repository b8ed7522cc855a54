"""Choice of the libraries for AES, Keccak and secp256k1; made nowhere else.

Pure; functions may be called by any thread, one object by one thread at a time.

On CPython the choice is ``cryptography`` and ``safe-pysha3``, because both keep the interpreter
lock on small inputs: a call that releases it may wait 5 ms to get it back while another thread
computes, and a frame takes eleven calls. If one of the two is missing (PyPy), pycryptodome serves
for AES and Keccak. ``P2P_CRYPTO_BACKEND=pycryptodome`` in the environment selects it; the tests do.
secp256k1 comes from coincurve, or, if that is missing, since it has no wheel for CPython 3.14 and
later, from btclib-secp256k1; ``P2P_SECP256K1_BACKEND=btclib`` selects the latter.

The figures are in ``docs/design/crypto-backends.md``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

Bytes = bytes | bytearray | memoryview
#: A cipher with its key: bytes in, as many bytes out.
Cipher = Callable[[Bytes], bytes]


class Hasher(Protocol):
    """A hash whose ``update`` and ``digest`` may be called in turn."""

    def update(self, data: Bytes, /) -> object: ...

    def digest(self) -> bytes: ...


class AEAD(Protocol):
    """Authenticated encryption with a key; a nonce must never be used twice."""

    def encrypt(self, nonce: bytes, data: Bytes, associated: Bytes, /) -> bytes:
        """Return the ciphertext and the tag of 16 bytes."""

    def decrypt(self, nonce: bytes, data: Bytes, associated: Bytes, /) -> bytes:
        """Return the plaintext. Raises ValueError if the tag is wrong or missing."""


class Secp256k1(Protocol):
    """A module that binds libsecp256k1.

    A point is x then y, 64 bytes; a secret is 32 bytes, a number from 1 to below the curve's order,
    which is not checked again. All arguments are of type ``bytes`` and have the right length.
    ValueError is raised for bytes that are not a point or not a signature.
    """

    def check(self, point: bytes) -> None:
        """Raise ValueError unless the point is on the curve."""

    def decompress(self, encoded: bytes) -> bytes:
        """Return the point whose compressed form, 0x02 or 0x03 and x, 33 bytes, is ``encoded``."""

    def public_key(self, secret: bytes) -> bytes:
        """Return the point of a private key."""

    def signer(self, secret: bytes) -> Callable[[bytes], bytes]:
        """Return a function that signs a 32-byte digest with ``secret``.

        A signature is r || s || v, 65 bytes, with s low and the nonce of RFC 6979.
        """

    def recover(self, digest: bytes, signature: bytes) -> bytes:
        """Return the point whose key made ``signature``, r || s || v, 65 bytes, v in 0..3."""

    def verify(self, point: bytes, digest: bytes, signature: bytes) -> bool:
        """Whether ``signature``, r || s, 64 bytes, is by the point's key and s is low."""

    def agree(self, secret: bytes, point: bytes) -> bytes:
        """Return the product of secret and point.

        The running time does not depend on the secret.
        """

    def agree_once(self, secret: bytes, point: bytes) -> bytes:
        """Return the same for a secret that is used once: the running time may depend on it."""


def renewed(hasher: Hasher) -> Hasher:
    """Return the same state in an object that keeps the interpreter lock on small inputs.

    A pysha3 object makes a lock of its own at its first input of 2,048 bytes or more, and from then
    on releases the interpreter's for every input, however small. A copy has no lock.
    """
    copy: Callable[[], Hasher] | None = getattr(hasher, "copy", None)
    return hasher if copy is None else copy()


ZERO_IV = bytes(16)
#: Size of the tag of an AEAD, in bytes.
TAG_SIZE = 16


class _Library(NamedTuple):
    """The functions below, made with one library or two."""

    ctr_stream: Callable[[bytes, bytes], Cipher]
    ctr_streams: Callable[[bytes], Callable[[bytes], Cipher]]
    feedback_mask: Callable[[bytes], Cipher]
    gcm: Callable[[bytes], AEAD]
    keccak_hasher: Callable[[Bytes], Hasher]


def _with_cryptography() -> _Library:
    import sha3
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
    from cryptography.hazmat.primitives.ciphers import Cipher as AnyCipher
    from cryptography.hazmat.primitives.ciphers import algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    def ctr_stream(key: bytes, iv: bytes = ZERO_IV) -> Cipher:
        return AnyCipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update

    def ctr_streams(key: bytes) -> Callable[[bytes], Cipher]:
        context = AnyCipher(algorithms.AES(key), modes.CTR(ZERO_IV)).encryptor()
        reset, update = context.reset_nonce, context.update

        def begin(iv: bytes) -> Cipher:
            reset(iv)
            return update

        return begin

    def feedback_mask(key: bytes) -> Cipher:
        return AnyCipher(algorithms.AES(key), CFB(ZERO_IV)).decryptor().update

    class GCM:
        def __init__(self, key: bytes) -> None:
            self._aead = AESGCM(key)
            self.encrypt = self._aead.encrypt

        def decrypt(self, nonce: bytes, data: Bytes, associated: Bytes) -> bytes:
            try:
                return self._aead.decrypt(nonce, data, associated)
            except InvalidTag:
                raise ValueError("wrong tag") from None

    return _Library(ctr_stream, ctr_streams, feedback_mask, GCM, sha3.keccak_256)


def _with_pycryptodome() -> _Library:
    from Crypto.Cipher import AES
    from Crypto.Cipher._mode_gcm import GcmMode
    from Crypto.Hash import keccak

    def ctr_stream(key: bytes, iv: bytes = ZERO_IV) -> Cipher:
        return AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=iv).encrypt

    def ctr_streams(key: bytes) -> Callable[[bytes], Cipher]:
        return partial(ctr_stream, key)

    def feedback_mask(key: bytes) -> Cipher:
        return AES.new(key, AES.MODE_CFB, iv=ZERO_IV, segment_size=128).decrypt

    def keccak_hasher(data: Bytes = b"") -> Hasher:
        return keccak.new(data=data, digest_bits=256, update_after_digest=True)

    class GCM:
        def __init__(self, key: bytes) -> None:
            self._key = key

        def encrypt(self, nonce: bytes, data: Bytes, associated: Bytes) -> bytes:
            ciphertext, tag = self._new(nonce, associated).encrypt_and_digest(data)
            return ciphertext + tag

        def decrypt(self, nonce: bytes, data: Bytes, associated: Bytes) -> bytes:
            if len(data) < TAG_SIZE:
                raise ValueError("no tag")
            cipher = self._new(nonce, associated)
            return cipher.decrypt_and_verify(data[:-TAG_SIZE], data[-TAG_SIZE:])

        def _new(self, nonce: bytes, associated: Bytes) -> GcmMode:
            return AES.new(self._key, AES.MODE_GCM, nonce=nonce).update(associated)

    return _Library(ctr_stream, ctr_streams, feedback_mask, GCM, keccak_hasher)


def _with_coincurve() -> Secp256k1:
    from p2p.crypto import secp256k1_coincurve

    return secp256k1_coincurve


def _with_btclib() -> Secp256k1:
    from p2p.crypto import secp256k1_btclib

    return secp256k1_btclib


if os.environ.get("P2P_CRYPTO_BACKEND") == "pycryptodome":
    BACKEND, _library = "pycryptodome", _with_pycryptodome()
else:
    try:
        BACKEND, _library = "cryptography", _with_cryptography()
    except ImportError:
        BACKEND, _library = "pycryptodome", _with_pycryptodome()
_ctr_stream, _ctr_streams, _feedback_mask, _gcm, _keccak_hasher = _library

if os.environ.get("P2P_SECP256K1_BACKEND") == "btclib":
    SECP256K1_BACKEND, secp256k1 = "btclib", _with_btclib()
else:
    try:
        SECP256K1_BACKEND, secp256k1 = "coincurve", _with_coincurve()
    except ImportError:
        SECP256K1_BACKEND, secp256k1 = "btclib", _with_btclib()


def ctr_stream(key: bytes, iv: bytes = ZERO_IV) -> Cipher:
    """Return AES in counter mode as one endless stream; ``key`` has 16 or 32 bytes, ``iv`` 16.

    Encryption and decryption are the same; each call continues where the previous one ended.
    """
    return _ctr_stream(key, iv)


def ctr_streams(key: bytes) -> Callable[[bytes], Cipher]:
    """Return a function of an IV that begins a stream as :func:`ctr_stream` does, in less time.

    The stream that was begun before ends with it. For one thread at a time.
    """
    return _ctr_streams(key)


def feedback_mask(key: bytes) -> Cipher:
    """Return ``mask``, such that ``mask(d + x)[16:]`` is ``AES(key, d) ^ x`` for 16-byte d and x.

    Decryption in 128-bit cipher feedback mode does this to its second block, independent of earlier
    input. RLPx MACs need it twice a frame, and one such call takes half the time of a block
    encryption and an exclusive or in Python (``docs/design/mac-as-cfb.md``).
    """
    return _feedback_mask(key)


def keccak_hasher(data: Bytes = b"") -> Hasher:
    """Return a Keccak-256 state that has absorbed ``data``; it takes more after ``digest()``."""
    return _keccak_hasher(data)


def gcm(key: bytes) -> AEAD:
    """AES in Galois/counter mode; ``key`` has 16 bytes, nonces have 12 (NIST SP 800-38D)."""
    return _gcm(key)


def keccak256(data: Bytes) -> bytes:
    """Return the 32-byte Keccak-256 hash of ``data``, with Ethereum's padding, not SHA-3's."""
    return _keccak_hasher(data).digest()
