"""Readers of strings: their forms, lengths and classes, and the choice among several.

Pure; any thread. `p2p.codec.readers` compiles the shapes of everything else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from p2p.codec.scan import DecodeFailure, read_bytes, read_str, read_uint, string_span
from p2p.codec.shapes import LONGEST, Choice, Form, Make, String

Reader = Callable[[bytes, int, int], tuple[Any, int]]

_LIST = 0xC0
_STRING = 0x80
_MAX_SHORT = 55  # the longest string whose length is part of the head


def read_bool(data: bytes, pos: int, end: int) -> tuple[bool, int]:
    """Read 0x01 or 0x80."""
    head = data[pos]
    if head == 0x01:
        return True, pos + 1
    if head == 0x80:
        return False, pos + 1
    raise DecodeFailure(pos, "a boolean is 0x01 or 0x80")


_PLAIN: dict[Form, Reader] = {
    Form.BYTES: read_bytes,
    Form.TEXT: read_str,
    Form.INTEGER: read_uint,
    Form.BOOLEAN: read_bool,
}


def string_reader(shape: String) -> Reader:
    """Return the reader of a string."""
    reader = _PLAIN[shape.form]
    if shape.least or shape.most != LONGEST[shape.form]:
        if shape.form is Form.BYTES and shape.least == shape.most and shape.least <= _MAX_SHORT:
            reader = _fixed_reader(shape.least)
        elif shape.form is Form.INTEGER and shape.most is not None:
            reader = _uint_reader(shape.most)
        else:
            reader = _sized_reader(reader, shape)
    return reader if shape.make is None else _made_reader(reader, shape.make, shape.name)


def choice_reader(shape: Choice, read_list: Reader | None) -> Reader:
    """Return the reader of an item that is one of several strings, or a list."""
    by_size = [(one.least, _or_largest(one.most), string_reader(one)) for one in shape.strings]
    sizes = " or ".join(_range(one.least, one.most) for one in shape.strings)

    def read_choice(data: bytes, pos: int, end: int) -> tuple[Any, int]:
        if data[pos] >= _LIST and read_list is not None:
            return read_list(data, pos, end)
        start, stop = string_span(data, pos, end)
        for least, most, reader in by_size:
            if least <= stop - start <= most:
                return reader(data, pos, end)
        raise DecodeFailure(pos, f"a string of {stop - start} bytes, expected {sizes}")

    return read_choice


def _fixed_reader(size: int) -> Reader:
    """Return a reader of strings of one short length: hashes, keys, addresses."""
    expected = _STRING + size

    def read_fixed(data: bytes, pos: int, end: int) -> tuple[bytes, int]:
        if size > 1 and data[pos] == expected:
            stop = pos + 1 + size
            if stop <= end:
                return data[pos + 1 : stop], stop
        start, stop = string_span(data, pos, end)
        if stop - start != size:
            raise DecodeFailure(pos, f"a string of {stop - start} bytes, expected {size}")
        return data[start:stop], stop

    return read_fixed


def _sized_reader(reader: Reader, shape: String) -> Reader:
    least, most = shape.least, _or_largest(shape.most)
    expected = _range(shape.least, shape.most)

    def read_sized(data: bytes, pos: int, end: int) -> tuple[Any, int]:
        start, stop = string_span(data, pos, end)
        if not least <= stop - start <= most:
            raise DecodeFailure(pos, f"a string of {stop - start} bytes, expected {expected}")
        return reader(data, pos, end)

    return read_sized


def _uint_reader(most: int) -> Reader:
    largest = 256**most - 1

    def read_bounded(data: bytes, pos: int, end: int) -> tuple[int, int]:
        value, stop = read_uint(data, pos, end)
        if value > largest:
            raise DecodeFailure(pos, f"an integer of more than {most} bytes")
        return value, stop

    return read_bounded


def _made_reader(reader: Reader, make: Make, name: str) -> Reader:
    def read_made(data: bytes, pos: int, end: int) -> tuple[Any, int]:
        value, stop = reader(data, pos, end)
        try:
            return make(value), stop
        except ValueError as err:  # without its text, which may repeat the remote's bytes
            raise DecodeFailure(pos, f"refused by {name}") from err

    return read_made


def _or_largest(most: int | None) -> int:
    return sys.maxsize if most is None else most


def _range(least: int, most: int | None) -> str:
    if least == most:
        return str(least)
    if most is None:
        return f"{least} or more"
    return f"{least} to {most}"
