"""RLP as a mutator wants it: read leniently, changed in part, written back with every lie kept.

A tree is a string (``bytes``), a list of trees, or a :class:`Raw`: bytes that stand as they are,
because they are no canonical item. Reading never fails, and writing what was read gives the same
bytes again, so that a wrong length put in by one mutation survives the next one, while the lengths
around it are computed anew. It shares no code with the library's own reader.
"""

from __future__ import annotations

from typing import Union

Tree = Union[bytes, "list[Tree]"]

#: Lists nested deeper than this are kept as they are.
MAX_DEPTH = 24


class Raw(bytes):
    """Bytes that are written as they are."""

    __slots__ = ()


def read(data: bytes, depth: int = 0) -> list[Tree]:
    """The items that ``data`` is a row of; from the first that is not canonical on, one Raw."""
    items: list[Tree] = []
    pos, end = 0, len(data)
    while pos < end:
        span = _span(data, pos, end)
        if span is None:
            items.append(Raw(data[pos:]))
            break
        start, stop = span
        if data[pos] < 0xC0:
            items.append(data[start:stop])
        elif depth < MAX_DEPTH:
            items.append(read(data[start:stop], depth + 1))
        else:
            items.append(Raw(data[pos:stop]))
        pos = stop
    return items


def write(items: list[Tree]) -> bytes:
    """The bytes of a row of trees."""
    return b"".join([encode(item) for item in items])


def encode(item: Tree) -> bytes:
    """The bytes of one tree."""
    if isinstance(item, Raw):
        return bytes(item)
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else header(len(item), 0x80) + item
    payload = write(item)
    return header(len(payload), 0xC0) + payload


def header(size: int, base: int) -> bytes:
    """The header of a string (``base`` 0x80) or a list (0xC0) of ``size`` bytes."""
    if size <= 55:
        return bytes([base + size])
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([base + 55 + len(length)]) + length


def uint(number: int) -> bytes:
    """An integer as the string that it is in RLP."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _span(data: bytes, pos: int, end: int) -> tuple[int, int] | None:
    """Where the payload of the canonical item at ``pos`` begins and ends; None if there is none."""
    head = data[pos]
    if head < 0x80:
        return pos, pos + 1
    size = head - (0xC0 if head >= 0xC0 else 0x80)
    start = pos + 1
    if size > 55:
        start += size - 55
        length = data[pos + 1 : start]
        size = int.from_bytes(length, "big")
        if start > end or length[0] == 0 or size <= 55:
            return None
    elif size == 1 and head == 0x81 and (start >= end or data[start] < 0x80):
        return None
    return (start, start + size) if start + size <= end else None
