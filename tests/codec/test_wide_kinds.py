"""Kinds beside the plain ones: named tuples, enums, unions, lengths, generic and local classes.

What `encode` takes, `decode` takes. `type` statements are in test_type_statements.py.
"""

from __future__ import annotations

import collections
import contextlib
import datetime
import enum
import sys
import typing
from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import InitVar, dataclass, field, make_dataclass
from typing import Annotated, Any, Final, Generic, Literal, NamedTuple, NewType, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

import p2p
from p2p.codec import MaxLength, decode, encode
from p2p.errors import DecodeError, EncodeError

T = typing.TypeVar("T")
U = typing.TypeVar("U")

Hash = Annotated[bytes, 32]
Uint64 = Annotated[int, MaxLength(8)]
Name = NewType("Name", str)


class Point(NamedTuple):
    x: int
    y: int = 0
    label: str | None = None


class Text(str):
    pass


class Small(int):
    def __new__(cls, value: int) -> Small:
        if value > 9:
            raise ValueError("not small")
        return super().__new__(cls, value)


#: A StrEnum, which Python has since 3.11.
Word = enum.StrEnum("Word", "YES NO") if sys.version_info >= (3, 11) else enum.Enum(
    "Word", {"YES": "yes", "NO": "no"}
)  # fmt: skip


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 300


class Mood(str, enum.Enum):
    GOOD = "good"
    BAD = "bad"

    def __str__(self) -> str:
        return f"a {self.value} mood"


class Magic(bytes, enum.Enum):
    A = b"\x00\x01"
    B = b"\x07"


class Answer(enum.Enum):
    YES = True
    NO = False


class Alias(enum.Enum):
    ONE = 1
    UNO = 1


class Nested(enum.Enum):
    A = Level.HIGH


class Ratio(enum.Enum):
    HALF = 0.5


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


class IntMode(enum.IntFlag):
    READ = 1
    WRITE = 2


@dataclass
class Box(Generic[T]):
    value: T
    more: Sequence[T] = field(default_factory=list)


@dataclass
class IntBox(Box[int]):
    name: str = ""


@dataclass
class SameLetter(Box[str], Generic[T]):
    own: list[T] = field(default_factory=list)


@dataclass
class Pair(Generic[T, U]):
    first: T
    second: list[U]


@dataclass
class Swapped(Pair[U, T], Generic[T, U]):
    pass


@dataclass
class Chain(Generic[T]):
    value: T
    rest: list[Chain[T]] = field(default_factory=list)


@dataclass
class Constant:
    value: Final[int]  # type: ignore[misc]


@dataclass
class Either:
    origin: Hash | Uint64
    note: Hash | Uint64 | None = None


