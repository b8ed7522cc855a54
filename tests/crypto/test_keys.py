from __future__ import annotations

import copy
import json
import pathlib
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.crypto import PrivateKey, PublicKey, keccak256, recover
from p2p.errors import InvalidKey

VECTORS: dict[str, Any] = json.loads(
    (pathlib.Path(__file__).parent.parent / "testdata" / "crypto.json").read_text()
)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FIELD = 2**256 - 2**32 - 977
KEY = PrivateKey.from_bytes(bytes.fromhex(VECTORS["node_ids"][0]["private_key"]))
secrets = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def test_every_section_of_the_vectors_is_used_here_or_next_door() -> None:
    here = {"ecdh", "node_ids", "recover", "malleable", "invalid_private_keys"}
    here |= {"invalid_public_keys"}
    next_door = {
        "ecies_decrypt": "test_ecies",
        "concat_kdf_sha256": "test_ecies",
        "hmac_sha256": "test_ecies",
        "keccak256": "test_backend",
        "key_file": "enode/test_nodekey",
    }
    words = {"source", "encoding", "ecies_note"}
    assert set(VECTORS) == here | set(next_door) | words
    assert [len(VECTORS[name]) for name in ("ecdh", "node_ids", "recover")] == [5, 7, 2]
    assert len(VECTORS["invalid_private_keys"]["keys"]) == 3
    assert len(VECTORS["invalid_public_keys"]["cases"]) == 10


@pytest.mark.parametrize("case", VECTORS["ecdh"], ids=lambda case: case["private_key"][:8])
def test_agreement_is_the_raw_x_coordinate(case: dict[str, Any]) -> None:
    key = PrivateKey.from_bytes(unhex(case["private_key"]))
    other = PublicKey.from_bytes(unhex(case["pubkey"]))
    assert key.agree(other).hex() == case["shared_x"]
    if "peer_private_key" in case:
        peer = PrivateKey.from_bytes(unhex(case["peer_private_key"]))
        assert peer.public_key == other
        assert peer.agree(key.public_key).hex() == case["shared_x"]
    if "x0" in case:
        assert key.public_key.to_bytes().hex() == case["x0"] + case["y0"]
        assert case["pubkey"] == case["x1"] + case["y1"]


@pytest.mark.parametrize("case", VECTORS["node_ids"], ids=lambda case: case["source"])
def test_public_key_has_the_forms_of_the_vectors(case: dict[str, Any]) -> None:
    public = PrivateKey.from_bytes(unhex(case["private_key"])).public_key
    assert public.to_bytes().hex() == case["pubkey"]
    assert public.to_compressed().hex() == case["pubkey_compressed"]
    assert keccak256(public.to_bytes()).hex() == case["node_id"]
    assert PublicKey.from_bytes(unhex(case["pubkey"])) == public
    assert PublicKey.from_compressed(unhex(case["pubkey_compressed"])) == public
    assert PublicKey.from_uncompressed(b"\x04" + unhex(case["pubkey"])) == public


@pytest.mark.parametrize("case", VECTORS["recover"], ids=lambda case: case["source"])
def test_signature_gives_back_the_key(case: dict[str, Any]) -> None:
    digest, signature = unhex(case["message_hash"]), unhex(case["signature"])
    public = recover(digest, signature)
    assert public.to_bytes().hex() == case["pubkey"]
    assert public.to_compressed().hex() == case.get(
        "pubkey_compressed", public.to_compressed().hex()
    )
    assert public.verify(digest, signature[:64])
    if "private_key" in case:
        assert PrivateKey.from_bytes(unhex(case["private_key"])).sign(digest) == signature


def test_signature_with_a_high_s_does_not_verify() -> None:
    case = VECTORS["malleable"]
    public = PublicKey.from_compressed(unhex(case["pubkey_compressed"]))
    digest, signature = unhex(case["message_hash"]), unhex(case["signature"])
    assert not public.verify(digest, signature)
    low = ORDER - int.from_bytes(signature[32:], "big")
    assert public.verify(digest, signature[:32] + low.to_bytes(32, "big"))


@pytest.mark.parametrize("text", VECTORS["invalid_private_keys"]["keys"])
def test_number_outside_the_curves_order_is_no_private_key(text: str) -> None:
    with pytest.raises(InvalidKey):
        PrivateKey.from_bytes(unhex(text))


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_private_key_has_32_bytes(size: int) -> None:
    with pytest.raises(InvalidKey, match=f"{size} bytes"):
        PrivateKey.from_bytes(b"\1" * size)


CASES = VECTORS["invalid_public_keys"]["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["pubkey65"][:2] + case["reason"])
def test_invalid_public_key_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidKey):
        PublicKey.from_uncompressed(unhex(case["pubkey65"]))


