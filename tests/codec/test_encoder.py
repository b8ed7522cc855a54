"""Values to bytes: golden vectors, the types that have an encoding, and refusals with a place."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st
from rlp.sedes import big_endian_int, binary

from p2p.codec import MAX_DEPTH, decode, encode, encode_list, encode_uint, encoder
from p2p.errors import EncodeError

LOREM_55 = "Lorem ipsum dolor sit amet, consectetur adipisicing eli"
LOREM_56 = LOREM_55 + "t"
ASDF = ["asdf", "qwer", "zxcv"]

# Values and encodings of the Ethereum RLP test suite (RLPTests/rlptest.json), under its names.
GOLDEN: list[tuple[str, Any, str]] = [
    ("emptystring", "", "80"),
    ("bytestring00", b"\x00", "00"),
    ("bytestring01", b"\x01", "01"),
    ("bytestring7F", b"\x7f", "7f"),
    ("shortstring", "dog", "83646f67"),
    ("shortstring2", LOREM_55, "b7" + LOREM_55.encode().hex()),
    ("longstring", LOREM_56, "b838" + LOREM_56.encode().hex()),
    ("longstring2", "x" * 1024, "b90400" + "78" * 1024),
    ("zero", 0, "80"),
    ("smallint", 1, "01"),
    ("smallint2", 16, "10"),
    ("smallint3", 79, "4f"),
    ("smallint4", 127, "7f"),
    ("mediumint1", 128, "8180"),
    ("mediumint2", 1000, "8203e8"),
    ("mediumint3", 100000, "830186a0"),
    ("mediumint4", 83729609699884896815286331701780722, "8f102030405060708090a0b0c0d0e0f2"),
    (
        "mediumint5",
        105315505618206987246253880190783558935785933862974822347068935681,
        "9c0100020003000400050006000700080009000a000b000c000d000e01",
    ),
    ("bigint", 2**256, "a1010000000000000000000000000000000000000000000000000000000000000000"),
    ("emptylist", [], "c0"),
    ("stringlist", ["dog", "god", "cat"], "cc83646f6783676f6483636174"),
    ("multilist", ["zw", [4], 1], "c6827a77c10401"),
    (
        "shortListMax1",
        [*ASDF, *ASDF, *ASDF, "asdf", "qwer"],
        "f7" + "84617364668471776572847a786376" * 3 + "84617364668471776572",
    ),
    ("longList1", [ASDF] * 4, "f840" + "cf84617364668471776572847a786376" * 4),
    ("longList2", [ASDF] * 32, "f90200" + "cf84617364668471776572847a786376" * 32),
    ("listsoflists", [[[], []], []], "c4c2c0c0c0"),
    ("listsoflists2", [[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
    (
        "dictTest1",
        [["key1", "val1"], ["key2", "val2"], ["key3", "val3"], ["key4", "val4"]],
        "ecca846b6579318476616c31ca846b6579328476616c32"
        "ca846b6579338476616c33ca846b6579348476616c34",
    ),
]


@dataclass
class Status:
    version: int
    network: str
    head: bytes
    fork: int | None = None
    note: str | None = None


class Cap(NamedTuple):
    name: str
    version: int


class Block(rlp.Serializable):  # type: ignore[misc]
    fields = [("number", big_endian_int), ("hash", binary)]


@pytest.mark.parametrize(
    ("value", "encoding"), [row[1:] for row in GOLDEN], ids=[row[0] for row in GOLDEN]
)
def test_golden_vector_is_encoded(value: Any, encoding: str) -> None:
    assert encode(value).hex() == encoding


@pytest.mark.parametrize(
    ("value", "same_as"),
    [
        (bytearray(b"abc"), b"abc"),
        (memoryview(b"abc"), b"abc"),
        (memoryview(b"a.b.c.")[::2], b"abc"),
        (True, b"\x01"),
        (False, b""),
        ("ä", b"\xc3\xa4"),
        (("a", (1,)), [b"a", [b"\x01"]]),
        (enum.IntEnum("Code", {"B": 7}).B, b"\x07"),  # type: ignore[attr-defined]
        (type("Key", (bytes,), {})(b"key"), b"key"),
        (Cap("eth", 68), [b"eth", b"\x44"]),
    ],
)
def test_value_is_encoded_as_its_raw_form(value: object, same_as: object) -> None:
    assert encode(value) == encode(same_as)


def test_dataclass_is_the_list_of_its_fields() -> None:
    assert encode(Status(1, "main", b"h", 5, "x")) == encode([1, "main", b"h", 5, "x"])


def test_trailing_none_with_default_is_left_out() -> None:
    assert encode(Status(1, "main", b"h")) == encode([1, "main", b"h"])
    assert encode(Status(1, "main", b"h", 5)) == encode([1, "main", b"h", 5])


def test_none_before_a_present_field_is_refused() -> None:
    with pytest.raises(EncodeError, match=r"^fork: None has no RLP encoding"):
        encode(Status(1, "main", b"h", None, "x"))


def test_trailing_field_with_another_value_than_none_is_kept() -> None:
    @dataclass
    class Counted:
        count: int = 0

    assert encode(Counted()) == encode([0])


def test_field_without_init_is_not_on_the_wire() -> None:
    @dataclass
    class Cached:
        a: int
        seen: set[int] = field(default_factory=set, init=False)
        b: int = 2

    assert encode(Cached(1)) == encode([1, 2])


def test_dataclasses_and_lists_nest() -> None:
    assert encode([Status(1, "m", b"h"), ()]) == encode([[1, "m", b"h"], []])


def test_serializable_is_encoded_as_the_rlp_package_does() -> None:
    block = Block(number=7, hash=b"hash")
    assert encode(block) == rlp.encode(block)
    assert encode([block, block]) == rlp.encode([block, block])


def test_refusal_of_a_serializable_becomes_encode_error() -> None:
    with pytest.raises(EncodeError, match=r"^\[1\]: Block: ") as caught:
        encode([1, Block(number="x", hash=b"")])
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "None has no RLP encoding"),
        (1.5, "float has no RLP encoding; send str, bytes, bool, int from 0 up, an Enum"),
        ({}, "dict has no RLP encoding"),
        (Status, "type has no RLP encoding"),
        (-1, "an int below zero has no RLP encoding"),
        (["a", [1, {2}]], r"\[1\]\[1\]: set has no RLP encoding"),
        (Status(1, "m", 3.0), "head: float has no RLP encoding"),  # type: ignore[arg-type]
        ([Status(-1, "m", b"")], r"\[0\].version: an int below zero"),
        ("\ud800", "a str with lone surrogates"),
    ],
)
def test_refusal_names_type_and_place(value: object, message: str) -> None:
    with pytest.raises(EncodeError, match="^" + message):
        encode(value)


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_depth_limit_is_what_the_decoder_takes() -> None:
    deepest = nested(MAX_DEPTH)
    assert decode(encode(deepest)) == deepest


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 2_000, 100_000])
def test_deeper_lists_are_refused(levels: int) -> None:
    with pytest.raises(EncodeError, match="nested more than"):
        encode(nested(levels))


def test_list_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(EncodeError, match="nested more than"):
        encode(loop)


def test_serializable_that_gives_itself_is_refused() -> None:
    class Loop:
        @classmethod
        def serialize(cls, value: object) -> object:
            return value

        deserialize = serialize

    with pytest.raises(EncodeError, match="nested more than"):
        encode(Loop())


def test_types_made_at_run_time_do_not_pile_up() -> None:
    for _ in range(1100):
        assert encode(type("Key", (bytes,), {})(b"k")) == b"k"
    assert 0 < len(encoder._learned) <= 1024


@given(st.lists(st.binary(max_size=70)))
def test_encode_list_wraps_encoded_items(items: list[bytes]) -> None:
    assert encode_list(encode(item) for item in items) == encode(items)


@given(st.integers(0, 2**600))
def test_encode_uint_is_encode_of_an_int(number: int) -> None:
    assert encode_uint(number) == encode(number) == rlp.encode(number)


def test_encode_uint_refuses_less_than_zero() -> None:
    with pytest.raises(EncodeError, match="below zero"):
        encode_uint(-1)


leaves = st.binary(max_size=70) | st.integers(0, 2**300) | st.text(max_size=20) | st.booleans()
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=8), max_leaves=40)


@given(values)
def test_encoding_agrees_with_the_rlp_package(value: Any) -> None:
    assert encode(value) == rlp.encode(value)
