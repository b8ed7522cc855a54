from __future__ import annotations

from typing import Any

import pytest

from p2p.codec import decode, encode
from p2p.crypto import PrivateKey, PublicKey, keccak256, recover
from p2p.errors import HandshakeError, RemoteTimeout
from p2p.rlpx.handshake import (
    PLAIN_ACK_SIZE,
    PLAIN_AUTH_SIZE,
    Initiator,
    Recipient,
    ingress_mac,
)
from tests.rlpx.handshakes import (
    CONSTRUCTED,
    EIP8,
    GIST,
    KEY_A,
    KEY_B,
    PACKETS,
    listener,
    opened,
    opened_case,
    outcome,
)
from tests.rlpx.vectors import HANDSHAKE, name_of, scripted, unhex

each_packet = pytest.mark.parametrize("case", PACKETS.values(), ids=name_of)


def test_no_vector_is_left_out() -> None:
    assert set(HANDSHAKE) - {"source", "encoding", "checked_against"} == {
        "eip8",
        "plain_gist",
        "constructed",
    }
    assert sorted(PACKETS) == ["ack1", "ack2", "ack3", "auth1", "auth2", "auth3"]
    assert len(CONSTRUCTED) == 21
    words = {"source", "auth", "ack", "derivation", "derivation_plain", "signed_digest"}
    keys = {
        f"{kind}_{key}_{end}"
        for kind in ("static", "ephemeral")
        for end in "ab"
        for key in ("key", "pubkey")
    }
    secrets = {"nonce_a", "nonce_b", "static_shared_secret", "auth_signature"}
    assert set(EIP8) == words | keys | secrets


@pytest.mark.parametrize("end", "ab")
@pytest.mark.parametrize("kind", ["static", "ephemeral"])
def test_keys_of_eip8_belong_together(kind: str, end: str) -> None:
    key = PrivateKey.from_bytes(unhex(EIP8[f"{kind}_key_{end}"]))
    assert key.public_key.to_bytes().hex() == EIP8[f"{kind}_pubkey_{end}"]


def test_signature_of_eip8_is_over_shared_secret_xor_nonce() -> None:
    shared = KEY_A.agree(KEY_B.public_key)
    assert shared.hex() == EIP8["static_shared_secret"]
    digest = bytes(a ^ b for a, b in zip(shared, unhex(EIP8["nonce_a"]), strict=True))
    signature = unhex(EIP8["auth_signature"])
    assert recover(digest, signature).to_bytes().hex() == EIP8["ephemeral_pubkey_a"]
    ours = PrivateKey.from_bytes(unhex(EIP8["ephemeral_key_a"])).sign(digest)
    assert recover(digest, ours).to_bytes().hex() == EIP8["ephemeral_pubkey_a"]


@each_packet
def test_packet_of_eip8_opens(case: dict[str, Any]) -> None:
    packet, body, plain = opened_case(case)
    assert packet == unhex(case["packet"]) and len(packet) == case["packet_length"]
    assert plain is (case["size_prefix"] is None)
    if plain:
        assert body.hex() == case["plaintext"]
        return
    assert int.from_bytes(packet[:2], "big") == case["size_prefix"]
    assert packet[:2].hex() == case["ecies_shared_mac_data"]
    length = case["rlp_body_length"]
    assert body[:length] == unhex(case["plaintext"])[:length]
    assert len(body) == length + case["trailing_padding_length"]
    items = decode(body[:length])
    assert isinstance(items, list)
    fixed = 4 if case["name"].startswith("auth") else 3
    assert items[fixed - 1] == bytes([case["version"]])
    assert [encode(item).hex() for item in items[fixed:]] == case["extra_list_elements_rlp"]


@pytest.mark.parametrize("name", ["auth1", "auth2", "auth3"])
def test_recipient_derives_the_secrets_of_eip8(name: str) -> None:
    entropy = scripted(EIP8["ephemeral_key_b"], EIP8["nonce_b"])
    secrets = Recipient(KEY_B, *opened_case(PACKETS[name]), entropy).secrets
    derived = EIP8["derivation_plain" if name == "auth1" else "derivation"]
    assert name != "auth1" or derived["for_packets"] == ["auth1", "ack1"]
    assert secrets.remote == KEY_A.public_key
    assert (secrets.aes.hex(), secrets.mac.hex()) == (derived["aes_secret"], derived["mac_secret"])
    if name == "auth1":
        want = derived["recipient_ingress_mac_initial_digest"]
        assert ingress_mac(secrets).digest().hex() == want
    elif name == "auth2":
        want = derived["computed_here"]["recipient_ingress_mac_initial_digest"]
        state = ingress_mac(secrets)
        assert state.digest().hex() == want
        state.update(b"foo")
        assert state.digest().hex() == derived["ingress_mac_after_update_foo"]


