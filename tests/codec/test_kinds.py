"""The kinds that an item can be decoded as: each of them, each mismatch, and dataclasses."""

from __future__ import annotations

import sys
import threading
import typing
from dataclasses import dataclass, field, make_dataclass
from typing import Any, ClassVar, NewType, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.codec import MAX_DEPTH, MAX_INT_BYTES, decode, encode, encode_list, readers
from p2p.errors import DecodeError

Hash = NewType("Hash", bytes)


@dataclass
class Endpoint:
    ip: bytes
    port: int


@dataclass(frozen=True)
class Ping:
    version: int
    source: Endpoint
    names: list[str]
    seq: int | None = None
    flags: tuple[bool, ...] = field(default=())


@dataclass
class Tree:
    label: str
    children: list[Tree] = field(default_factory=list)


@dataclass
class First:
    other: list[Second]


@dataclass
class Second:
    other: list[First]


@dataclass
class OldSpelling:
    seq: Optional[int] = None  # noqa: UP045
    hash: Hash = Hash(b"")
    kind: ClassVar[int] = 4


@dataclass
class Keyword:
    b: int = field(kw_only=True)
    a: str = "a"
    c: int | None = field(default=None, kw_only=True)


@dataclass
class Even:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("odd")


@dataclass
class Empty:
    pass


FITS: list[tuple[object, object, object]] = [
    (None, b"a", b"a"),
    (None, [b"a", []], [b"a", []]),
    (object, [b"a"], [b"a"]),
    (Any, b"a", b"a"),
    (bytes, b"", b""),
    (bytes, b"\x05", b"\x05"),
    (bytes, b"x" * 60, b"x" * 60),
    (Hash, b"h", b"h"),
    (str, "grüß", "grüß"),
    (int, 0, 0),
    (int, 127, 127),
    (int, 128, 128),
    (int, 2**64, 2**64),
    (int, 2**500, 2**500),
    (int, 256**MAX_INT_BYTES - 1, 256**MAX_INT_BYTES - 1),
    (bool, True, True),
    (bool, False, False),
    (list, [b"a", [b"b"]], [b"a", [b"b"]]),
    (tuple, [b"a", [b"b"]], (b"a", [b"b"])),
    (typing.List, [b"a"], [b"a"]),  # noqa: UP006
    (typing.Tuple, [b"a"], (b"a",)),  # noqa: UP006
    (list[int], [1, 2], [1, 2]),
    (typing.List[int], [1, 2], [1, 2]),  # noqa: UP006
    (list[list[str]], [["a"], []], [["a"], []]),
    (tuple[str, int], ["a", 1], ("a", 1)),
    (typing.Tuple[str, int], ["a", 1], ("a", 1)),  # noqa: UP006
    (tuple[str, ...], ["a", "b", "c"], ("a", "b", "c")),
    (tuple[str, ...], [], ()),
    (tuple[()], [], ()),
    (typing.Tuple[()], [], ()),  # noqa: UP006
    (tuple[int, list[tuple[str, int]]], [1, [["a", 2]]], (1, [("a", 2)])),
    (tuple[bytes, Any], [b"a", [[]]], (b"a", [[]])),
    (Endpoint, [b"ip", 3], Endpoint(b"ip", 3)),
    (list[Endpoint], [[b"ip", 3]], [Endpoint(b"ip", 3)]),
    (Empty, [], Empty()),
    (Keyword, [7], Keyword(b=7)),
    (Keyword, [7, "x", 9], Keyword("x", b=7, c=9)),
    (OldSpelling, [], OldSpelling()),
    (OldSpelling, [3, b"h"], OldSpelling(3, Hash(b"h"))),
    (Tree, ["a", [["b"], ["c", [["d"]]]]], Tree("a", [Tree("b"), Tree("c", [Tree("d")])])),
    (First, [[[[]]]], First([Second([])])),
    (Even, [2], Even(2)),
]


@pytest.mark.parametrize(("kind", "wire", "value"), FITS)
def test_kind_reads_its_values(kind: object, wire: object, value: object) -> None:
    got = decode(encode(wire), kind)
    assert got == value
    assert type(got) is type(value)


MISFITS: list[tuple[object, str, str]] = [
    (bytes, "c0", "^byte 0: a list stands where a string is expected$"),
    (str, "c0", "a list stands"),
    (int, "c0", "a list stands"),
    (bool, "c0", "a boolean is"),
    (list, "80", "^byte 0: a string stands where a list is expected$"),
    (tuple, "80", "a string stands"),
    (list[int], "01", "a string stands"),
    (tuple[int], "b838" + "01" * 56, "a string stands"),
    (Endpoint, "83646f67", "a string stands"),
    (str, "82c328", "^byte 1: text is not UTF-8$"),
    (str, "83eda080", "not UTF-8"),
    (str, "82c080", "not UTF-8"),
    (int, "00", "leading zero"),
    (int, "820001", "leading zero"),
    (int, "8101", "header of its own"),
    (int, "b838" + "00" * 56, "leading zero"),
    (int, "b90401" + "01" * 1025, "more than 1024 bytes"),
    (bool, "00", "a boolean is"),
    (bool, "02", "a boolean is"),
    (bool, "8101", "a boolean is"),
    (tuple[()], "c101", r"^byte 1: a list of more than 0 items$"),
    (tuple[int, int], "c101", r"^byte 0: a list of 1 items, expected 2$"),
    (tuple[int, int], "c3010203", r"^byte 3: a list of more than 2 items$"),
    (list[int], "c20100", r"^\[1\] \(byte 2\): an integer has a leading zero$"),
    (list[list[int]], "c4c0c20100", r"^\[1\]\[1\] \(byte 4\)"),
    (tuple[str, ...], "c2c001", r"^\[0\] \(byte 1\): a list stands"),
    (Endpoint, "c101", "a list of 1 items, expected 2"),
    (Endpoint, "c3010203", "a list of more than 2 items"),
    (Ping, "c504c28000c0", r"^source.port \(byte 4\): an integer has a leading zero$"),
    (list[Endpoint], "c3c2c001", r"^\[0\].ip \(byte 2\): a list stands"),
    (OldSpelling, "c1c0", r"^seq \(byte 1\): a list stands"),
    (Keyword, "c0", "a list of 0 items, expected 1"),
    (Even, "c101", "^byte 0: refused by Even$"),
    (tuple[Even], "c2c101", r"^\[0\] \(byte 1\): refused by Even$"),
]


