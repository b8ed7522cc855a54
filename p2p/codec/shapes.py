"""Shapes: the form on the wire of each kind, as data.

`p2p.codec.kinds` finds the shape of a kind, `p2p.codec.readers` compiles a shape into a reader, and
`p2p.codec.layout` prints it. A shape may contain itself, through a `Record` or a `Named`, so shapes
are compared by identity and passes over them keep track of those that they are inside of.

Pure; any thread. Ethereum Yellow Paper, appendix B: an item is a string or a list.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from p2p.arguments import check_int
from p2p.codec.scan import MAX_INT_BYTES

Make = Callable[[Any], Any]


class Form(Enum):
    """Interpretation of a string."""

    BYTES = "bytes"
    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"


#: Bytes of the longest string of a form; None without limit.
LONGEST = {Form.BYTES: None, Form.TEXT: None, Form.INTEGER: MAX_INT_BYTES, Form.BOOLEAN: 1}


@dataclass(frozen=True, slots=True)
class MaxLength:
    """A limit in ``Annotated``: bytes of a string or of an integer, items of a list.

    ``Annotated[str, MaxLength(64)]`` is a text of at most 64 bytes in UTF-8, ``Annotated[int,
    MaxLength(8)]`` an integer below 2**64, ``Annotated[list[bytes], MaxLength(1024)]`` a list of
    at most 1,024 items. Applies to decoding, and to messages that are sent. Raises ArgumentError
    for anything but a number from 0 up.
    """

    length: int

    def __post_init__(self) -> None:
        check_int("length", self.length, 0, sys.maxsize, "a number of bytes or items, from 0 up")


@dataclass(eq=False, slots=True)
class Raw:
    """Any item or, with ``only_lists``, any list, as bytes and nested lists of bytes."""

    only_lists: bool = False
    as_tuple: bool = False


@dataclass(eq=False, slots=True)
class String:
    """A string of ``least`` to ``most`` bytes, None without limit.

    ``make`` turns its plain value into that of the class ``name``, and refuses it by a ValueError.
    ``choices`` are the values of an enum, by their names.
    """

    form: Form
    least: int = 0
    most: int | None = None
    make: Make | None = None
    name: str = ""
    choices: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.most is None:
            self.most = LONGEST[self.form]

    @property
    def is_plain_bytes(self) -> bool:
        """Whether the value is the bytes of the string itself."""
        return self.form is Form.BYTES and self.make is None


@dataclass(eq=False, slots=True)
class ListOf:
    """A list of ``least`` to ``most`` items of one shape; None: as many as may be."""

    item: Shape
    as_tuple: bool = False
    least: int = 0
    most: int | None = None


@dataclass(eq=False, slots=True)
class Record:
    """A list of exactly these items, those after ``required`` optional.

    ``name`` is that of a class, and empty for a tuple, whose items have no names. ``make`` turns
    the list of the values of the items into the value.
    """

    name: str
    make: Make
    labels: list[str] = field(default_factory=list)
    items: list[Shape] = field(default_factory=list)
    required: int = 0


@dataclass(eq=False, slots=True)
class Choice:
    """An item that is one of ``strings``, which differ in their lengths, or ``a_list``."""

    strings: list[String]
    a_list: Shape | None = None


@dataclass(eq=False, slots=True)
class Named:
    """An alias of a type that contains itself, which only a name can express."""

    name: str
    target: Shape = field(default_factory=Raw)


@dataclass(eq=False, slots=True)
class Custom:
    """An item for a sedes of the ``rlp`` package."""

    sedes: Any


Shape = Raw | String | ListOf | Record | Choice | Named | Custom