@pytest.mark.parametrize("prefix", [p for p in range(256) if p != 4])
def test_uncompressed_key_begins_with_4_and_nothing_else(prefix: int) -> None:
    with pytest.raises(InvalidKey):
        PublicKey.from_uncompressed(bytes([prefix]) + KEY.public_key.to_bytes())


@pytest.mark.parametrize("prefix", [0, 1, 4, 5, 6, 7, 8, 255])
def test_compressed_key_begins_with_2_or_3(prefix: int) -> None:
    with pytest.raises(InvalidKey):
        PublicKey.from_compressed(bytes([prefix]) + KEY.public_key.to_bytes()[:32])


@pytest.mark.parametrize("raw", [b"", bytes(64), b"\1" * 64, b"\xff" * 64, b"\1" * 63, b"\1" * 65])
def test_64_bytes_that_are_no_point_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidKey):
        PublicKey.from_bytes(raw)


def test_coordinate_not_below_the_field_is_refused() -> None:
    key = PrivateKey.from_bytes(b"\0" * 31 + b"\x99").public_key.to_bytes()
    x, y = int.from_bytes(key[:32], "big"), key[32:]
    assert x + FIELD >= 2**256  # cannot be written in 32 bytes, so try a point with x = 1
    one = PublicKey.from_compressed(b"\2" + (1).to_bytes(32, "big"))
    reduced = one.to_bytes()
    with pytest.raises(InvalidKey):
        PublicKey.from_bytes((FIELD + 1).to_bytes(32, "big") + reduced[32:])
    assert y != reduced[32:]


BAD_SIGNATURES = {
    "empty": b"",
    "64 bytes": b"\1" * 64,
    "66 bytes": b"\1" * 66,
    "recovery id 4": b"\1" * 64 + b"\4",
    "recovery id 27": b"\1" * 64 + b"\x1b",
    "r and s zero": bytes(65),
    "r is the order": ORDER.to_bytes(32, "big") + b"\1" * 32 + b"\0",
    "s is the order": b"\1" * 32 + ORDER.to_bytes(32, "big") + b"\0",
    "all ones": b"\xff" * 64 + b"\0",
}


@pytest.mark.parametrize("signature", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES)
def test_signature_that_nobody_made_has_no_key(signature: bytes) -> None:
    with pytest.raises(InvalidKey):
        recover(b"\1" * 32, signature)


@pytest.mark.parametrize("signature", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES)
def test_signature_that_nobody_made_does_not_verify(signature: bytes) -> None:
    assert KEY.public_key.verify(b"\1" * 32, signature[:64]) is False


@pytest.mark.parametrize("size", [0, 31, 33])
def test_digest_has_32_bytes(size: int) -> None:
    signature = KEY.sign(bytes(32))
    with pytest.raises(InvalidKey):
        recover(bytes(size), signature)
    assert not KEY.public_key.verify(bytes(size), signature[:64])


@settings(max_examples=30, deadline=None)
@given(secret=secrets, digest=st.binary(min_size=32, max_size=32))
def test_what_a_key_signs_verifies_and_recovers(secret: bytes, digest: bytes) -> None:
    key = PrivateKey.from_bytes(secret)
    signature = key.sign(digest)
    assert key.to_bytes() == secret
    assert len(signature) == 65 and signature[64] < 4
    assert int.from_bytes(signature[32:64], "big") <= ORDER // 2
    assert recover(digest, signature) == key.public_key
    assert key.public_key.verify(digest, signature[:64])


@settings(max_examples=100, deadline=None)
@given(digest=st.binary(min_size=32, max_size=32), signature=st.binary(min_size=65, max_size=65))
def test_any_65_bytes_recover_to_a_key_or_an_invalid_key(digest: bytes, signature: bytes) -> None:
    try:
        public = recover(digest, signature[:64] + bytes([signature[64] & 3]))
    except InvalidKey:
        return
    assert PublicKey.from_bytes(public.to_bytes()) == public


@settings(max_examples=100, deadline=None)
@given(raw=st.binary(min_size=33, max_size=33) | st.binary(min_size=64, max_size=65))
def test_any_bytes_are_a_key_or_an_invalid_key(raw: bytes) -> None:
    for parse in (PublicKey.from_bytes, PublicKey.from_uncompressed, PublicKey.from_compressed):
        try:
            parse(raw)
        except InvalidKey:
            continue


@settings(max_examples=30, deadline=None)
@given(a=secrets, b=secrets)
def test_both_ends_agree(a: bytes, b: bytes) -> None:
    one, other = PrivateKey.from_bytes(a), PrivateKey.from_bytes(b)
    shared = one.agree(other.public_key)
    assert shared == other.agree(one.public_key)
    assert shared == one.agree_once(other.public_key)
    assert len(shared) == 32