@pytest.mark.parametrize("name", ["ack1", "ack2", "ack3"])
def test_initiator_derives_the_secrets_of_eip8(name: str) -> None:
    entropy = scripted(EIP8["ephemeral_key_a"], EIP8["nonce_a"])
    initiator = Initiator(KEY_A, KEY_B.public_key, entropy)
    secrets = initiator.receive_ack(*opened_case(PACKETS[name]))
    derived = EIP8["derivation_plain" if name == "ack1" else "derivation"]
    assert secrets.remote == KEY_B.public_key
    assert (secrets.aes.hex(), secrets.mac.hex()) == (derived["aes_secret"], derived["mac_secret"])
    # What the recipient sends with, the initiator reads with.
    want = derived.get("computed_here", derived)["recipient_egress_mac_initial_digest"]
    assert (ingress_mac(secrets).digest().hex() == want) is (name != "ack3")


def test_steps_of_the_derivation_of_eip8() -> None:
    ephemeral = PrivateKey.from_bytes(unhex(EIP8["ephemeral_key_a"]))
    agreed = ephemeral.agree(PublicKey.from_bytes(unhex(EIP8["ephemeral_pubkey_b"])))
    nonces = keccak256(unhex(EIP8["nonce_b"] + EIP8["nonce_a"]))
    here = EIP8["derivation"]["computed_here"]
    assert agreed.hex() == here["ecdhe_shared_secret"]
    assert keccak256(agreed + nonces).hex() == here["shared_secret"]


def test_plain_handshake_of_the_gist() -> None:
    initiator, receiver, ephemeral_i, ephemeral_r = (
        PrivateKey.from_bytes(unhex(GIST[f"{name}_private_key"]))
        for name in ("initiator", "receiver", "initiator_ephemeral", "receiver_ephemeral")
    )
    auth = opened(receiver, unhex(GIST["auth_ciphertext"]), PLAIN_AUTH_SIZE)
    ack = opened(initiator, unhex(GIST["authresp_ciphertext"]), PLAIN_ACK_SIZE)
    assert auth[1].hex() == GIST["auth_plaintext"]
    assert ack[1].hex() == GIST["authresp_plaintext"]

    entropy = scripted(ephemeral_i.to_bytes(), GIST["initiator_nonce"])
    ours = Initiator(initiator, receiver.public_key, entropy).receive_ack(*ack)
    entropy = scripted(ephemeral_r.to_bytes(), GIST["receiver_nonce"])
    theirs = Recipient(receiver, *auth, entropy).secrets
    assert theirs.remote == initiator.public_key and ours.remote == receiver.public_key
    for secrets in (ours, theirs):
        assert (secrets.aes.hex(), secrets.mac.hex()) == (GIST["aes_secret"], GIST["mac_secret"])
    assert ingress_mac(theirs).digest().hex() == GIST["initial_egress_MAC"]
    assert ingress_mac(ours).digest().hex() == GIST["initial_ingress_MAC"]

    agreed = ephemeral_i.agree(ephemeral_r.public_key)
    shared = keccak256(agreed + keccak256(unhex(GIST["receiver_nonce"] + GIST["initiator_nonce"])))
    assert agreed.hex() == GIST["ecdhe_shared_secret"]
    assert keccak256(shared).hex() == GIST["token"]


@pytest.mark.parametrize("plain", [False, True], ids=["EIP-8 only", "older too"])
@pytest.mark.parametrize("case", CONSTRUCTED, ids=name_of)
def test_constructed_auth_is_judged_as_expected(case: dict[str, Any], plain: bool) -> None:
    result = outcome(listener(KEY_B, plain=plain), unhex(case["packet"]))
    if case["expect"] == "accept":
        assert result == KEY_A.public_key
    else:
        assert isinstance(result, HandshakeError | RemoteTimeout)
    if case["name"] == "truncated-body" and not plain:
        assert isinstance(result, RemoteTimeout)
