from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.errors import CompressionError, DiscReason, MessageTooLarge
from p2p.rlpx.frame import MAX_MESSAGE_SIZE
from p2p.rlpx.snappy import SAFE_SIZE, check_fits, compress, decompress
from tests.rlpx.pair import Memory
from tests.rlpx.vectors import FRAMES, name_of, unhex

VECTORS = FRAMES["snappy"]
LIMITS = VECTORS["limits"]


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def test_no_vector_is_left_out() -> None:
    words = {"source", "max_compression_note"}
    assert set(VECTORS) - words == {
        "decode_cases",
        "copy4_case",
        "golden",
        "limits",
        "measured_16777215_zero_bytes_compressed_length_cramjam",
    }
    assert (len(VECTORS["decode_cases"]), len(LIMITS)) == (17, 10)


@pytest.mark.parametrize("case", VECTORS["decode_cases"], ids=name_of)
def test_block_of_the_vectors(case: dict[str, Any]) -> None:
    if case["valid"]:
        assert decompress(unhex(case["input"])).hex() == case["output"]
    else:
        with pytest.raises(CompressionError):
            decompress(unhex(case["input"]))


def test_copy_from_far_behind() -> None:
    case = VECTORS["copy4_case"]
    parts = [b"." * 65536 if " x " in part else unhex(part) for part in case["input_parts"]]
    found = decompress(b"".join(parts))
    assert len(found) == case["output_length"]
    assert hashlib.sha256(found).hexdigest() == case["output_sha256"]


def test_a_long_text() -> None:
    case = VECTORS["golden"]
    found = decompress(unhex(case["compressed"]))
    assert len(found) == case["output_length"]
    assert hashlib.sha256(found).hexdigest() == case["output_sha256"]
    assert decompress(compress(found)) == found


@pytest.mark.parametrize("case", LIMITS, ids=lambda case: case["input"] + " " + case["expect"])
def test_limits(case: dict[str, Any]) -> None:
    block = unhex(case["input"])
    if case["expect"].startswith("accept, "):
        assert decompress(block) == b""
    elif case["expect"] == "accept or reject":
        try:
            assert decompress(block) == b""
        except CompressionError:
            pass
    else:
        with Memory() as memory, pytest.raises(CompressionError) as caught:
            decompress(block)
        assert memory.peak < 64 * 1024
        assert caught.value.disc_reason is DiscReason.PROTOCOL_ERROR


def test_zeros_of_the_largest_message_pass() -> None:
    block = compress(bytes(MAX_MESSAGE_SIZE))
    length = VECTORS["measured_16777215_zero_bytes_compressed_length_cramjam"]
    assert abs(len(block) - length) < length // 100  # another release may do a little better
    assert decompress(block) == bytes(MAX_MESSAGE_SIZE)


def test_block_that_declares_too_much_is_refused_before_it_is_opened() -> None:
    block = compress(bytes(MAX_MESSAGE_SIZE + 1))
    with Memory() as memory, pytest.raises(CompressionError, match="limit"):
        decompress(block)
    assert memory.peak < 64 * 1024


@pytest.mark.parametrize("declared", [0, 1, 1000, MAX_MESSAGE_SIZE - 1])
def test_block_that_holds_more_than_it_declares_is_refused(declared: int) -> None:
    block = bytes(compress(bytes(MAX_MESSAGE_SIZE)))
    body = block[len(varint(MAX_MESSAGE_SIZE)) :]
    with pytest.raises(CompressionError):
        decompress(varint(declared) + body)


def test_block_that_holds_less_than_it_declares_is_refused() -> None:
    block = bytes(compress(bytes(1000)))
    with pytest.raises(CompressionError):
        decompress(varint(1001) + block[2:])


def test_claim_that_no_block_of_that_size_can_keep_costs_nothing() -> None:
    """A few bytes claim 16 MiB; refusing them must not take 16 MiB of memory first."""
    block = varint(MAX_MESSAGE_SIZE) + bytes(100)
    with pytest.raises(CompressionError, match="claims"):
        decompress(block)


@pytest.mark.parametrize("size", [1, 60, 61, 64, 65, 1000, 65535, 65536, 65537, 10**6])
@pytest.mark.parametrize("unit", [b"\0", b"ab", b"abcdefgh"])
def test_no_honest_block_claims_too_much(size: int, unit: bytes) -> None:
    data = (unit * size)[:size]
    assert decompress(compress(data)) == data


def test_longest_copies_are_within_the_ratio() -> None:
    """A literal of one byte, and copies of 64 bytes from one byte back: 3 bytes for 64."""
    copies = 10_000
    block = varint(1 + 64 * copies) + b"\0x" + bytes([(63 << 2) | 2, 1, 0]) * copies
    assert decompress(block) == b"x" * (1 + 64 * copies)


