"""Kinds, the types that an item can be decoded as, and the readers compiled from them.

A kind is one of

=========================  =====================================================================
None, object, Any          the raw value: bytes, or nested lists of bytes
bytes, str, int, bool      a string; strict UTF-8; canonical integer; 0x01 or 0x80
list, list[T]              any list; a list of any length whose items are all T
tuple, tuple[T, ...]       the same, as tuples
tuple[A, B], tuple[()]     a list of exactly these items
a dataclass                a list of its fields; those with defaults may be missing at the end
X | None                   only for a dataclass field with a default: X when it is there
a sedes, a Serializable    from the ``rlp`` package, see `p2p.codec.sedes`
=========================  =====================================================================

A kind is compiled once into a reader (see `p2p.codec.scan`) and cached. A reader reads only the
items that its kind asks for and stops at the first mismatch. Items are counted before any is built
only if the kind leaves their number open. If a kind contains itself, so that the remote chooses the
depth, depth and count are checked before its outermost item is read.

Pure; any thread.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

from p2p.codec.fields import Field, count_required, has_default, wire_fields
from p2p.codec.scan import (
    MAX_ITEMS,
    DecodeFailure,
    check_count,
    check_nesting,
    list_span,
    read_bytes,
    read_bytes_list,
    read_raw,
    read_raw_list,
    read_str,
    read_uint,
)
from p2p.codec.sedes import MAX_SEDES_ITEMS, SedesReader, is_sedes
from p2p.errors import ArgumentTypeError

Reader = Callable[[bytes, int, int], tuple[Any, int]]

#: Kinds whose reader is cached; a program has a few dozen, unless it makes them at run time.
_MAX_KINDS = 1024

# Any thread may read and write this: each access is atomic, and a kind that two threads compile at
# the same time is only compiled twice.
_readers: dict[object, Reader] = {}


def reader_for(kind: object) -> Reader:
    """Return the reader of ``kind``. Raises TypeError when it is not a kind."""
    try:
        reader = _readers.get(kind)
    except TypeError:  # not hashable, as a List of the rlp package is
        return _Compiler().compile(kind)
    if reader is None:
        reader = _Compiler().compile(kind)
        if len(_readers) >= _MAX_KINDS:
            _readers.clear()
        _readers[kind] = reader
    return reader


def read_bool(data: bytes, pos: int, end: int) -> tuple[bool, int]:
    """Read 0x01 or 0x80."""
    head = data[pos]
    if head == 0x01:
        return True, pos + 1
    if head == 0x80:
        return False, pos + 1
    raise DecodeFailure(pos, "a boolean is 0x01 or 0x80")


def _read_raw_tuple(data: bytes, pos: int, end: int) -> tuple[tuple[object, ...], int]:
    items, stop = read_raw_list(data, pos, end)
    return tuple(items), stop


# Pairs, not a dict: a kind need not be hashable.
_SIMPLE: tuple[tuple[object, Reader], ...] = (
    (None, read_raw),
    (object, read_raw),
    (Any, read_raw),
    (bytes, read_bytes),
    (str, read_str),
    (int, read_uint),
    (bool, read_bool),
    (list, read_raw_list),
    (typing.List, read_raw_list),  # noqa: UP006
    (tuple, _read_raw_tuple),
    (typing.Tuple, _read_raw_tuple),  # noqa: UP006
)


def _label_index(index: int) -> str:
    return f"[{index}]"


def read_first(
    data: bytes,
    pos: int,
    end: int,
    readers: Sequence[Reader],
    label: Callable[[int], str] = _label_index,
) -> tuple[list[Any], int]:
    """Read an item with each reader, fewer where the items end before the readers.

    Returns the values and the offset after the last. ``label`` names an item in errors.
    """
    values: list[Any] = []
    try:
        for reader in readers:
            if pos >= end:
                break
            value, pos = reader(data, pos, end)
            values.append(value)
    except DecodeFailure as failure:
        failure.path.append(label(len(values)))
        raise
    return values, pos


def _list_reader(read_item: Reader, limit: int) -> Reader:
    if read_item is read_bytes:
        return read_bytes_list

    def read_list(data: bytes, pos: int, end: int) -> tuple[list[Any], int]:
        start = pos
        pos, stop = list_span(data, pos, end)
        check_count(data, start, stop, limit)
        values: list[Any] = []
        try:
            while pos < stop:
                value, pos = read_item(data, pos, stop)
                values.append(value)
        except DecodeFailure as failure:
            failure.path.append(f"[{len(values)}]")
            raise
        return values, stop

    return read_list


def _open_tuple_reader(read_item: Reader, limit: int) -> Reader:
    read_list = _list_reader(read_item, limit)

    def read_tuple(data: bytes, pos: int, end: int) -> tuple[tuple[Any, ...], int]:
        values, stop = read_list(data, pos, end)
        return tuple(values), stop

    return read_tuple


def fields_reader(
    readers: Sequence[Reader],
    required: int,
    label: Callable[[int], str],
    make: Callable[[list[Any]], Any],
    name: str = "",
) -> Reader:
    """Return a reader of a list with an item for each of ``readers``, the last ones optional.

    At least ``required`` items must be there. The value is the result of ``make``, called with the
    list of the items' values; if it raises ValueError, the list is refused in the name of ``name``.
    ``label`` names an item in errors. An item after that of the last reader is not read: its
    presence is a mismatch already.
    """
    readers = tuple(readers)

    def read_fields(data: bytes, start: int, end: int) -> tuple[Any, int]:
        pos, stop = list_span(data, start, end)
        values: list[Any] = []
        # read_first, inlined: the call takes 3 to 6 % more time for a few fields.
        try:
            for reader in readers:
                if pos >= stop:
                    break
                value, pos = reader(data, pos, stop)
                values.append(value)
        except DecodeFailure as failure:
            failure.path.append(label(len(values)))
            raise
        if len(values) < required:
            raise DecodeFailure(start, f"a list of {len(values)} items, expected {required}")
        if pos < stop:
            raise DecodeFailure(pos, f"a list of more than {len(readers)} items")
        try:
            return make(values), stop
        except ValueError as err:
            # The class checks its values itself. The text of its error may repeat the remote's
            # bytes.
            raise DecodeFailure(start, f"refused by {name}") from err

    return read_fields


class _Compiler:
    """Compiles one kind. Keeps the dataclasses it is inside of, since fields may refer to them."""

    def __init__(self) -> None:
        self._open: dict[type, _Backward] = {}
        # Inside a dataclass that contains itself: depth and count are checked once, outside.
        self._checked = False
        self._has_sedes = False

    def compile(self, kind: object) -> Reader:
        """Return the reader of ``kind``. Raises TypeError when it is not a kind."""
        for simple, reader in _SIMPLE:
            if kind is simple:
                return reader
        if is_sedes(kind):
            self._has_sedes = True
            return SedesReader(kind)
        if isinstance(kind, typing.NewType):
            return self.compile(kind.__supertype__)
        origin = typing.get_origin(kind)
        if origin is list or origin is tuple:
            return self._compile_sequence(origin, typing.get_args(kind))
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            return self._compile_dataclass(kind)
        raise ArgumentTypeError(f"{_name(kind)} is not a kind that RLP can be decoded as")

    def _compile_sequence(self, origin: object, args: tuple[Any, ...]) -> Reader:
        if origin is list:
            return _list_reader(*self._compile_open(args[0]))
        if len(args) == 2 and args[1] is Ellipsis:
            return _open_tuple_reader(*self._compile_open(args[0]))
        if args == ((),):  # how Python 3.10 spells the arguments of typing.Tuple[()]
            args = ()
        readers = [self.compile(arg) for arg in args]
        return fields_reader(readers, len(readers), _label_index, tuple)

    def _compile_open(self, kind: object) -> tuple[Reader, int]:
        """Return the reader of a list's items, and the limit on their number."""
        reader, limit = self._compile_bounded(self.compile, kind)
        return reader, sys.maxsize if self._checked else limit

    def _compile_bounded(
        self, compile_: Callable[[Any], Reader], kind: Any
    ) -> tuple[Reader, int]:
        """Return a reader, and the limit on the number of items that it may read."""
        outside, self._has_sedes = self._has_sedes, False
        reader = compile_(kind)
        limit = MAX_SEDES_ITEMS if self._has_sedes else MAX_ITEMS
        self._has_sedes |= outside
        return reader, limit

    def _compile_dataclass(self, kind: type[Any]) -> Reader:
        if kind in self._open:
            return self._refer_back(kind)
        self._open[kind] = backward = _Backward()
        backward.reader = self._dataclass_reader(kind)
        del self._open[kind]
        if self._checked or not backward.is_outermost:
            return backward.reader
        self._checked = True
        try:
            return _nesting_checked(*self._compile_bounded(self._compile_dataclass, kind))
        finally:
            self._checked = False

    def _refer_back(self, kind: type[Any]) -> Reader:
        """Return the reader of a dataclass that contains itself through those opened after it."""
        opened = list(self._open)
        for inner in opened[opened.index(kind) + 1 :]:
            self._open[inner].is_inner = True
        self._open[kind].is_used = True
        return self._open[kind]

    def _dataclass_reader(self, kind: type[Any]) -> Reader:
        fields = wire_fields(kind)
        hints = _hints(kind)
        names = [field.name for field in fields]
        readers = [self._compile_field(kind, field, hints[field.name]) for field in fields]
        construct = _by_name(kind, fields) if any(f.kw_only for f in fields) else _by_place(kind)
        return fields_reader(
            readers,
            count_required(fields),
            lambda index: f".{names[index]}",
            construct,
            kind.__name__,
        )

    def _compile_field(self, kind: type, field: Field, hint: object) -> Reader:
        try:
            return self.compile(_without_none(hint) if has_default(field) else hint)
        except TypeError as err:
            raise ArgumentTypeError(f"{kind.__name__}.{field.name}: {err}") from None


