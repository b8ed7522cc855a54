"""Keys, signatures, ECIES and the ciphers of RLPx.

Pure: no socket, thread, clock or random source; random values are passed in. This package is the
only one that imports coincurve, btclib-secp256k1, cryptography, pysha3 or pycryptodome. Errors of
ECIES never reveal which check failed (RLPx, "ECIES Encryption").
"""

from __future__ import annotations

from p2p.crypto.backend import (
    AEAD,
    BACKEND,
    SECP256K1_BACKEND,
    ctr_stream,
    ctr_streams,
    feedback_mask,
    gcm,
    keccak256,
    keccak_hasher,
)
from p2p.crypto.ecies import OVERHEAD, decrypt, encrypt
from p2p.crypto.keys import Entropy, PrivateKey, PublicKey, recover

__all__ = [
    "AEAD",
    "BACKEND",
    "OVERHEAD",
    "SECP256K1_BACKEND",
    "Entropy",
    "PrivateKey",
    "PublicKey",
    "ctr_stream",
    "ctr_streams",
    "decrypt",
    "encrypt",
    "feedback_mask",
    "gcm",
    "keccak256",
    "keccak_hasher",
    "recover",
]
