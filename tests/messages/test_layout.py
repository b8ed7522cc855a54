"""The wire layout of a protocol as text."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from enum import Enum, IntEnum
from textwrap import dedent
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import pytest
from rlp.sedes import big_endian_int

import p2p
from p2p import messages
from p2p.messages import Messages, message
from p2p.rlp import MaxLength

T = TypeVar("T")
Hash = Annotated[bytes, 32]
Uint64 = Annotated[int, MaxLength(8)]


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Mood(Enum):
    GOOD = "good"


class Place(NamedTuple):
    line: int
    column: int = 0


@dataclass
class Tree(Generic[T]):
    label: T
    children: list[Tree[T]] = field(default_factory=list)


@message(0, max_size=400)
class Hello:
    name: Annotated[str, MaxLength(64)]
    level: Level
    is_new: bool = False


@message(2)
class Headers:
    request_id: Uint64
    hashes: Annotated[list[Hash], MaxLength(1024)]
    origin: Hash | Uint64
    two: Annotated[list[bytes], 2]
    pairs: list[tuple[Hash, int]]
    tree: Tree[str]
    places: tuple[Place, ...]
    node: p2p.NodeID
    mood: Mood
    word: Literal["a", "b"]
    number: Any = field(metadata={})
    rest: list  # type: ignore[type-arg]
    either: list[bytes | list[int]]


@message(3, bare=True)
class Texts:
    texts: list[str]


@message(16)
class Empty:
    pass


CHAT: Messages[Any] = Messages("chat", 1, [Hello, Headers, Texts, Empty])

EXPECTED = dedent("""\
    chat/1: 17 codes, payloads up to 16777215 bytes

    code  message  field  type  length
    0x00  Hello  name  text  up to 64 bytes
                     level  Level (integer)
                     is_new (optional)  boolean
                     whole payload  up to 400 bytes
    0x02  Headers  request_id  integer  up to 8 bytes
                     hashes  list of bytes  up to 1024 items, each 32 bytes
                     origin  integer or bytes  up to 8 bytes or 32 bytes
                     two  list of bytes  2 items
                     pairs  list of (bytes, integer)  each (32 bytes, any)
                     tree  Tree[str]
                     places  list of Place
                     node  NodeID (bytes)
                     mood  Mood (text)
                     word  Literal['a', 'b'] (text)
                     number  any item
                     rest  list
                     either  list of (bytes or list of integer)
    0x03  Texts  payload  list of text
    0x10  Empty  no fields
          Level  LOW  1
                     HIGH  2
          Tree[str]  label  text
                     children (optional)  list of Tree[str]
          Place  line  integer
                     column (optional)  integer
          Mood  GOOD  'good'
    """)


def cells(text: str) -> list[list[str]]:
    """The words of each line, whatever the widths of the columns."""
    return [line.split() for line in text.splitlines()]


def test_layout_has_codes_messages_fields_types_and_lengths() -> None:
    shown = p2p.describe(CHAT)
    assert cells(shown) == cells(EXPECTED)
    assert p2p.describe(messages.protocol(CHAT)) == shown


def test_columns_are_aligned() -> None:
    heading, *rows = p2p.describe(CHAT).splitlines()[2:]
    column = heading.index("field")
    assert {row[column - 1] for row in rows} == {" "}
    assert all(row[column] != " " for row in rows)
    assert all(row == row.rstrip() for row in rows)


def test_sedes_has_the_name_of_its_class() -> None:
    old = message(0)(make_dataclass("Old", [("number", big_endian_int)]))
    assert "sedes BigEndianInt" in p2p.describe(Messages("old", 1, [old]))


def test_of_an_undeclared_protocol_only_the_codes_are_known() -> None:
    text = "foo/1: 16 codes, of messages that are not declared (see p2p.messages)"
    assert p2p.describe(p2p.Protocol("foo", 1, 16)) == text
    assert p2p.describe(p2p.Protocol("foo", 1, 1)).startswith("foo/1: 1 code, ")


@pytest.mark.parametrize("value", [None, "foo/1", [Hello], Hello], ids=repr)
def test_only_protocols_have_a_layout(value: Any) -> None:
    with pytest.raises(p2p.errors.ArgumentTypeError, match="^protocol: wanted a Protocol, or its"):
        p2p.describe(value)
