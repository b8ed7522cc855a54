"""Readers, compiled from shapes.

A shape is compiled once into a reader (see `p2p.codec.scan`), and the reader of a kind is cached.
A reader reads only the items that its kind asks for and stops at the first mismatch. Items are
counted before any is built only if the kind leaves their number open. If a kind contains itself, so
that the remote chooses the depth, depth and count are checked before its outermost item is read.

Pure; any thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from p2p.codec.kinds import shape_of
from p2p.codec.scan import (
    MAX_ITEMS,
    DecodeFailure,
    check_count,
    check_nesting,
    list_span,
    read_bytes_list,
    read_raw,
    read_raw_list,
)
from p2p.codec.sedes import MAX_SEDES_ITEMS, SedesReader
from p2p.codec.shapes import (
    Choice,
    Custom,
    ListOf,
    Make,
    Named,
    Record,
    Shape,
    String,
)
from p2p.codec.strings import Reader, choice_reader, string_reader

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
        return reader_of(shape_of(kind))
    if reader is None:
        reader = reader_of(shape_of(kind))
        if len(_readers) >= _MAX_KINDS:
            _readers.clear()
        _readers[kind] = reader
    return reader


def reader_of(shape: Shape) -> Reader:
    """Compile a shape. The result is not cached."""
    return _Compiler().compile(shape)


def read_first(
    data: bytes, pos: int, end: int, readers: Sequence[Reader]
) -> tuple[list[Any], int]:
    """Read an item with each reader, fewer where the items end before the readers.

    Returns the values and the offset after the last.
    """
    values: list[Any] = []
    try:
        for reader in readers:
            if pos >= end:
                break
            value, pos = reader(data, pos, end)
            values.append(value)
    except DecodeFailure as failure:
        failure.path.append(f"[{len(values)}]")
        raise
    return values, pos


def _read_raw_tuple(data: bytes, pos: int, end: int) -> tuple[tuple[object, ...], int]:
    items, stop = read_raw_list(data, pos, end)
    return tuple(items), stop


def _list_reader(read_item: Reader, shape: ListOf, limit: int) -> Reader:
    least, most = shape.least, shape.most if shape.most is not None else sys.maxsize

    def read_list(data: bytes, pos: int, end: int) -> tuple[list[Any], int]:
        start = pos
        pos, stop = list_span(data, pos, end)
        check_count(data, start, stop, limit)
        values: list[Any] = []
        try:
            while pos < stop:
                value, pos = read_item(data, pos, stop)
                values.append(value)
                if len(values) > most:
                    break
        except DecodeFailure as failure:
            failure.path.append(f"[{len(values)}]")
            raise
        if len(values) > most:
            raise DecodeFailure(start, f"a list of more than {most} items")
        if len(values) < least:
            raise DecodeFailure(start, f"a list of {len(values)} items, expected {least}")
        return values, stop

    return read_list


def _bytes_list_reader(item: String, shape: ListOf, read_list: Reader) -> Reader:
    """Return a faster reader of byte strings; sizes and counts are checked all at once."""
    if (item.least, item.most, shape.least, shape.most) == (0, None, 0, None):
        return read_bytes_list
    least, most = shape.least, shape.most if shape.most is not None else sys.maxsize
    shortest, longest = item.least, item.most if item.most is not None else sys.maxsize

    def read_sized(data: bytes, pos: int, end: int) -> tuple[list[Any], int]:
        values, stop = read_bytes_list(data, pos, end)
        sizes = set(map(len, values))
        if least <= len(values) <= most:
            if not sizes or (shortest <= min(sizes) and max(sizes) <= longest):
                return values, stop
        return read_list(data, pos, end)  # for the error, which names the item

    return read_sized


def _tuple_reader(read_list: Reader) -> Reader:
    def read_tuple(data: bytes, pos: int, end: int) -> tuple[tuple[Any, ...], int]:
        values, stop = read_list(data, pos, end)
        return tuple(values), stop

    return read_tuple


def _record_reader(
    readers: Sequence[Reader], required: int, labels: list[str], make: Make, name: str
) -> Reader:
    """Return a reader of a list with an item for each of ``readers``, the last ones optional.

    At least ``required`` items must be there. An item after that of the last reader is not read:
    its presence is a mismatch already.
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
            failure.path.append(labels[len(values)])
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
    """Compiler of one shape. Keeps the outer shapes, since items may be of these again."""

    def __init__(self) -> None:
        self._open: dict[int, _Backward] = {}  # by the id of the shape
        # Inside a shape that contains itself: depth and count are checked once, outside.
        self._checked = False
        self._has_sedes = False

    def compile(self, shape: Shape) -> Reader:
        """Return the reader of ``shape``."""
        if isinstance(shape, String):
            return string_reader(shape)
        if isinstance(shape, (Record, Named)):
            return self._compile_open(shape)
        if isinstance(shape, ListOf):
            return self._compile_list(shape)
        if isinstance(shape, Choice):
            read_list = None if shape.a_list is None else self.compile(shape.a_list)
            return choice_reader(shape, read_list)
        if isinstance(shape, Custom):
            self._has_sedes = True
            return SedesReader(shape.sedes)
        if not shape.only_lists:
            return read_raw
        return _read_raw_tuple if shape.as_tuple else read_raw_list

    def _compile_list(self, shape: ListOf) -> Reader:
        read_item, limit = self._compile_bounded(self.compile, shape.item)
        read_list = _list_reader(read_item, shape, sys.maxsize if self._checked else limit)
        if isinstance(shape.item, String) and shape.item.is_plain_bytes:
            read_list = _bytes_list_reader(shape.item, shape, read_list)
        return _tuple_reader(read_list) if shape.as_tuple else read_list

    def _compile_bounded(
        self, compile_: Callable[[Any], Reader], shape: Shape
    ) -> tuple[Reader, int]:
        """Return a reader, and the limit on the number of items that it may read."""
        outside, self._has_sedes = self._has_sedes, False
        reader = compile_(shape)
        limit = MAX_SEDES_ITEMS if self._has_sedes else MAX_ITEMS
        self._has_sedes |= outside
        return reader, limit

    def _compile_open(self, shape: Record | Named) -> Reader:
        """Return the reader of a shape that may contain itself."""
        if id(shape) in self._open:
            return self._refer_back(shape)
        self._open[id(shape)] = backward = _Backward()
        backward.reader = self._compile_inside(shape)
        del self._open[id(shape)]
        if self._checked or not backward.is_outermost:
            return backward.reader
        self._checked = True
        try:
            return _nesting_checked(*self._compile_bounded(self._compile_open, shape))
        finally:
            self._checked = False

    def _compile_inside(self, shape: Record | Named) -> Reader:
        if isinstance(shape, Named):
            return self.compile(shape.target)
        readers = [self.compile(item) for item in shape.items]
        return _record_reader(readers, shape.required, shape.labels, shape.make, shape.name)

    def _refer_back(self, shape: Record | Named) -> Reader:
        """Return the reader of a shape that contains itself through those opened after it."""
        opened = list(self._open)
        for inner in opened[opened.index(id(shape)) + 1 :]:
            self._open[inner].is_inner = True
        self._open[id(shape)].is_used = True
        return self._open[id(shape)]


class _Backward:
    """Placeholder for the reader of a shape whose compilation is not finished."""

    reader: Reader
    is_used = False
    is_inner = False  # an enclosing shape contains itself through this one

    @property
    def is_outermost(self) -> bool:
        """Whether the shape contains itself and no enclosing one does so through it."""
        return self.is_used and not self.is_inner

    def __call__(self, data: bytes, pos: int, end: int) -> tuple[Any, int]:
        return self.reader(data, pos, end)


def _nesting_checked(reader: Reader, limit: int) -> Reader:
    """Return ``reader`` with a check of depth and count in front.

    For a shape that contains itself, so that the remote chooses its depth.
    """

    def read_checked(data: bytes, pos: int, end: int) -> tuple[Any, int]:
        check_nesting(data, pos, end, limit)
        return reader(data, pos, end)

    return read_checked
