"""Keys, signatures, ECIES and the ciphers of RLPx.

Pure: no socket, thread, clock or random source; whatever must be random is passed in. This package
is the only one that imports coincurve, cryptography, pysha3 or pycryptodome. Errors of ECIES never
tell which check failed (RLPx, "ECIES Encryption").
"""

from __future__ import annotations

from p2p.crypto.backend import (
    BACKEND,
    ctr_stream,
    feedback_mask,
    keccak256,
    keccak_hasher,
)
from p2p.crypto.ecies import OVERHEAD, decrypt, encrypt
from p2p.crypto.keys import Entropy, PrivateKey, PublicKey, recover

__all__ = [
    "BACKEND",
    "OVERHEAD",
    "Entropy",
    "PrivateKey",
    "PublicKey",
    "ctr_stream",
    "decrypt",
    "encrypt",
    "feedback_mask",
    "keccak256",
    "keccak_hasher",
    "recover",
]