@pytest.mark.parametrize(("kind", "data", "message"), MISFITS)
def test_misfit_is_refused_with_its_place(kind: object, data: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode(bytes.fromhex(data), kind)


KINDS = [bytes, str, int, bool, list, list[int], tuple[int, str], tuple[str, ...], Endpoint, Ping]
KINDS += [Tree, Keyword, list[Endpoint], tuple[()]]


@given(st.sampled_from(KINDS), st.binary(max_size=40))
def test_any_bytes_are_refused_or_read_to_a_value_that_round_trips(kind: Any, data: bytes) -> None:
    try:
        value = decode(data, kind)
    except DecodeError:
        return
    assert decode(encode(value), kind) == value


strings = st.text(max_size=10)
uints = st.integers(0, 2**70)
endpoints = st.builds(Endpoint, st.binary(max_size=60), uints)


@given(st.builds(Ping, uints, endpoints, st.lists(strings, max_size=4), uints,
                 st.lists(st.booleans(), max_size=3).map(tuple)))  # fmt: skip
def test_dataclass_round_trips(ping: Ping) -> None:
    assert decode(encode(ping), Ping) == ping


def test_fields_with_defaults_may_be_missing_at_the_end() -> None:
    short = [4, [b"ip", 30303], ["n"]]
    assert decode(encode(short), Ping) == Ping(4, Endpoint(b"ip", 30303), ["n"])
    assert decode(encode([*short, 9]), Ping).seq == 9
    assert decode(encode([*short, 9, [True]]), Ping).flags == (True,)


def test_default_factory_makes_a_new_value_each_time() -> None:
    assert decode(b"\xc1a", Tree).children is not decode(b"\xc1a", Tree).children


def test_kind_that_holds_itself_is_bounded_in_depth() -> None:
    deepest = encode(["x"])
    for _ in range(MAX_DEPTH // 2 - 1):
        deepest = encode_list([b"x", encode_list([deepest])])
    assert decode(deepest, Tree).label == "x"
    for _ in range(2_000):
        deepest = encode_list([b"x", encode_list([deepest])])
    with pytest.raises(DecodeError, match="deep"):
        decode(encode_list([deepest]), list[Tree])
    with pytest.raises(DecodeError, match="deep"):
        decode(deepest, Tree)


@pytest.mark.parametrize(
    "kind",
    [5, "str", float, dict, dict[str, int], set[int], frozenset, int | None, int | str,
     list[float], tuple[int, float], [int], Ellipsis, typing.TypeVar("T")],
    ids=str,
)  # fmt: skip
def test_what_is_no_kind_is_the_callers_mistake(kind: object) -> None:
    with pytest.raises(TypeError, match="not a kind"):
        decode(b"\xc0", kind)


def test_field_that_is_no_kind_is_named() -> None:
    @dataclass
    class Wrong:
        ratio: float

    with pytest.raises(TypeError, match=r"Wrong\.ratio: float is not a kind"):
        decode(b"\xc0", Wrong)


def test_optional_field_without_default_is_no_kind() -> None:
    @dataclass
    class Wrong:
        seq: int | None

    with pytest.raises(TypeError, match=r"Wrong\.seq: .*not a kind"):
        decode(b"\xc0", Wrong)


def test_hint_that_cannot_be_resolved_is_the_callers_mistake() -> None:
    @dataclass
    class Wrong:
        inner: Nowhere  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match="Wrong cannot be resolved"):
        decode(b"\xc0", Wrong)


def test_misfit_deep_in_a_large_list_is_found_without_reading_on() -> None:
    data = encode_list([b"\x00", b"\xff" * 1000])  # the rest is not canonical either
    with pytest.raises(DecodeError, match=r"^\[0\] \(byte 3\): an integer"):
        decode(data, list[int])


def test_integer_can_be_printed() -> None:
    largest = decode(encode(256**MAX_INT_BYTES - 1), int)
    assert len(str(largest)) < 4_300


@pytest.mark.slow
def test_types_made_at_run_time_do_not_pile_up() -> None:
    for _ in range(1100):
        made = make_dataclass("Made", [("number", int)])
        assert decode(b"\xc1\x05", made) == made(5)
    assert 0 < len(readers._readers) <= 1024


@pytest.mark.slow
def test_threads_may_compile_the_same_kind_at_once() -> None:
    fresh: list[Any] = [make_dataclass("Made", [("a", list[int])]) for _ in range(200)]
    failures: list[BaseException] = []
    start = threading.Barrier(4)

    def work() -> None:
        try:
            start.wait()
            for made in fresh:
                kind: Any = list[made]
                assert decode(encode([made([1])]), kind) == [made([1])]
        except BaseException as err:
            failures.append(err)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_deep_stack_of_the_caller_is_no_obstacle() -> None:
    data = b"\x01"
    for _ in range(MAX_DEPTH):
        data = encode_list([data])

    def deep(levels: int) -> object:
        return deep(levels - 1) if levels else decode(data)

    assert deep(sys.getrecursionlimit() // 2)