FITS: list[tuple[object, object, object]] = [
    # named tuples
    (p2p.Cap, ["eth", 68], p2p.Cap("eth", 68)),
    (Point, [1, 2, "a"], Point(1, 2, "a")),
    (Point, [1], Point(1)),
    (list[p2p.Cap], [["eth", 68]], [p2p.Cap("eth", 68)]),
    # subclasses
    (p2p.NodeID, b"n" * 32, p2p.NodeID(b"n" * 32)),
    (Text, "a", Text("a")),
    (Small, 3, Small(3)),
    (list[Small], [3], [Small(3)]),
    (bytearray, b"a", bytearray(b"a")),
    (memoryview, b"a", memoryview(b"a")),
    # enums
    (Color, "red", Color.RED),
    (Level, 300, Level.HIGH),
    (Mood, "bad", Mood.BAD),
    (Magic, b"\x00\x01", Magic.A),
    (Word, "no", Word.NO),
    (Answer, True, Answer.YES),
    (Answer, False, Answer.NO),
    (Alias, 1, Alias.ONE),
    (Mode, 3, Mode.READ | Mode.WRITE),
    (IntMode, 2, IntMode.WRITE),
    (IntMode, 0, IntMode(0)),
    (p2p.DiscReason, 4, p2p.DiscReason.TOO_MANY_PEERS),
    (p2p.DiscReason, 66, p2p.DiscReason(66)),
    (Literal["a", "b"], "b", "b"),
    (Literal[1, 2], 2, 2),
    (Literal[Level.LOW], 1, Level.LOW),
    (Literal[True], True, True),
    # sequences
    (Sequence, [b"a"], [b"a"]),
    (Sequence[int], [1, 2], [1, 2]),
    (typing.Sequence[int], [1, 2], [1, 2]),
    (typing.Sequence, [b"a"], [b"a"]),
    (MutableSequence[int], [1], [1]),
    # lengths
    (Hash, b"h" * 32, b"h" * 32),
    (Annotated[bytes, 1], b"\x05", b"\x05"),
    (Annotated[bytes, 1], b"\x85", b"\x85"),
    (Annotated[bytes, 0], b"", b""),
    (Annotated[bytes, 60], b"h" * 60, b"h" * 60),
    (Annotated[str, 4], "grü", "grü"),
    (Annotated[str, MaxLength(4)], "grü", "grü"),
    (Annotated[bytes, "a remark", 2], b"ab", b"ab"),
    (Annotated[int, "a remark"], 2, 2),
    (Uint64, 2**64 - 1, 2**64 - 1),
    (Annotated[p2p.NodeID, 32], b"n" * 32, p2p.NodeID(b"n" * 32)),
    (Annotated[list[int], 2], [1, 2], [1, 2]),
    (Annotated[list, 2], [b"a", b""], [b"a", b""]),
    (Annotated[tuple[int, ...], MaxLength(2)], [1], (1,)),
    (Annotated[list[Hash], MaxLength(2)], [b"h" * 32] * 2, [b"h" * 32] * 2),
    (list[Hash], [b"h" * 32] * 3, [b"h" * 32] * 3),
    (list[Hash], [], []),
    (list[Annotated[bytes, MaxLength(3)]], [b"", b"abc"], [b"", b"abc"]),
    (Annotated[Name, MaxLength(3)], "abc", "abc"),
    (Annotated[Annotated[bytes, MaxLength(9)], MaxLength(3)], b"abc", b"abc"),
    # unions
    (Hash | Uint64, b"h" * 32, b"h" * 32),
    (Hash | Uint64, 7, 7),
    (Uint64 | Hash, 2**60, 2**60),
    (Union[Hash, list[int]], [1], [1]),  # noqa: UP007
    (bytes | Point, [1], Point(1)),
    (bytes | Point, b"", b""),
    (Either, [7], Either(7)),
    (Either, [b"h" * 32, 0], Either(b"h" * 32, 0)),
    # generic classes
    (Box[int], [1, [2]], Box(1, [2])),
    (Box[str], ["a"], Box("a")),
    (Box[Box[int]], [[1]], Box(Box(1))),
    (Box[Hash | Uint64], [5], Box(5)),
    (IntBox, [1, [2], "n"], IntBox(1, [2], "n")),
    (SameLetter[int], ["a", ["b"], [3]], SameLetter("a", ["b"], [3])),
    (Pair[int, str], [1, ["a"]], Pair(1, ["a"])),
    (Swapped[str, int], [1, ["a"]], Swapped(1, ["a"])),
    (Chain[str], ["a", [["b"], ["c"]]], Chain("a", [Chain("b"), Chain("c")])),
    (Constant, [1], Constant(1)),
]


@pytest.mark.parametrize(("kind", "wire", "value"), FITS)
def test_kind_reads_its_values_and_they_encode_to_the_same(
    kind: object, wire: object, value: object
) -> None:
    data = encode(wire)
    got = decode(data, kind)
    assert got == value
    assert type(got) is type(value)
    assert decode(encode(value), kind) == value


@pytest.mark.parametrize(
    ("value", "same_as"),
    [
        (Color.RED, "red"),
        (Mood.BAD, "bad"),
        (Magic.B, b"\x07"),
        (Answer.NO, False),
        (Mode.READ | Mode.WRITE, 3),
        (Point(1), [1, 0]),
        (Point(1, 2, "a"), [1, 2, "a"]),
        (Nested.A, 300),
    ],
)
def test_value_is_encoded_as_its_content(value: object, same_as: object) -> None:
    assert encode(value) == encode(same_as)


def test_enum_of_other_values_has_no_encoding() -> None:
    with pytest.raises(EncodeError, match="float has no RLP encoding"):
        encode(Ratio.HALF)