@pytest.mark.parametrize("spelling", [bytes, bytearray, memoryview])
def test_any_bytes_can_be_compressed(spelling: Any) -> None:
    data = b"payload" * 30
    assert decompress(spelling(compress(spelling(data)))) == data
    assert type(decompress(compress(spelling(data)))) is bytes


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=2000))
def test_what_is_compressed_opens(data: bytes) -> None:
    assert decompress(compress(data)) == data


@settings(max_examples=200, deadline=None)
@given(block=st.binary(max_size=200), size=st.none() | st.integers(0, 2**35))
def test_random_blocks_give_only_a_compression_error(block: bytes, size: int | None) -> None:
    if size is not None:
        block = varint(size) + block
    try:
        assert len(decompress(block)) <= MAX_MESSAGE_SIZE
    except CompressionError:
        return


# What may be sent.

#: The first code of the first protocol.
CODE = 16
NOISE = random.Random(1).randbytes(MAX_MESSAGE_SIZE + 1)


def unlucky(size: int) -> bytes:
    """Data that snappy makes larger: repeated words between literals that just need a long tag."""
    gaps = iter(range(0, size, 62))
    data = b"".join(b"word" + NOISE[start : start + 62] for start in gaps)
    return data[:size]


def test_noise_of_16_mib_less_1_kib_fits() -> None:
    size = MAX_MESSAGE_SIZE - 1024
    assert len(compress(NOISE[:size])) + 9 <= MAX_MESSAGE_SIZE
    for compressed in (True, False):
        check_fits(CODE, NOISE[:size], compressed)


def test_payload_that_snappy_makes_larger_than_a_frame_is_refused() -> None:
    payload = unlucky(MAX_MESSAGE_SIZE - 1024)
    assert len(compress(payload)) > MAX_MESSAGE_SIZE
    with pytest.raises(MessageTooLarge):
        check_fits(CODE, payload, True)
    check_fits(CODE, payload, False)


def test_safe_size_fits_however_badly_it_compresses() -> None:
    assert 32 + SAFE_SIZE + SAFE_SIZE // 6 + 9 <= MAX_MESSAGE_SIZE
    for payload in (unlucky(SAFE_SIZE), NOISE[:SAFE_SIZE]):
        assert len(compress(payload)) + 9 <= MAX_MESSAGE_SIZE
        check_fits(CODE, payload, True)


@pytest.mark.parametrize("compressed", [True, False])
def test_message_larger_than_a_frame_is_refused(compressed: bool) -> None:
    with pytest.raises(MessageTooLarge, match="16777216 bytes"):
        check_fits(CODE, NOISE, compressed)
    with pytest.raises(MessageTooLarge):
        check_fits(CODE, bytes(MAX_MESSAGE_SIZE + 1), compressed)


def test_noise_that_grows_beyond_a_frame_is_refused() -> None:
    with pytest.raises(MessageTooLarge):
        check_fits(CODE, NOISE[:MAX_MESSAGE_SIZE], True)


def test_zeros_of_the_largest_message_fit_when_compressed() -> None:
    check_fits(CODE, bytes(MAX_MESSAGE_SIZE), True)
    with pytest.raises(MessageTooLarge):
        check_fits(CODE, bytes(MAX_MESSAGE_SIZE), False)


@pytest.mark.parametrize(
    ("code", "size"), [(16, 1), (127, 1), (128, 2), (255, 2), (256, 3), (2**32, 6), (2**64 - 1, 9)]
)
def test_uncompressed_message_needs_room_for_its_code(code: int, size: int) -> None:
    check_fits(code, bytes(MAX_MESSAGE_SIZE - size), False)
    with pytest.raises(MessageTooLarge, match="with its code it has 16777216, of 16777215 at most"):
        check_fits(code, bytes(MAX_MESSAGE_SIZE - size + 1), False)


@pytest.mark.slow
def test_compressed_message_needs_room_for_its_code() -> None:
    growth = len(compress(NOISE[: MAX_MESSAGE_SIZE - 1024])) - (MAX_MESSAGE_SIZE - 1024)
    largest = next(size for size in range(MAX_MESSAGE_SIZE - growth - 64, MAX_MESSAGE_SIZE)
                   if len(compress(NOISE[: size + 1])) == MAX_MESSAGE_SIZE)  # fmt: skip
    check_fits(CODE, NOISE[:largest], True)
    with pytest.raises(MessageTooLarge, match="16777216 compressed"):
        check_fits(CODE, NOISE[: largest + 1], True)
    with pytest.raises(MessageTooLarge):
        check_fits(128, NOISE[:largest], True)
