from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.crypto import (
    BACKEND,
    backend,
    ctr_stream,
    ctr_streams,
    feedback_mask,
    gcm,
    keccak256,
    keccak_hasher,
)

ROOT = pathlib.Path(__file__).parent.parent.parent
CASES: list[dict[str, Any]] = json.loads((ROOT / "tests" / "testdata" / "crypto.json").read_text())[
    "keccak256"
]

# Both, whichever the run has chosen.
FIRST = backend._with_cryptography()
SECOND = backend._with_pycryptodome()
BOTH = pytest.mark.parametrize("library", [FIRST, SECOND], ids=["cryptography", "pycryptodome"])

keys = st.binary(min_size=32, max_size=32) | st.binary(min_size=16, max_size=16)
blocks = st.binary(min_size=16, max_size=16)
chunks = st.lists(st.binary(max_size=300), max_size=12)


def test_no_vector_is_left_out() -> None:
    assert len(CASES) == 12


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{len(case['input']) // 2} bytes")
def test_keccak_of_the_vectors(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["input"])
    for library in (FIRST, SECOND):
        assert library.keccak_hasher(data).digest().hex() == case["keccak256"]
    assert keccak256(data).hex() == case["keccak256"]
    assert keccak256(memoryview(data)) == keccak256(bytearray(data)) == keccak256(data)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{len(case['input']) // 2} bytes")
def test_keccak_fed_byte_by_byte_is_the_same(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["input"])
    for library in (FIRST, SECOND):
        hasher = library.keccak_hasher(b"")
        for position in range(len(data)):
            hasher.update(data[position : position + 1])
        assert hasher.digest().hex() == case["keccak256"]


@settings(max_examples=60, deadline=None)
@given(start=st.binary(max_size=300), parts=chunks)
def test_hasher_goes_on_after_each_digest_in_both_backends(
    start: bytes, parts: list[bytes]
) -> None:
    one, other, said = FIRST.keccak_hasher(start), SECOND.keccak_hasher(start), start
    for part in parts:
        one.update(part)
        other.update(part)
        said += part
        assert one.digest() == other.digest() == keccak256(said)
        assert one.digest() == one.digest()


@settings(max_examples=60, deadline=None)
@given(key=keys, iv=blocks, parts=chunks)
def test_counter_mode_is_one_stream_in_both_backends(
    key: bytes, iv: bytes, parts: list[bytes]
) -> None:
    one, other, back = FIRST.ctr_stream(key, iv), SECOND.ctr_stream(key, iv), ctr_stream(key, iv)
    sealed = [one(part) for part in parts]
    assert [other(part) for part in parts] == sealed
    assert b"".join(sealed) == ctr_stream(key, iv)(b"".join(parts))
    assert [back(part) for part in sealed] == parts


@settings(max_examples=60, deadline=None)
@given(key=keys, ivs=st.lists(blocks, min_size=1, max_size=4), parts=st.lists(st.binary()))
def test_streams_of_one_key_are_those_of_each_iv_in_both_backends(
    key: bytes, ivs: list[bytes], parts: list[bytes]
) -> None:
    for begin in (FIRST.ctr_streams(key), SECOND.ctr_streams(key), ctr_streams(key)):
        for iv in ivs:
            one, other = begin(iv), ctr_stream(key, iv)
            assert [one(part) for part in parts] == [other(part) for part in parts]


@settings(max_examples=60, deadline=None)
@given(key=keys, pairs=st.lists(st.tuples(blocks, blocks), min_size=1, max_size=12))
def test_mask_is_a_block_of_aes_xor_the_second_half_in_both_backends(
    key: bytes, pairs: list[tuple[bytes, bytes]]
) -> None:
    from Crypto.Cipher import AES

    block = AES.new(key, AES.MODE_ECB)
    masks = [FIRST.feedback_mask(key), SECOND.feedback_mask(key), feedback_mask(key)]
    for digest, other in pairs:
        want = bytes(a ^ b for a, b in zip(block.encrypt(digest), other, strict=True))
        assert [mask(digest + other)[16:] for mask in masks] == [want] * 3


@BOTH
@pytest.mark.parametrize("spelling", [bytes, bytearray, memoryview])
def test_ciphers_and_hashes_take_any_bytes(library: Any, spelling: Any) -> None:
    ctr, mask, hasher = library.ctr_stream, library.feedback_mask, library.keccak_hasher
    data = bytes(range(32))
    assert bytes(ctr(b"k" * 32)(spelling(data))) == bytes(ctr(b"k" * 32)(data))
    assert bytes(mask(b"k" * 32)(spelling(data))) == bytes(mask(b"k" * 32)(data))
    state = hasher(b"")
    state.update(spelling(data))
    assert state.digest() == keccak256(data)


@BOTH
def test_counter_runs_over_its_end(library: Any) -> None:
    """16 bytes of 0xff are a counter that wraps to zero with the second block."""
    ctr = library.ctr_stream
    assert ctr(b"k" * 16, b"\xff" * 16)(bytes(32))[16:] == ctr(b"k" * 16, bytes(16))(bytes(16))


@settings(max_examples=60, deadline=None)
@given(key=blocks, nonce=st.binary(min_size=12, max_size=12), data=st.binary(), head=st.binary())
def test_gcm_is_the_same_in_both_backends(
    key: bytes, nonce: bytes, data: bytes, head: bytes
) -> None:
    sealed = gcm(key).encrypt(nonce, data, head)
    for library in (FIRST, SECOND):
        cipher = library.gcm(key)
        assert cipher.encrypt(nonce, data, head) == sealed
        assert cipher.decrypt(nonce, sealed, head) == data
        for wrong in (sealed[:-1], sealed + b"x", b"", bytes([sealed[0] ^ 1]) + sealed[1:]):
            with pytest.raises(ValueError):
                cipher.decrypt(nonce, wrong, head)
        with pytest.raises(ValueError):
            cipher.decrypt(nonce, sealed, head + b"x")


def test_counter_begins_with_zero_unless_told() -> None:
    assert ctr_stream(b"k" * 32)(bytes(16)) == ctr_stream(b"k" * 32, bytes(16))(bytes(16))


def test_two_hashers_do_not_share_state() -> None:
    one, other = keccak_hasher(b"a"), keccak_hasher(b"a")
    one.update(b"b")
    assert other.digest() == keccak256(b"a")
    assert one.digest() == keccak256(b"ab")


@pytest.mark.slow
def test_environment_variable_chooses_the_backend() -> None:
    assert BACKEND == os.environ.get("P2P_CRYPTO_BACKEND", "cryptography")
    said = {}
    for wanted in ("pycryptodome", ""):
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env={**os.environ, "P2P_CRYPTO_BACKEND": wanted},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert run.returncode == 0, run.stderr
        name, said[name] = run.stdout.split()
    assert set(said) == {"pycryptodome", "cryptography"}
    assert said["pycryptodome"] == said["cryptography"]


#: Prints which backend it has, and the hash of a frame made and read with it.
PROGRAM = """
from p2p.crypto import BACKEND, keccak256, keccak_hasher
from p2p.rlpx.frame import FrameReader, FrameWriter
messages = [(17, bytes(size)) for size in (0, 1, 100, 20_000)]
writer = FrameWriter(b"k" * 32, b"m" * 32, keccak_hasher(b"seed"))
writer.write(messages, bytes)
out = b"".join(writer.take())
reader = FrameReader(b"k" * 32, b"m" * 32, keccak_hasher(b"seed"))
reader.receive_data(out)
assert [(code, bytes(data)) for code, data in reader.read(9)] == messages
print(BACKEND, keccak256(out).hex())
"""