MISFITS: list[tuple[object, object, str]] = [
    (p2p.Cap, ["eth"], "a list of 1 items, expected 2"),
    (p2p.Cap, ["eth", [1]], r"^version \(byte 5\): a list stands"),
    (p2p.NodeID, b"n" * 31, "^byte 0: refused by NodeID$"),
    (Small, 10, "^byte 0: refused by Small$"),
    (Color, "blue", "^byte 0: refused by Color$"),
    (Level, 2, "refused by Level"),
    (Mood, [], "a list stands"),
    (Magic, b"\x08", "refused by Magic"),
    (Mode, 4, "refused by Mode"),
    (IntMode, 2**40, "refused by IntMode"),
    (Literal["a", "b"], "c", r"refused by Literal\['a', 'b'\]$"),
    (Sequence[int], ["", []], r"^\[1\] \(byte 2\): a list stands"),
    (Hash, b"h" * 31, "^byte 0: a string of 31 bytes, expected 32$"),
    (Hash, b"h" * 33, "^byte 0: a string of 33 bytes, expected 32$"),
    (Hash, [], "^byte 0: a list stands"),
    (Annotated[bytes, 60], b"h" * 59, "a string of 59 bytes, expected 60$"),
    (Annotated[str, MaxLength(3)], "grü", "a string of 4 bytes, expected 0 to 3$"),
    (Uint64, 2**64, "^byte 0: an integer of more than 8 bytes$"),
    (Annotated[list[int], 2], [1], "a list of 1 items, expected 2$"),
    (Annotated[list[int], 2], [1, 2, 3], "a list of more than 2 items$"),
    (Annotated[list[Hash], MaxLength(2)], [b"h" * 32] * 3, "a list of more than 2 items$"),
    (list[Hash], [b"h" * 32, b"h" * 31], r"^\[1\] \(byte 35\): a string of 31 bytes, expected 32$"),
    (Hash | Uint64, b"h" * 31, "^byte 0: a string of 31 bytes, expected 0 to 8 or 32$"),
    (Hash | Uint64, b"\x00" * 3, "an integer has a leading zero$"),
    (Hash | Uint64, [], "a list stands"),
    (Hash | list[int], [[]], r"^\[0\] \(byte 1\): a list stands"),
    (Box[int], [[]], r"^value \(byte 1\): a list stands"),
]


