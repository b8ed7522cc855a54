from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from p2p.crypto import PrivateKey, PublicKey, gcm
from p2p.discover.v5 import keys
from tests.discover.v5.vectors import ID_A, ID_B, KEY_A, KEY_B, VECTORS, unhex

PRIMITIVES = VECTORS["primitives"]
HANDSHAKES = [case for case in VECTORS["packets"] if "handshake" in case]
IDS = (ID_A, ID_B)


def test_no_vector_is_left_out() -> None:
    assert set(PRIMITIVES) == {"ecdh", "key_derivation", "id_nonce_signing", "aes_gcm"}
    assert len(HANDSHAKES) == 2


def test_agreement_is_the_compressed_point() -> None:
    case = PRIMITIVES["ecdh"]
    key = PrivateKey.from_bytes(unhex(case, "secret_key"))
    other = PublicKey.from_compressed(unhex(case, "public_key"))
    for shared in (key.shared_point(other), key.shared_point_once(other)):
        assert shared.to_compressed() == unhex(case, "shared_secret")


def test_key_derivation() -> None:
    case = PRIMITIVES["key_derivation"]
    ephemeral = PrivateKey.from_bytes(unhex(case, "ephemeral_key"))
    challenge = unhex(case, "challenge_data")
    made = keys.initiator_keys(ephemeral, KEY_B.public_key, IDS, challenge)
    assert made == (unhex(case, "initiator_key"), unhex(case, "recipient_key"))
    assert keys.recipient_keys(KEY_B, ephemeral.public_key, IDS, challenge) == made


def test_id_signature() -> None:
    case = PRIMITIVES["id_nonce_signing"]
    key = PrivateKey.from_bytes(unhex(case, "static_key"))
    challenge, ephemeral = unhex(case, "challenge_data"), unhex(case, "ephemeral_pubkey")
    signature = keys.sign_identity(key, challenge, ephemeral, ID_B)
    assert signature == unhex(case, "id_signature")
    assert keys.verify_identity(key.public_key, signature, challenge, ephemeral, ID_B)
    for wrong in ((challenge + b"x", ephemeral, ID_B), (challenge, ephemeral, ID_A)):
        assert not keys.verify_identity(key.public_key, signature, *wrong)
    assert not keys.verify_identity(KEY_A.public_key, signature, challenge, ephemeral, ID_B)


def test_gcm() -> None:
    case = PRIMITIVES["aes_gcm"]
    cipher = gcm(unhex(case, "encryption_key"))
    nonce, text, head = unhex(case, "nonce"), unhex(case, "pt"), unhex(case, "ad")
    assert cipher.encrypt(nonce, text, head) == unhex(case, "message_ciphertext")
    assert cipher.decrypt(nonce, unhex(case, "message_ciphertext"), head) == text


@pytest.mark.parametrize("case", HANDSHAKES, ids=lambda case: case["name"])
def test_handshakes_of_the_vectors(case: dict[str, Any]) -> None:
    challenge = unhex(case, "spec_values", "whoareyou.challenge-data")
    ephemeral = PrivateKey.from_bytes(unhex(case, "spec_values", "ephemeral-key"))
    made = keys.initiator_keys(ephemeral, KEY_B.public_key, IDS, challenge)
    assert made.initiator == unhex(case, "handshake", "initiator_key")
    assert made.recipient == unhex(case, "handshake", "recipient_key")
    compressed = ephemeral.public_key.to_compressed()
    assert compressed == unhex(case, "spec_values", "ephemeral-pubkey")
    signature = keys.sign_identity(KEY_A, challenge, compressed, ID_B)
    assert signature == unhex(case, "handshake", "id_signature")
    signed = keys._PROOF_TEXT + challenge + compressed + ID_B
    assert sha256(signed).digest() == unhex(case, "handshake", "id_signature_input_sha256")