def _by_place(kind: type[Any]) -> Callable[[Sequence[Any]], Any]:
    def construct(values: Sequence[Any]) -> Any:
        return kind(*values)

    return construct


def _by_name(kind: type[Any], fields: Sequence[Field]) -> Callable[[Sequence[Any]], Any]:
    names = [field.name for field in fields]

    def construct(values: Sequence[Any]) -> Any:
        return kind(**dict(zip(names, values, strict=False)))  # values may end early

    return construct


class _Backward:
    """Placeholder for the reader of a dataclass whose compilation is not finished."""

    reader: Reader
    is_used = False
    is_inner = False  # an enclosing dataclass contains itself through this one

    @property
    def is_outermost(self) -> bool:
        """Whether the dataclass contains itself and no enclosing one does so through it."""
        return self.is_used and not self.is_inner

    def __call__(self, data: bytes, pos: int, end: int) -> tuple[Any, int]:
        return self.reader(data, pos, end)


def _nesting_checked(reader: Reader, limit: int) -> Reader:
    """Return ``reader`` with a check of depth and count in front.

    For a kind that contains itself, so that the remote chooses its depth.
    """

    def read_checked(data: bytes, pos: int, end: int) -> tuple[Any, int]:
        check_nesting(data, pos, end, limit)
        return reader(data, pos, end)

    return read_checked


def only_field(kind: type) -> tuple[str, object]:
    """Return the name and the kind of the only field of a dataclass. Raises ArgumentTypeError."""
    names = [field.name for field in wire_fields(kind)] if dataclasses.is_dataclass(kind) else []
    if len(names) != 1:
        text = "is bare, so it must have one field: that is the payload"
        raise ArgumentTypeError(f"{kind.__name__} {text}")
    return names[0], _hints(kind)[names[0]]


def _hints(kind: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind)
    except NameError as err:
        raise ArgumentTypeError(f"the types of {kind.__name__} cannot be resolved: {err}") from err


def _without_none(hint: object) -> object:
    """Return X for ``X | None``, any other hint unchanged."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    members = [member for member in typing.get_args(hint) if member is not type(None)]
    return members[0] if len(members) == 1 else hint


def _name(kind: object) -> str:
    return kind.__name__ if type(kind) is type else repr(kind)[:100]
