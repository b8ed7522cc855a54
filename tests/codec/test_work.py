"""Limits on the work and memory that any bytes can cause, and on values that expand too much.

Work is counted, not timed: the data are bytes that count how often a reader looks at them. Memory
is the peak that tracemalloc saw.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rlp.sedes import CountableList, big_endian_int, raw

from p2p.codec import (
    MAX_DEPTH,
    MAX_INT_BYTES,
    MAX_ITEMS,
    MAX_LIST_SIZE,
    MAX_SEDES_ITEMS,
    decode,
    decode_fields,
    encode,
    encode_list,
    encoder,
)
from p2p.errors import DecodeError, EncodeError

pytestmark = pytest.mark.slow

#: The largest message (RLPx, "Framing"), and what its list has room for.
MESSAGE = 2**24 - 1
ROOM = MESSAGE - 16


@dataclass
class Status:
    version: int
    network: str
    head: bytes


@dataclass
class Tree:
    label: bytes
    children: list[Tree] = field(default_factory=list)


@dataclass
class Letter:
    number: int
    tree: Tree


@dataclass
class Outer:
    inner: list[Inner]


@dataclass
class Inner:
    """Holds itself and, by way of Outer, itself again."""

    same: list[Inner]
    outer: list[Outer]


class Watched(bytes):
    """Bytes that count how often they are looked at."""

    looks: int

    def __getitem__(self, place: Any) -> Any:
        self.looks += 1
        return super().__getitem__(place)


def watched(data: bytes) -> Watched:
    made = Watched(data)
    made.looks = 0
    return made


def doubled(leaf: object, levels: int) -> object:
    """Return nested lists, each with the inner one twice: 2**levels leaves."""
    for _ in range(levels):
        leaf = [leaf, leaf]
    return leaf


def crowd(item: bytes) -> bytes:
    """As many of the item as a message has room for, as a list."""
    return encode_list([item * (ROOM // len(item))])


LONG_STRING = encode(bytes(ROOM))
LONG_LIST = crowd(b"\xc0")

UNASKED: list[tuple[str, object, list[bytes]]] = [
    ("a string behind the last item", tuple[str], [b"a", LONG_STRING]),
    ("a list behind the last item", tuple[str], [b"a", LONG_LIST]),
    ("tiny items behind the last item", tuple[str], [b"a", b"\xc0" * ROOM]),
    ("a list behind the last field", Status, [b"\x01", b"a", b"b", LONG_LIST]),
    ("a list behind the first mismatch", tuple[int, list[int]], [b"\x00", LONG_LIST]),
    ("a string behind the first mismatch", tuple[int, bytes], [b"\x00", LONG_STRING]),
    ("raw items behind the first mismatch", tuple[int, Any], [b"\x00", LONG_LIST]),
    ("a tree behind the first mismatch", tuple[int, Tree], [b"\x00", LONG_LIST]),
    ("a tree behind the mismatch of a field", Letter, [b"\x00", LONG_LIST]),
    ("a sedes behind the first mismatch", tuple[int, raw], [b"\x00", LONG_LIST]),  # type: ignore[valid-type]
    ("items of a list that stands for a string", tuple[str], [LONG_LIST]),
    ("items of a list that stands for an integer", tuple[int], [LONG_LIST]),
    ("a string that stands for an integer", tuple[int], [LONG_STRING]),
    ("a string that stands for a list", tuple[list[int]], [LONG_STRING]),
    ("a string that stands for a dataclass", tuple[Status], [LONG_STRING]),
    ("a string that stands for a boolean", tuple[bool], [LONG_STRING]),
]


@pytest.mark.parametrize(
    ("kind", "items"), [row[1:] for row in UNASKED], ids=[row[0] for row in UNASKED]
)
def test_what_the_kind_does_not_ask_for_is_not_looked_at(kind: object, items: list[bytes]) -> None:
    data = watched(encode_list(items))
    with pytest.raises(DecodeError):
        decode(data, kind)
    assert data.looks < 30


def test_strings_that_are_asked_for_are_looked_at_once() -> None:
    data = watched(encode_list([b"a", LONG_STRING]))
    assert len(decode(data, tuple[str, bytes])[1]) == ROOM
    assert data.looks < 30


@pytest.mark.parametrize("kind", [list[int], tuple[bool, ...], list[Tree], list[Status]])
def test_list_of_an_open_length_is_read_to_its_first_mismatch(kind: object) -> None:
    """Such a list is counted first, but no item behind the mismatch is read."""
    items = 8000
    data = watched(encode_list([b"\x00", encode(bytes(2000)) * items]))
    with pytest.raises(DecodeError, match=r"^\[0\]"):
        decode(data, kind)
    assert data.looks < 3 * items + 30  # two at the header, one at the length


def test_further_fields_are_passed_over_without_a_look_at_each() -> None:
    items = 400_000
    data = watched(encode_list([b"\x05", b"\x01" * items]))
    assert decode_fields(data, (int,))[0] == (5,)
    assert data.looks < 30


@pytest.mark.parametrize("kind", [None, list[list], tuple[list[int], ...], list[Tree], Tree, raw])
def test_message_of_empty_lists_is_refused_at_once(kind: object) -> None:
    start = time.process_time()
    with pytest.raises(DecodeError):
        decode(LONG_LIST, kind)
    assert time.process_time() - start < 0.3


@pytest.mark.parametrize("item", [b"\xc0", b"\x01", b"\xc1\x80"])
def test_message_of_tiny_items_is_refused_without_memory(item: bytes) -> None:
    data = crowd(item)
    with peak_below(64 * 1024), pytest.raises(DecodeError):
        decode(data)


@contextmanager
def peak_below(limit_bytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit_bytes
    finally:
        tracemalloc.stop()


def test_1_mib_of_one_byte_items_takes_no_memory_and_half_of_it_eight_bytes_an_item() -> None:
    data = encode_list([b"\x01" * 2**20])
    with peak_below(64 * 1024), pytest.raises(DecodeError, match="more than"):
        decode(data)
    data = encode_list([b"\x01" * (MAX_ITEMS - 1)])
    with peak_below(5 * 2**20):
        assert len(decode(data)) == MAX_ITEMS - 1


@pytest.mark.parametrize(("item", "objects"), [("c0", 1), ("c7c6c5c4c3c2c180", 8)])
def test_no_object_takes_more_than_its_share_of_50_mb(item: str, objects: int) -> None:
    """So that all that there may be take no more; a sixteenth of them shows it."""
    items = MAX_ITEMS // 16 // objects
    data = encode_list([bytes.fromhex(item) * items])
    with peak_below(50 * 10**6 // 16):
        assert len(decode(data)) == items


@pytest.mark.parametrize("kind", [int, tuple[int], list[int], tuple[int, ...]])
def test_integer_of_16_mib_is_refused_without_making_it(kind: object) -> None:
    number = b"\xb9" + (MAX_INT_BYTES + 1).to_bytes(2, "big") + bytes([1]) * (MAX_INT_BYTES + 1)
    huge = b"\xba" + (ROOM - 100_000 & 0xFFFFFF).to_bytes(3, "big") + b"\x01" * (ROOM - 100_000)
    for one in (number, huge):
        data = watched(one if kind is int else encode_list([one]))
        with peak_below(64 * 1024), pytest.raises(DecodeError, match="an integer of more than"):
            decode(data, kind)


LENGTHS = ["b8", "bb", "bf", "f8", "fb", "ff"]


@pytest.mark.parametrize("kind", [None, bytes, str, int, list, list[bytes], Status, Tree, raw])
@pytest.mark.parametrize("head", LENGTHS)
def test_huge_length_is_refused_without_memory(head: str, kind: object) -> None:
    width = int(head, 16) & 7
    data = bytes.fromhex(head) + b"\xff" * (width + 1) + b"\x01" * 40
    with peak_below(64 * 1024), pytest.raises(DecodeError) as caught:
        decode(data, kind)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("kind", [Tree, raw, list[Tree], Outer])
@pytest.mark.parametrize("levels", [2_000, 1_000_000])
def test_deep_nesting_is_refused_for_kinds_that_go_as_deep(levels: int, kind: object) -> None:
    data = nested(levels)
    with pytest.raises(DecodeError):
        decode(data, kind)


@cache
def nested(levels: int) -> bytes:
    heads = []
    size = 0
    for _ in range(levels):
        width = (size.bit_length() + 7) // 8
        head = bytes([0xC0 + size]) if size < 56 else bytes([0xF7 + width])
        heads.append(head + (size.to_bytes(width, "big") if size >= 56 else b""))
        size += len(heads[-1])
    return b"".join(reversed(heads))


def deep_tree(levels: int, innermost: bytes) -> bytes:
    for _ in range(levels):
        innermost = encode_list([b"x", encode_list([innermost])])
    return innermost


def test_kind_that_holds_itself_is_walked_through_twice_at_most() -> None:
    leaves = encode_list([b"\xcd\x8cabcdefghijkl"]) * 60_000
    data = watched(deep_tree(MAX_DEPTH // 2 - 2, encode_list([b"x", encode_list([leaves])])))
    assert len(data) > MAX_ITEMS  # so that it is counted
    with pytest.raises(DecodeError):
        decode(data, Tree)
    assert data.looks < 8 * 60_000 * 3


def test_kind_that_holds_itself_inside_another_is_bounded_there() -> None:
    fits = deep_tree(MAX_DEPTH // 2 - 1, b"\xc1x")
    assert decode(encode_list([b"\x05", fits]), Letter).number == 5
    with pytest.raises(DecodeError, match=r"^tree \(byte \d+\): lists are nested more than"):
        decode(encode_list([b"\x05", deep_tree(MAX_DEPTH, b"\xc1x")]), Letter)


def test_kinds_that_hold_each_other_and_themselves_are_read() -> None:
    innermost: list[Any] = [[], []]
    wire = [[[[innermost], [[[innermost]]]]]]
    inner = Inner([], [])
    assert decode(encode(wire), Outer) == Outer([Inner([inner], [Outer([inner])])])


def test_kinds_that_hold_each_other_and_themselves_are_bounded() -> None:
    deep: list[Any] = [[], []]
    for _ in range(MAX_DEPTH // 2 - 1):
        deep = [[deep], []]
    data = encode_list([encode_list([encode(deep)])])
    with pytest.raises(DecodeError, match="nested more than"):
        decode(data, Outer)


def test_items_for_a_sedes_are_bounded_in_a_list_too() -> None:
    most = encode_list([b"\x01" * (MAX_SEDES_ITEMS - 1)])
    assert len(decode(most, list[big_endian_int])) == MAX_SEDES_ITEMS - 1  # type: ignore[valid-type]
    more = encode_list([b"\x01" * MAX_SEDES_ITEMS])
    with pytest.raises(DecodeError, match=f"more than {MAX_SEDES_ITEMS} items"):
        decode(more, list[big_endian_int])  # type: ignore[valid-type]
    with pytest.raises(DecodeError, match=f"more than {MAX_SEDES_ITEMS} items"):
        decode(encode_list([more]), list[tuple[CountableList(big_endian_int)]])  # type: ignore[misc]


def test_limit_for_a_sedes_holds_for_the_list_it_is_in_only() -> None:
    numbers = b"\x01" * MAX_SEDES_ITEMS
    kind = tuple[list[big_endian_int], list[int]]  # type: ignore[valid-type]
    few, many = decode(encode_list([b"\xc1\x01", encode_list([numbers])]), kind)
    assert (few, len(many)) == ([1], MAX_SEDES_ITEMS)


#: In the place of MAX_LIST_SIZE, which takes seconds to reach with short items.
LIMIT = 2**22

TOO_MUCH: dict[str, Callable[[], object]] = {
    "lists that hold each other": lambda: doubled(bytes(1000), 40),
    "a string many times": lambda: [bytes(2**20)] * 10**6,
    "a short string in a list many times": lambda: [[bytes(50)] * 1000] * 10**6,
    "text many times": lambda: ("x" * 2**20,) * 10**6,
    "a dataclass many times": lambda: [Status(1, "main", bytes(2**20))] * 10**6,
    "a hash many times": lambda: [bytes(32)] * (LIMIT // 33 + 1),
    "a short string many times": lambda: [b"x" * 55] * (LIMIT // 56 + 1),
    "one string": lambda: [bytes(LIMIT)],
}


@pytest.mark.parametrize("make", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_value_that_stands_for_too_much_is_refused(
    make: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "MAX_LIST_SIZE", LIMIT)
    with pytest.raises(EncodeError, match=f"a list of more than {MAX_LIST_SIZE} bytes"):
        encode(make())


@pytest.mark.parametrize(
    ("item", "size", "limit"),
    [(bytes(2**20 - 4), 2**20, MAX_LIST_SIZE), (bytes(31), 32, LIMIT)],
    ids=["long", "short"],
)
def test_largest_list_can_be_encoded(
    item: bytes, size: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "MAX_LIST_SIZE", limit)
    most = [item] * (limit // size)
    assert len(encode(most)) == limit + 1 + (limit.bit_length() + 7) // 8
    with pytest.raises(EncodeError, match=f"a list of more than {MAX_LIST_SIZE} bytes"):
        encode([*most, b""])


def test_string_outside_of_lists_may_have_any_length() -> None:
    assert len(encode(bytes(MAX_LIST_SIZE + 1))) == MAX_LIST_SIZE + 6


@given(
    st.lists(st.binary(min_size=32, max_size=32), max_size=6) | st.lists(st.binary(max_size=70)),
    st.sampled_from([b"", b"\x05", b"\x81\x05", b"\x81\x80", b"\xa0", encode(bytes(32)), b"\xc0"]),
)
def test_list_of_strings_gets_the_verdict_of_its_items_one_by_one(
    strings: list[bytes], tail: bytes
) -> None:
    """Also where the strings have all the same size, which is read in another way."""
    data = encode_list([*map(encode, strings), tail])
    one_by_one = [bytes] * (len(strings) + (tail != b""))
    whole, each = outcome(data, list[bytes]), outcome(data, tuple[tuple(one_by_one)])  # type: ignore[misc]
    assert whole == (list(each) if isinstance(each, tuple) else each)


def outcome(data: bytes, kind: object) -> object:
    try:
        return decode(data, kind)
    except DecodeError as error:
        return str(error)


def test_strings_of_one_size_are_bounded_in_number_too() -> None:
    item = b"\x82ab"
    assert len(decode(encode_list([item * (MAX_ITEMS - 1)]), list[bytes])) == MAX_ITEMS - 1
    with pytest.raises(DecodeError, match="more than"):
        decode(encode_list([item * MAX_ITEMS]), list[bytes])