@pytest.mark.parametrize(("kind", "wire", "message"), MISFITS)
def test_misfit_is_refused_with_its_place(kind: object, wire: object, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode(encode(wire), kind)


@pytest.mark.parametrize("data", ["a0" + "00" * 31, "b820" + "00" * 32, "a0", "8100"])
@pytest.mark.parametrize("kind", [Hash, Hash | Uint64, list[Hash]])
def test_fixed_length_does_not_bend_the_rules_of_the_encoding(data: str, kind: object) -> None:
    with pytest.raises(DecodeError):
        decode(bytes.fromhex(data), kind)


def test_values_of_a_flag_are_bounded() -> None:
    for number in range(2**9):
        with contextlib.suppress(DecodeError):
            decode(encode(number), IntMode)
    assert len(IntMode._value2member_map_) <= 4


# What is no kind, and what to write instead.


class Mixed(enum.Enum):
    A = 1
    B = "b"


class Negative(enum.IntEnum):
    A = -1


class ManyFlags(enum.IntFlag):
    A = 2**16


Untyped = collections.namedtuple("Untyped", "a b")


@dataclass
class Initial:
    a: int
    b: InitVar[int]


@dataclass
class Growing(Generic[T]):
    value: T
    rest: list[Growing[list[T]]]


@dataclass
class Unclear:
    either: list[int] | list[str]


REFUSED: list[tuple[object, str]] = [
    (float, "^float is not a kind .*; write int, in a smaller unit, or str$"),
    (dict[str, int], r"; write list\[tuple\[K, V\]\]$"),
    (Mapping, r"; write list\[tuple\[K, V\]\]$"),
    (set[int], r"; write list\[T\]$"),
    (datetime.datetime, "; write int, such as the seconds since 1970$"),
    (datetime.timedelta, "; write int, such as milliseconds$"),
    (complex, "; write bytes, str, int, bool, "),
    (int | None, r"; give the field a default, seq: int \| None = None; then it may be missing"),
    (int | str, r"; strings must differ in length, as Annotated\[bytes, 32\] and"),
    (Hash | int, "; strings must differ in length"),
    (bool | int, "; strings must differ in length"),
    (list[int] | list[str], "; lists look alike: write one dataclass, or a message for each$"),
    (Point | list[int] | Hash, "; lists look alike"),
    (Any | int, "; Any, and a sedes, stand for any item"),
    (T, r"; it is a type parameter: write the class with its types, such as Box\[int\]$"),
    (Box, r"^Box\.value: ~T is not a kind .*write the class with its types"),
    (Pair[int, T], r"^Pair\.second: ~T is not a kind"),
    ("Point", "; write the type itself, not its name$"),
    (list["Point"], "; write the type itself, not its name$"),
    (Annotated[int, 32], r"; a length is for .*write Annotated\[int, MaxLength\(8\)\]"),
    (Annotated[bool, 1], "; a length is for bytes, str and list"),
    (Annotated[Point, 2], "; a length is for bytes, str and list"),
    (Annotated[bytes, -1], "; a length is for bytes, str and list"),
    (Annotated[bytes, 4, 5], "; its limits exclude each other$"),
    (Mixed, "^Mixed is not a kind .*; its values must be all int, all str, or all bytes$"),
    (enum.Enum("Empty", {}), "^Empty is not a kind"),
    (Negative, "^Negative has a value below zero"),
    (ManyFlags, "^ManyFlags has more than 16 flags; write int, and make the flags of it$"),
    (Literal[1, "a"], r"^Literal\[1, 'a'\] is not a kind .*its values must be all"),
    (Literal[None], "is not a kind"),
    (Untyped, r"^Untyped\.a has no type; write class Untyped\(NamedTuple\)$"),
    (Initial, r"Initial\.b is an InitVar, which is no field.*; write a field$|^the types "),
    (Growing[int], "grows without end"),
    (Unclear, r"^Unclear\.either: list\[int\] \| list\[str\] is not a kind .*lists look alike"),
]


@pytest.mark.parametrize(("kind", "message"), REFUSED)
def test_what_is_no_kind_is_refused_with_what_to_write_instead(kind: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        decode(b"\xc0", kind)


# Names of local classes.


def test_local_class_may_name_other_local_classes() -> None:
    @dataclass
    class Inner:
        number: int

    @dataclass
    class Outer:
        inner: Inner
        others: list[Outer] = field(default_factory=list)

    assert decode(encode([[1], [[[2]]]]), Outer) == Outer(Inner(1), [Outer(Inner(2))])


def test_local_class_of_an_inner_function_may_name_those_of_the_outer_one() -> None:
    @dataclass
    class Inner:
        number: int

    def read() -> object:
        @dataclass
        class Outer:
            inner: Inner

        return decode(b"\xc2\xc1\x07", Outer)

    assert getattr(read(), "inner", None) == Inner(7)


def local_class() -> type:
    @dataclass
    class Inner:
        number: int

    @dataclass
    class Outer:
        inner: Inner

    return Outer


def test_local_class_whose_function_has_returned_is_refused_with_the_remedy() -> None:
    with pytest.raises(TypeError, match="Outer cannot be resolved: .*'Inner'.*; it is a local cl"):
        decode(b"\xc2\xc1\x07", local_class())


def test_class_without_a_module_of_its_own() -> None:
    names: dict[str, Any] = {"dataclass": dataclass}
    exec("@dataclass\nclass Alone:\n    number: int\n", names)
    assert decode(b"\xc1\x05", names["Alone"]).number == 5


def test_annotation_that_is_no_type_is_refused() -> None:
    made = make_dataclass("Made", [("a", "5 +")])
    with pytest.raises(TypeError, match="^the types of Made cannot be resolved: [^;]*$"):
        decode(b"\xc0", made)


def test_name_that_is_nowhere_is_refused_with_the_remedy() -> None:
    made = make_dataclass("Made", [("a", "Nowhere")])
    with pytest.raises(TypeError, match="Made cannot be resolved: .*import it at the top of"):
        decode(b"\xc0", made)


# Any values.

texts = st.text(max_size=8)
uints = st.integers(0, 2**70)
hashes = st.binary(min_size=32, max_size=32)
either = hashes | st.integers(0, 2**64 - 1)

VALUES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (Point, st.builds(Point, uints, uints, texts | st.none())),
    (p2p.Cap, st.builds(p2p.Cap, texts, uints)),
    (p2p.NodeID, hashes.map(p2p.NodeID)),
    (Text, texts.map(Text)),
    (Small, st.integers(0, 9).map(Small)),
    *((kind, st.sampled_from(kind)) for kind in (Color, Level, Mood, Magic, Answer, Alias)),
    (p2p.DiscReason, st.integers(0, 2**40).map(p2p.DiscReason)),
    (Mode, st.integers(0, 3).map(Mode)),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (Sequence[int], st.lists(uints)),
    (Hash, hashes),
    (Hash | Uint64, either),
    (list[Hash | Uint64], st.lists(either)),
    (bytes | list[str], st.binary() | st.lists(texts)),
    (Annotated[list[Hash], MaxLength(4)], st.lists(hashes, max_size=4)),
    (Either, st.builds(Either, either, either | st.none())),
    (Box[int], st.builds(Box, uints, st.lists(uints))),
    (Box[Box[str]], st.builds(Box, st.builds(Box, texts, st.lists(texts)))),
    (Pair[Hash, Color], st.builds(Pair, hashes, st.lists(st.sampled_from(Color)))),
    (Chain[str], st.recursive(
        st.builds(Chain, texts),
        lambda inner: st.builds(Chain, texts, st.lists(inner, max_size=3)), max_leaves=6)),
]  # fmt: skip


@given(st.sampled_from(VALUES).flatmap(lambda row: st.tuples(st.just(row[0]), row[1])))
def test_value_of_each_kind_round_trips(drawn: tuple[Any, Any]) -> None:
    kind, value = drawn
    assert decode(encode(value), kind) == value


@given(st.sampled_from([kind for kind, _ in VALUES]), st.binary(max_size=60))
def test_any_bytes_are_refused_or_read_to_a_value_that_round_trips(kind: Any, data: bytes) -> None:
    try:
        value = decode(data, kind)
    except DecodeError:
        return
    assert decode(encode(value), kind) == value
