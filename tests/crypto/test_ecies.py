from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.crypto import OVERHEAD, PrivateKey, ctr_stream, decrypt, encrypt
from p2p.crypto.ecies import _derive, _tag, concat_kdf
from p2p.errors import HandshakeError

VECTORS: dict[str, Any] = json.loads(
    (pathlib.Path(__file__).parent.parent / "testdata" / "crypto.json").read_text()
)
KEY = PrivateKey.from_bytes(b"\x11" * 32)
EPHEMERAL = PrivateKey.from_bytes(b"\x22" * 32)
IV = bytes(range(16))
SEALED = encrypt(KEY.public_key, b"plain text", b"shared", EPHEMERAL, IV)


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def test_no_vector_is_left_out() -> None:
    names = ("ecies_decrypt", "concat_kdf_sha256", "hmac_sha256")
    assert [len(VECTORS[name]) for name in names] == [5, 6, 2]


@pytest.mark.parametrize("case", VECTORS["ecies_decrypt"], ids=lambda case: case["source"])
def test_message_of_another_implementation_opens(case: dict[str, Any]) -> None:
    key = PrivateKey.from_bytes(unhex(case["private_key"]))
    plain = decrypt(key, unhex(case["ciphertext"]), unhex(case["shared_mac_data"]))
    assert plain.hex() == case["plaintext"]


@pytest.mark.parametrize("case", VECTORS["concat_kdf_sha256"], ids=lambda case: case["output"][:8])
def test_key_derivation(case: dict[str, Any]) -> None:
    assert concat_kdf(unhex(case["input"]), case["length"]).hex() == case["output"]


@pytest.mark.parametrize("case", VECTORS["hmac_sha256"], ids=lambda case: case["source"])
def test_tag_is_hmac_sha256(case: dict[str, Any]) -> None:
    data = unhex(case["data"])
    for cut in range(len(data) + 1):
        assert _tag(unhex(case["key"]), data[:cut], data[cut:]).hex() == case["hmac_sha256"]


def test_layout_is_point_iv_ciphertext_tag() -> None:
    assert len(SEALED) == OVERHEAD + len(b"plain text")
    assert SEALED[:65] == b"\x04" + EPHEMERAL.public_key.to_bytes()
    assert SEALED[65:81] == IV
    key, mac_key = _derive(EPHEMERAL.agree(KEY.public_key))
    assert SEALED[81:-32] == ctr_stream(key, IV)(b"plain text")
    assert SEALED[-32:] == _tag(mac_key, SEALED[65:-32], b"shared")


@settings(max_examples=30, deadline=None)
@given(
    plain=st.binary(max_size=600),
    shared=st.binary(max_size=40),
    iv=st.binary(min_size=16, max_size=16),
)
def test_what_is_sealed_opens(plain: bytes, shared: bytes, iv: bytes) -> None:
    sealed = encrypt(KEY.public_key, plain, shared, EPHEMERAL, iv)
    assert decrypt(KEY, sealed, shared) == plain


def with_point(point: bytes) -> bytes:
    return point + SEALED[65:]


def flip(position: int) -> bytes:
    changed = bytearray(SEALED)
    changed[position] ^= 1
    return bytes(changed)


RAW = EPHEMERAL.public_key.to_bytes()
HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "one byte": lambda: b"\x04",
    "a point alone": lambda: SEALED[:65],
    "no room for the tag": lambda: SEALED[: OVERHEAD - 1],
    "truncated": lambda: SEALED[:-1],
    "with a byte too many": lambda: SEALED + b"\0",
    "without its first byte": lambda: SEALED[1:],
    "point of zeros": lambda: with_point(b"\x04" + bytes(64)),
    "point off the curve": lambda: with_point(b"\x04" + bytes(31) + b"\5" + bytes(31) + b"\1"),
    "coordinates of ones": lambda: with_point(b"\x04" + b"\xff" * 64),
    "prefix 0": lambda: with_point(b"\x00" + RAW),
    "compressed prefix": lambda: with_point(b"\x02" + RAW),
    "hybrid prefix 6": lambda: with_point(b"\x06" + RAW),
    "hybrid prefix 7": lambda: with_point(b"\x07" + RAW),
    "another point": lambda: with_point(b"\x04" + KEY.public_key.to_bytes()),
    "iv flipped": lambda: flip(65),
    "ciphertext flipped": lambda: flip(81),
    "tag flipped": lambda: flip(-1),
    "tag of zeros": lambda: SEALED[:-32] + bytes(32),
}


def failure(message: bytes, shared: bytes = b"shared", key: PrivateKey = KEY) -> tuple[Any, ...]:
    """All that a caller can see of a failure."""
    with pytest.raises(HandshakeError) as caught:
        decrypt(key, message, shared)
    error = caught.value
    return type(error), str(error), error.args, error.disc_reason, error.__cause__


@pytest.mark.parametrize("name", HOSTILE)
def test_every_failure_looks_the_same(name: str) -> None:
    assert failure(HOSTILE[name]()) == failure(b"")


def test_wrong_shared_data_and_wrong_key_look_the_same_too() -> None:
    assert failure(SEALED, shared=b"") == failure(b"")
    assert failure(SEALED, shared=b"Shared") == failure(b"")
    assert failure(SEALED, key=EPHEMERAL) == failure(b"")


def test_failure_shows_no_context() -> None:
    with pytest.raises(HandshakeError) as caught:
        decrypt(KEY, HOSTILE["tag flipped"](), b"shared")
    assert caught.value.__suppress_context__


def test_a_flip_of_any_bit_is_noticed() -> None:
    for position in range(len(SEALED)):
        for bit in (1, 128):
            changed = bytearray(SEALED)
            changed[position] ^= bit
            assert failure(bytes(changed)) == failure(b"")


@settings(max_examples=60, deadline=None)
@given(message=st.binary(max_size=400), shared=st.binary(max_size=4))
def test_any_bytes_give_the_one_error(message: bytes, shared: bytes) -> None:
    assert failure(message, shared) == failure(b"")
    assert failure(SEALED[:65] + message, shared) == failure(b"")
