"""Canonical rules and limits: what is refused before any type is asked for."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import pytest
import rlp
from hypothesis import example, given
from hypothesis import strategies as st

from p2p.codec import (
    MAX_DEPTH,
    MAX_ITEMS,
    decode,
    encode,
    encode_list,
    header_size,
    raw_items,
    split_uint,
)
from p2p.codec.scan import DecodeFailure, item_end, skip_items
from p2p.errors import DecodeError

# Most are of the Ethereum RLP test suite (RLPTests/invalidRLPTest.json).
INVALID = {
    "nothing": "",
    "length of a string overflows 32 bits": "bf0f000000000000021111",
    "length of a list overflows 32 bits": "ff0f000000000000021111",
    "length of a string is 2**64 - 1": "bf" + "ff" * 8,
    "length of a list is 2**64 - 1": "ff" + "ff" * 8,
    "length of a list with header overflows 2**64": "ff" + "ff" * 7 + "f8" + "00" * 20,
    "list of 1 byte with a long length": "f80180",
    "list of 1 byte with a long length, of zero": "f80100",
    "length of an array": "b9002100dc2b275d0f74e8a53e6f4ec61b27f24278820be3f82ea2110e5820",
    "byte 00 with a header": "8100",
    "byte 01 with a header": "8101",
    "byte 7f with a header": "817f",
    "byte with a header in a list": "c2817f",
    "leading zero in a string's length": "b90040" + "00" * 64,
    "leading zero in a list's length": "fb00000040" + "00" * 64,
    "string's length is only a zero": "b800",
    "list's length is only a zero": "f800",
    "string of 55 bytes with a long length": "b837" + "61" * 55,
    "list of 55 bytes with a long length": "f837" + "01" * 55,
    "string of 1 byte with a long length": "b801ff",
    "list of 3 bytes with a long length": "f803112233",
    "short string ends early": "81",
    "short string ends a byte early": "a0" + "00" * 31,
    "short list ends early": "c5010203",
    "long string ends early": "b840ff",
    "long list ends early": "f840ff",
    "long string ends in its length": "b9ff",
    "long list ends in its length": "f9ff",
    "string head alone": "b8",
    "list head alone": "f8",
    "string reaches beyond its list": "c3c183ff",
    "string reaches beyond a list inside the data": "c5c182616161",
    "long string reaches beyond its list": "c3b8386161",
    "list reaches beyond its list": "c2c201",
    "second item": "0101",
    "second item after a list": "c0c0",
    "second item after a string": "83646f6700",
}


@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID.keys())
def test_not_canonical_is_refused(data: str) -> None:
    with pytest.raises(DecodeError, match=r"byte \d+"):
        decode(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "byte 0: no data"),
        ("0001", "byte 1: 1 bytes after the item"),
        ("83646f", "byte 0: an item of 3 bytes where 2 are left"),
        ("c580830102", "byte 0: an item of 5 bytes where 4 are left"),
        ("c3808301", "byte 2: an item of 3 bytes where 1 are left"),
    ],
)
def test_error_tells_place_and_reason(data: str, message: str) -> None:
    with pytest.raises(DecodeError, match=f"^{message}"):
        decode(bytes.fromhex(data))


def test_error_has_none_of_the_remotes_bytes() -> None:
    with pytest.raises(DecodeError) as caught:
        decode(b"\x85" + b"secret" * 1000)
    assert len(str(caught.value)) < 100
    assert "secret" not in str(caught.value)


@functools.cache
def nested(levels: int) -> bytes:
    """The encoding of that many lists inside one another."""
    heads: list[bytes] = []
    size = 0
    for _ in range(levels):
        width = (size.bit_length() + 7) // 8
        head = bytes([0xC0 + size]) if size < 56 else bytes([0xF7 + width])
        heads.append(head + (size.to_bytes(width, "big") if size >= 56 else b""))
        size += len(heads[-1])
    return b"".join(reversed(heads))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [None, object, Any, list, tuple, list[list], list[Any]])  # type: ignore[type-arg]
@pytest.mark.parametrize("levels", [MAX_DEPTH + 2, 2_000, 1_000_000])
def test_nesting_beyond_the_limit_is_refused(levels: int, kind: object) -> None:
    with pytest.raises(
        DecodeError, match=f"more than {MAX_DEPTH} deep|more than {MAX_ITEMS} items"
    ):
        decode(nested(levels), kind)


def test_nesting_up_to_the_limit_is_read() -> None:
    value = decode(nested(MAX_DEPTH))
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert value == []


def test_list_with_an_item_below_the_limit_may_not_go_deeper() -> None:
    # The innermost list is empty in the other tests, which takes another branch.
    deep = b"\x01"
    for _ in range(MAX_DEPTH):
        deep = encode_list([deep])
    decode(deep)
    with pytest.raises(DecodeError, match="deep"):
        decode(encode_list([deep]))


MEGABYTES_16 = 2**24 - 1


@pytest.mark.parametrize(
    "item", [b"\xc0", b"\x01", b"\x80", b"\xc1\x80", b"\xc2\xc1\xc0", b"\x82ab"]
)
@pytest.mark.parametrize("kind", [None, list[Any], list[int], list[bytes], tuple[bytes, ...]])
def test_16_mib_of_tiny_items_is_refused_at_once(item: bytes, kind: object) -> None:
    data = encode_list([item * ((MEGABYTES_16 - 4) // len(item))])
    start = time.process_time()
    with pytest.raises(DecodeError, match=f"more than {MAX_ITEMS} items"):
        decode(data, kind)
    assert time.process_time() - start < 0.3  # 0.03 s on a slow machine


def test_as_many_items_as_the_limit_are_read() -> None:
    items = b"\x01" * (MAX_ITEMS - 1)  # the list itself counts too
    assert len(decode(encode_list([items]))) == MAX_ITEMS - 1
    assert len(decode(encode_list([items[:-1], encode(bytes(1000))]))) == MAX_ITEMS - 1
    with pytest.raises(DecodeError, match="more than"):
        decode(encode_list([items, encode(bytes(1000))]))


def test_16_mib_in_few_items_is_read() -> None:
    value = [bytes(MEGABYTES_16 - 2000), [b"x" * 300] * 3]
    assert decode(encode(value)) == value


raw_values = st.recursive(
    st.binary(max_size=70), lambda inner: st.lists(inner, max_size=8), max_leaves=40
)


@given(raw_values)
def test_raw_values_round_trip(value: Any) -> None:
    assert decode(encode(value)) == value


def assert_same_verdict(data: bytes) -> None:
    """The rlp package and we agree on the value, or both refuse."""
    try:
        expected = rlp.decode(data)
    except rlp.DecodingError:
        with pytest.raises(DecodeError):
            decode(data)
    else:
        assert decode(data) == expected


heads = st.sampled_from(
    [0, 1, 0x7F, 0x80, 0x81, 0x82, 0xB7, 0xB8, 0xBF, 0xC0, 0xC1, 0xF7, 0xF8, 0xFF]
)


@given(st.binary(max_size=80) | st.lists(heads, max_size=12).map(bytes))
@example(b"\xb8\x38" + b"a" * 56)
@example(b"\xf8\x38" + b"a" * 56)
def test_any_bytes_get_the_verdict_of_the_rlp_package(data: bytes) -> None:
    assert_same_verdict(data)


@given(raw_values, st.data())
def test_mutated_encodings_get_the_verdict_of_the_rlp_package(
    value: Any, draw: st.DataObject
) -> None:
    data = bytearray(encode(value))
    for _ in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.integers(0, len(data) - 1))
        data[place] = draw.draw(heads | st.integers(0, 255))
    assert_same_verdict(bytes(data))
    assert_same_verdict(bytes(data[: draw.draw(st.integers(0, len(data)))]))


@given(st.binary(max_size=60))
def test_what_is_accepted_has_only_this_encoding(data: bytes) -> None:
    try:
        value = decode(data)
    except DecodeError:
        return
    assert encode(value) == data


@pytest.mark.slow
@given(st.lists(raw_values, max_size=10))
def test_raw_items_are_the_encodings_of_the_items(items: list[Any]) -> None:
    assert raw_items(encode(items), 10) == [encode(item) for item in items]


def check_one_by_one(data: bytes, pos: int, end: int) -> None:
    while pos < end:
        pos = item_end(data, pos, end)


def refusal(check: Callable[[bytes, int, int], None], data: bytes) -> tuple[int, str] | None:
    """Return offset and reason of the refusal of the items after the first byte, if any."""
    try:
        check(data, 1, len(data))
    except DecodeFailure as failure:
        return failure.offset, failure.why
    return None


VALUES = st.recursive(st.binary(max_size=60), lambda inner: st.lists(inner, max_size=6))


@given(st.lists(VALUES.map(encode) | st.binary(max_size=3)).map(b"".join))
@example(b"\x81\x80" * 300 + b"\x81\x7f")
@example(b"\xb7" + b"a" * 55 + b"\xf7" + b"a" * 55 + b"\xf8\x38" + b"a" * 56)
@example(b"\x05\x82\x01")
def test_skipped_items_are_refused_as_when_read_one_by_one(items: bytes) -> None:
    data = b"\xc0" + items
    assert refusal(skip_items, data) == refusal(check_one_by_one, data)


def test_raw_items_bounds_the_count() -> None:
    assert raw_items(encode([1, 2]), 2) == [b"\x01", b"\x02"]
    with pytest.raises(DecodeError, match="more than 2 items"):
        raw_items(encode([1, 2, 3]), 2)


def test_raw_items_keeps_inner_lists_unread() -> None:
    assert raw_items(bytes.fromhex("c3c28100"), 1) == [bytes.fromhex("c28100")]


@pytest.mark.parametrize(
    "data", ["", "80", "83646f67", "c0c0", "c1", "c28100", "c183", "f800", "c2f800"]
)
def test_raw_items_refuses_what_is_no_list(data: str) -> None:
    with pytest.raises(DecodeError):
        raw_items(bytes.fromhex(data), 100)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=20))
@example(0, b"")
@example(0x7F, b"")
@example(0x80, b"")
@example(2**64 - 1, b"")
def test_split_uint_reads_what_encode_wrote(number: int, rest: bytes) -> None:
    head = encode(number)
    assert split_uint(head + rest) == (number, len(head))
    assert split_uint(memoryview(head + rest)) == (number, len(head))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "no data"),
        ("00", "leading zero"),
        ("8100", "header of its own"),
        ("817f", "header of its own"),
        ("820001", "leading zero"),
        ("8201", "2 bytes where 1 are left"),
        ("81", "1 bytes where 0 are left"),
        ("89010000000000000000", "more than 64 bits"),
        ("b838" + "01" * 56, "more than 64 bits"),
        ("bf" + "ff" * 8, "more than 64 bits"),
        ("c0", "a list stands where"),
        ("f838" + "01" * 56, "a list stands where"),
    ],
)
def test_split_uint_refuses(data: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        split_uint(bytes.fromhex(data))


@pytest.mark.parametrize("data", [5, "text", None, [b""]])
def test_other_data_than_bytes_are_the_callers_mistake(data: Any) -> None:
    with pytest.raises(TypeError, match="decoded from bytes"):
        decode(data)
    with pytest.raises(TypeError, match="decoded from bytes"):
        raw_items(data, 1)


def test_bytearray_and_memoryview_are_read_as_bytes() -> None:
    assert decode(bytearray(b"\x83dog")) == decode(memoryview(b"\x83dog")) == b"dog"


@pytest.mark.parametrize(
    "item, size",
    [
        (encode(0x7F), 0),
        (encode(0x80), 1),
        (encode(b""), 1),
        (encode(bytes(55)), 1),
        (encode(bytes(56)), 2),
        (encode(bytes(256)), 3),
        (encode([]), 1),
        (encode([b""] * 55), 1),
        (encode([b""] * 56), 2),
        (encode([b""] * 256), 3),
    ],
)
def test_size_of_the_header_of_an_item(item: bytes, size: int) -> None:
    assert header_size(item) == size