def test_generation_asks_again_when_the_bytes_are_no_key() -> None:
    offers = iter([bytes(32), b"\xff" * 32, ORDER.to_bytes(32, "big"), b"\7" * 32, b"\x08" * 32])
    key = PrivateKey.generate(lambda size: next(offers))
    assert key.to_bytes() == b"\7" * 32
    assert next(offers) == b"\x08" * 32


@pytest.mark.parametrize("spelling", [bytes, bytearray, memoryview])
def test_keys_are_read_from_any_bytes(spelling: Any) -> None:
    assert PrivateKey.from_bytes(spelling(KEY.to_bytes())) == KEY
    assert PublicKey.from_bytes(spelling(KEY.public_key.to_bytes())) == KEY.public_key
    assert PublicKey.from_compressed(spelling(KEY.public_key.to_compressed())) == KEY.public_key


def test_equal_keys_are_one_key_in_a_dict() -> None:
    again = PrivateKey.from_bytes(KEY.to_bytes())
    assert again == KEY and hash(again) == hash(KEY)
    assert {KEY.public_key: 1}[again.public_key] == 1
    assert KEY != KEY.public_key
    assert KEY.public_key != KEY.public_key.to_bytes()
    assert KEY != PrivateKey.from_bytes(b"\1" * 32)


@pytest.mark.parametrize("key", [KEY, KEY.public_key], ids=["private", "public"])
@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy]
    + [lambda key, p=p: pickle.loads(pickle.dumps(key, p)) for p in range(6)],
    ids=["copy", "deepcopy"] + [f"pickle {p}" for p in range(6)],
)
def test_key_can_be_copied_and_pickled(key: PrivateKey | PublicKey, duplicate: Any) -> None:
    again = duplicate(key)
    assert again == key and type(again) is type(key)
    assert again.to_bytes() == key.to_bytes()


@pytest.mark.parametrize("raw", [b"", bytes(64), b"\1" * 64, KEY.public_key.to_compressed()])
def test_public_key_is_never_made_of_bytes_that_are_none(raw: bytes) -> None:
    with pytest.raises(InvalidKey):
        PublicKey(raw)


def test_pickle_of_a_broken_key_is_refused() -> None:
    text = pickle.dumps(KEY.public_key)
    raw = KEY.public_key.to_bytes()
    assert raw in text
    with pytest.raises(InvalidKey):
        pickle.loads(text.replace(raw, bytes(64)))


def test_representation_of_a_private_key_does_not_show_it() -> None:
    secret = KEY.to_bytes()
    for text in (repr(KEY), str(KEY), f"{KEY}", repr([KEY]), repr({"key": KEY})):
        assert secret.hex() not in text.lower()
        assert repr(secret) not in text
        assert str(int.from_bytes(secret, "big")) not in text
        # Nothing of it that would make a search easier, either.
        assert not any(secret.hex()[i : i + 8] in text for i in range(57))
        assert KEY.public_key.to_bytes()[:8].hex() in text


def test_error_of_a_private_key_does_not_show_it() -> None:
    with pytest.raises(InvalidKey) as caught:
        PrivateKey.from_bytes(b"secret" * 5)
    assert "secret" not in str(caught.value) and b"secret".hex() not in str(caught.value)
    with pytest.raises(InvalidKey) as caught:
        PrivateKey.from_bytes(b"\xff" * 32)
    assert "ffff" not in str(caught.value) and caught.value.__suppress_context__


@pytest.mark.parametrize("number", [1, 2, ORDER - 1])
def test_number_from_1_to_below_the_order_is_a_private_key(number: int) -> None:
    key = PrivateKey.from_bytes(number.to_bytes(32, "big"))
    assert recover(bytes(32), key.sign(bytes(32))) == key.public_key


@pytest.mark.parametrize("raw", [b"", b"\x01", bytes(32), ORDER.to_bytes(32, "big"), bytes(33)])
def test_private_key_is_never_made_of_bytes_that_are_none(raw: bytes) -> None:
    with pytest.raises(InvalidKey):
        PrivateKey(raw)


def test_what_a_private_key_can_do_does_not_depend_on_what_it_did_before() -> None:
    raw, digest = b"\7" * 32, b"\1" * 32
    signed, shown = PrivateKey.from_bytes(raw), PrivateKey.from_bytes(raw)
    signature, point = signed.sign(digest), shown.public_key
    assert (signed.public_key, shown.sign(digest)) == (point, signature)
    assert shown.public_key is point
