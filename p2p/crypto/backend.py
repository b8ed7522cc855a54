"""The one place that chooses which library does AES and Keccak.

Pure, and safe for any thread as long as one object has one user at a time.

On CPython the choice is ``cryptography`` and ``safe-pysha3``, because both keep the interpreter
lock on small inputs: a call that gives it up may wait 5 ms to get it back while another thread
computes, and a frame takes eleven calls. Where one of the two is missing (PyPy), pycryptodome does
everything. ``P2P_CRYPTO_BACKEND=pycryptodome`` in the environment asks for it; the tests do.
The figures are in ``docs/design/crypto-backends.md``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

Bytes = bytes | bytearray | memoryview
#: A cipher that was given its key: bytes in, as many bytes out.
Cipher = Callable[[Bytes], bytes]


class Hasher(Protocol):
    """A hash that can be fed and asked in turn."""

    def update(self, data: Bytes, /) -> object: ...

    def digest(self) -> bytes: ...


def renewed(hasher: Hasher) -> Hasher:
    """The same state, in an object that keeps the interpreter lock on small inputs.

    A pysha3 object that was once given 2,048 bytes or more makes itself a lock, and from then on
    gives up the interpreter's for every input, however small. A copy has none.
    """
    copy: Callable[[], Hasher] | None = getattr(hasher, "copy", None)
    return hasher if copy is None else copy()


ZERO_IV = bytes(16)


def _with_cryptography() -> tuple[
    Callable[[bytes, bytes], Cipher], Callable[[bytes], Cipher], Callable[[Bytes], Hasher]
]:
    import sha3
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
    from cryptography.hazmat.primitives.ciphers import Cipher as AnyCipher
    from cryptography.hazmat.primitives.ciphers import algorithms, modes

    def ctr_stream(key: bytes, iv: bytes = ZERO_IV) -> Cipher:
        return AnyCipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update

    def feedback_mask(key: bytes) -> Cipher:
        return AnyCipher(algorithms.AES(key), CFB(ZERO_IV)).decryptor().update

    return ctr_stream, feedback_mask, sha3.keccak_256


def _with_pycryptodome() -> tuple[
    Callable[[bytes, bytes], Cipher], Callable[[bytes], Cipher], Callable[[Bytes], Hasher]
]:
    from Crypto.Cipher import AES
    from Crypto.Hash import keccak

    def ctr_stream(key: bytes, iv: bytes = ZERO_IV) -> Cipher:
        return AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=iv).encrypt

    def feedback_mask(key: bytes) -> Cipher:
        return AES.new(key, AES.MODE_CFB, iv=ZERO_IV, segment_size=128).decrypt

    def keccak_hasher(data: Bytes = b"") -> Hasher:
        return keccak.new(data=data, digest_bits=256, update_after_digest=True)

    return ctr_stream, feedback_mask, keccak_hasher


if os.environ.get("P2P_CRYPTO_BACKEND") == "pycryptodome":
    BACKEND = "pycryptodome"
    _ctr_stream, _feedback_mask, _keccak_hasher = _with_pycryptodome()
else:
    try:
        _ctr_stream, _feedback_mask, _keccak_hasher = _with_cryptography()
        BACKEND = "cryptography"
    except ImportError:
        BACKEND = "pycryptodome"
        _ctr_stream, _feedback_mask, _keccak_hasher = _with_pycryptodome()


def ctr_stream(key: bytes, iv: bytes = ZERO_IV) -> Cipher:
    """AES in counter mode as one endless stream; ``key`` has 16 or 32 bytes, ``iv`` 16.

    Encrypts and decrypts alike: each call goes on where the one before ended.
    """
    return _ctr_stream(key, iv)


def feedback_mask(key: bytes) -> Cipher:
    """A function with which ``mask(d + x)[16:]`` is ``AES(key, d) ^ x`` for 16-byte d and x.

    That is what decryption in 128-bit cipher feedback mode does to its second block, whatever went
    through before. RLPx MACs need it twice a frame, and one such call takes half the time of a
    block encryption and an exclusive or in Python (``docs/design/mac-as-cfb.md``).
    """
    return _feedback_mask(key)


def keccak_hasher(data: Bytes = b"") -> Hasher:
    """A Keccak-256 state that has absorbed ``data``; ``digest()`` does not end it."""
    return _keccak_hasher(data)


def keccak256(data: Bytes) -> bytes:
    """The 32-byte Keccak-256 hash, with Ethereum's padding, not SHA-3's."""
    return _keccak_hasher(data).digest()
