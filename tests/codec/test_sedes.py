"""The bridge to the rlp package: its values and refusals, and the limits in front of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st
from rlp.sedes import CountableList, List, Text, big_endian_int, binary, boolean, raw, text

from p2p.codec import MAX_DEPTH, MAX_SEDES_ITEMS, decode, encode, encode_list
from p2p.errors import DecodeError


class Block(rlp.Serializable):  # type: ignore[misc]
    fields = [
        ("number", big_endian_int),
        ("name", text),
        ("uncles", CountableList(binary)),
    ]


@dataclass
class Linked:
    number: int
    values: list[big_endian_int]  # type: ignore[valid-type]
    rest: Linked | None = None


SEDES = [
    big_endian_int,
    binary,
    boolean,
    text,
    raw,
    Text(max_length=3),
    CountableList(big_endian_int),
    List([big_endian_int, text]),
    Block,
]


def test_serializable_is_read() -> None:
    block = Block(7, "seven", (b"a", b"b"))
    assert decode(encode(block), Block) == block


def test_sedes_can_stand_inside_other_kinds() -> None:
    @dataclass
    class Blocks:
        blocks: Any

    block = Block(7, "seven", ())
    assert decode(encode([block]), list[Block]) == [block]
    assert decode(encode([1, block]), tuple[int, Block]) == (1, block)
    assert decode(encode([[1, "a"]]), list[List([big_endian_int, text])]) == [(1, "a")]  # type: ignore[misc]


raw_values = st.recursive(st.binary(max_size=5), lambda inner: st.lists(inner, max_size=4))


@given(st.sampled_from(SEDES), raw_values.map(encode) | st.binary(max_size=20))
def test_sedes_give_the_verdict_of_the_rlp_package(sedes: Any, data: bytes) -> None:
    try:
        expected = rlp.decode(data, sedes)
    except (rlp.DecodingError, rlp.DeserializationError, TypeError):
        with pytest.raises(DecodeError):
            decode(data, sedes)
    else:
        assert decode(data, sedes) == expected


def test_refusal_has_its_cause_and_none_of_the_bytes() -> None:
    with pytest.raises(DecodeError, match=r"^\[0\] \(byte 1\): refused by the sedes") as caught:
        decode(encode([[1, b"\xffsecret", []]]), list[Block])
    assert isinstance(caught.value.__cause__, rlp.DeserializationError)
    assert "secret" not in str(caught.value)


def test_wrong_shape_for_an_integer_is_the_remotes_fault() -> None:
    with pytest.raises(DecodeError, match="TypeError"):
        decode(encode([["x"]]), CountableList(big_endian_int))


def test_refusal_without_the_rlp_package_is_a_misfit_too() -> None:
    class Odd:
        @staticmethod
        def serialize(value: object) -> bytes:
            raise ValueError("never")

        @staticmethod
        def deserialize(value: object) -> object:
            raise ValueError("never")

    with pytest.raises(DecodeError, match="refused by the sedes"):
        decode(b"\x01", Odd)


def test_depth_is_bounded_before_the_sedes() -> None:
    deep = b"\xc0"
    for _ in range(MAX_DEPTH):
        deep = encode_list([deep])
    with pytest.raises(DecodeError, match="deep"):
        decode(deep, raw)


def test_count_is_bounded_before_the_sedes() -> None:
    numbers = CountableList(big_endian_int)
    assert len(decode(encode_list([b"\x01" * (MAX_SEDES_ITEMS - 1)]), numbers)) > 1
    with pytest.raises(DecodeError, match=f"more than {MAX_SEDES_ITEMS} items"):
        decode(encode_list([b"\x01" * MAX_SEDES_ITEMS]), numbers)


@pytest.mark.slow
def test_count_is_bounded_before_the_sedes_of_a_kind_that_holds_itself() -> None:
    most = encode_list([b"\x01", encode_list([b"\x01" * (MAX_SEDES_ITEMS - 3)])])
    assert len(decode(most, Linked).values) == MAX_SEDES_ITEMS - 3
    with pytest.raises(DecodeError, match=f"more than {MAX_SEDES_ITEMS} items"):
        decode(encode_list([b"\x01", encode_list([b"\x01" * MAX_SEDES_ITEMS])]), Linked)


@pytest.mark.slow
def test_rlp_package_is_not_imported_until_it_is_needed() -> None:
    code = (
        "import sys; from p2p.codec import decode, encode;"
        "decode(encode(['a', 1]), tuple[str, int]); sys.exit('rlp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
