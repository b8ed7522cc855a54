"""Kinds with the syntax of Python 3.12: `type` aliases and classes with type parameters.

The source is text, since older Pythons cannot read it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from p2p.codec import (
    MAX_DEPTH,
    decode,
    encode,
    encode_list,
    length_of,
    named_in,
    shape_of,
    type_of,
)
from p2p.errors import DecodeError

syntax = pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax of Python 3.12")

SOURCE = """
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple
from p2p.codec import MaxLength

type Hash = Annotated[bytes, 32]
type Uint64 = Annotated[int, MaxLength(8)]
type HashOrNumber = Hash | Uint64
type Deep = HashOrNumber | list[HashOrNumber]
type Short32 = Annotated[Many[str], MaxLength(1)]
type Swap[A, B] = tuple[B, A]
type Many[T] = list[Swap[T, int]]
type Nested = int | list[Nested]
type Rose[T] = tuple[T, list[Rose[T]]]
type Endless = Endless
type Inside = bytes | Inside
type Outside = list[Outside | Hash]
type Short = Annotated[Nested, MaxLength(2)]

@dataclass
class Box[T]:
    value: T
    more: list[T] = field(default_factory=list)

class Pair[T](NamedTuple):
    key: T
    value: HashOrNumber

@dataclass
class Header:
    parent: Hash
    number: Uint64

def local():
    @dataclass
    class Box[T]:
        value: T
    return Box[int]
"""


def load(future: str) -> ModuleType:
    """The source as a module, with its annotations as text or not."""
    name = f"type_statements_{len(future)}"
    module = ModuleType(name)
    sys.modules[name] = module
    exec(future + SOURCE, vars(module))
    return module


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("", id="types", marks=syntax),
        pytest.param("from __future__ import annotations\n", id="text", marks=syntax),
    ],
)
def kinds(request: pytest.FixtureRequest) -> Any:
    module = load(request.param)
    yield module
    del sys.modules[module.__name__]


def test_alias_stands_for_its_type(kinds: Any) -> None:
    assert decode(encode(b"h" * 32), kinds.Hash) == b"h" * 32
    assert decode(encode(7), kinds.HashOrNumber) == 7
    assert decode(encode([b"h" * 32]), list[kinds.HashOrNumber]) == [b"h" * 32]
    with pytest.raises(DecodeError, match="a string of 31 bytes, expected 32"):
        decode(encode(b"h" * 31), kinds.Hash)
    with pytest.raises(DecodeError, match=r"^number .* more than 8 bytes$"):
        decode(encode([b"h" * 32, 2**64]), kinds.Header)


def test_union_of_unions(kinds: Any) -> None:
    assert decode(encode([7, b"h" * 32]), kinds.Deep) == [7, b"h" * 32]
    assert decode(encode(7), kinds.Deep) == 7
    with pytest.raises(DecodeError, match="a string of 9 bytes, expected 0 to 8 or 32"):
        decode(encode(b"h" * 9), kinds.Deep)


def test_length_applies_to_the_type_that_an_alias_stands_for(kinds: Any) -> None:
    with pytest.raises(DecodeError, match="a list of more than 1 items"):
        decode(encode([[1, "a"]] * 2), kinds.Short32)


def test_layout_has_the_names_of_aliases(kinds: Any) -> None:
    layout = [(type_of(shape), length_of(shape)) for shape in named_in(shape_of(kinds.Deep))]
    assert layout == [("Deep", ""), ("HashOrNumber", "")]


def test_generic_alias_has_the_types_it_is_given(kinds: Any) -> None:
    assert decode(encode([1, "a"]), kinds.Swap[str, int]) == (1, "a")
    assert decode(encode([[1, "a"]]), kinds.Many[str]) == [(1, "a")]


def test_alias_may_contain_itself(kinds: Any) -> None:
    assert decode(encode([1, [2, [3]], []]), kinds.Nested) == [1, [2, [3]], []]
    assert decode(encode(["a", [["b", []]]]), kinds.Rose[str]) == ("a", [("b", [])])
    assert decode(encode([[], b"h" * 32]), kinds.Outside) == [[], b"h" * 32]


def test_alias_that_contains_itself_is_bounded_in_depth(kinds: Any) -> None:
    data = b"\x01"
    for _ in range(MAX_DEPTH):
        data = encode_list([data])
    assert encode(decode(data, kinds.Nested)) == data
    with pytest.raises(DecodeError, match="deep"):
        decode(encode_list([data]), kinds.Nested)


def test_class_with_type_parameters(kinds: Any) -> None:
    assert decode(encode([1, [2]]), kinds.Box[int]) == kinds.Box(1, [2])
    assert decode(encode(["k", 5]), kinds.Pair[str]) == kinds.Pair("k", 5)
    assert decode(encode([5]), kinds.local()).value == 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Endless", "^Endless is itself, without a list around it$"),
        ("Inside", "^Inside is itself, without a list around it$"),
        ("Short", "a length is for bytes, str and list"),
        ("Swap", "it is a type parameter"),
    ],
)
def test_alias_that_is_no_kind_is_refused(kinds: Any, name: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        decode(b"\xc0", getattr(kinds, name))


def test_alias_of_typing_extensions_stands_for_its_type() -> None:
    typing_extensions = pytest.importorskip("typing_extensions")
    hashes = typing_extensions.TypeAliasType("hashes", list[bytes])
    assert decode(encode([b"a"]), hashes) == [b"a"]
