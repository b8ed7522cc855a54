"""The public decode functions: whole data, and the first fields of a list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.codec import MAX_ITEMS, decode, decode_fields, encode, encode_list
from p2p.errors import DecodeError, RemoteProtocolError


def test_decode_without_kind_gives_bytes_and_lists() -> None:
    assert decode(encode([1, "a", [b"b", ()]])) == [b"\x01", b"a", [b"b", []]]


def test_decode_error_is_the_remotes_fault_and_a_value_error() -> None:
    with pytest.raises(RemoteProtocolError):
        decode(b"")
    with pytest.raises(ValueError, match="no data"):
        decode(b"")


def test_type_checker_knows_the_type() -> None:
    # Checked by mypy: each line is an error if decode() has another type.
    pair: tuple[str, int] = decode(encode(["a", 1]), tuple[str, int])
    numbers: list[int] = decode(encode([1]), list[int])
    text: str = decode(encode("a"), str)
    assert (pair, numbers, text) == (("a", 1), [1], "a")


def test_fields_are_read_and_the_end_is_told() -> None:
    data = encode(["a", 5, [b"x"]])
    assert decode_fields(data, (str, int, list)) == (("a", 5, [b"x"]), len(data))


def test_further_items_are_ignored() -> None:
    data = encode(["a", 5, [b"x"], "more"])
    assert decode_fields(data, (str, int)) == (("a", 5), len(data))
    assert decode_fields(data, ()) == ((), len(data))


def test_further_items_are_not_looked_into() -> None:
    data = encode_list([b"\x01", encode_list([b"\x81\x00"])])
    assert decode_fields(data, (int,)) == ((1,), len(data))


@pytest.mark.parametrize("extra", ["81", "8100", "b838", "f800", "c501", "bfffffffffffffffff"])
def test_further_items_must_be_well_formed_and_inside(extra: str) -> None:
    with pytest.raises(DecodeError):
        decode_fields(encode_list([b"\x01", bytes.fromhex(extra)]) + b"\x01" * 100, (int,))


@given(st.binary(max_size=10), st.binary(max_size=200))
def test_what_stands_around_the_list_is_ignored(before: bytes, after: bytes) -> None:
    body = encode(["a", 5])
    values, end = decode_fields(before + body + after, (str, int), len(before))
    assert values == ("a", 5)
    assert end == len(before) + len(body)


def test_list_with_fewer_items_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"^byte 1: a list of 1 items, expected 2$"):
        decode_fields(b"\x00" + encode(["a"]), (str, int), 1)


def test_misfit_is_refused_with_its_number() -> None:
    with pytest.raises(DecodeError, match=r"^\[1\] \(byte 2\): a list stands"):
        decode_fields(encode([1, []]), (int, int))


@pytest.mark.parametrize(("data", "start"), [(b"", 0), (b"\xc0", 1), (b"\xc0", 2), (b"\xc0", -1)])
def test_start_outside_the_data_is_refused(data: bytes, start: int) -> None:
    with pytest.raises(DecodeError, match="no data"):
        decode_fields(data, (), start)


@pytest.mark.parametrize("data", ["80", "01", "b838" + "01" * 56, "c1", "f838", "f800"])
def test_what_is_no_list_is_refused(data: str) -> None:
    with pytest.raises(DecodeError):
        decode_fields(bytes.fromhex(data), ())


def test_too_many_further_items_are_refused() -> None:
    data = encode_list([b"\x01" * (MAX_ITEMS + 1)])
    with pytest.raises(DecodeError, match="more than"):
        decode_fields(data, (int,))


def test_wrong_kind_is_the_callers_mistake() -> None:
    with pytest.raises(TypeError, match="not a kind"):
        decode_fields(b"\xc0", (float,))
