"""Values as text for the page: bounded, escaped, without running code of the program.

Pure. A remote may send a list of a million items or a number of a million digits.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from p2p.netutil import printable

#: Characters of a text, and how many items of a list, fields of a record, bytes and levels.
MAX_TEXT = 250
_ITEMS, _FIELDS, _BYTES, _DEPTH = 3, 6, 40, 3
#: A larger number, which no protocol has, is described by its size.
_MAX_BITS = 256


def text(value: str, limit: int = MAX_TEXT) -> str:
    """Return a text of a remote, escaped and cut to ``limit`` characters and an ellipsis."""
    return printable(value, limit)


def fields_of(value: object) -> list[list[str]]:
    """Return the fields of a message, each as name and text."""
    return [[name, text(_shown(field, _DEPTH))] for name, field in _fields(value)]


def _fields(value: Any) -> list[tuple[str, Any]]:
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    if hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    return [("value", value)]


def _shown(value: object, depth: int) -> str:
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, (bool, float)):
        return str(value)
    if isinstance(value, int):
        bits = value.bit_length()
        return str(int(value)) if bits <= _MAX_BITS else f"a number of {bits} bits"
    if isinstance(value, str):
        return str.__str__(value[: MAX_TEXT + 1])
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _bytes(bytes(value))
    if depth == 0:
        return "…"
    if hasattr(value, "_fields") or is_dataclass(value):
        return _record(value, depth - 1)
    if isinstance(value, (list, tuple)):
        return _list(value, depth - 1)
    return f"a {type(value).__name__}"


def _bytes(value: bytes) -> str:
    if len(value) <= _BYTES:
        return value.hex()
    return f"{value[:_BYTES].hex()}… ({len(value)} bytes)"


def _record(value: object, depth: int) -> str:
    found = _fields(value)
    shown = [f"{name}={_shown(field, depth)}" for name, field in found[:_FIELDS]]
    more = ["…"] if len(found) > _FIELDS else []
    return f"{type(value).__name__}({', '.join([*shown, *more])})"


def _list(value: list[Any] | tuple[Any, ...], depth: int) -> str:
    shown = [_shown(item, depth) for item in value[:_ITEMS]]
    more = ["…"] if len(value) > _ITEMS else []
    count = "1 item" if len(value) == 1 else f"{len(value)} items"
    return f"{count}: {', '.join([*shown, *more])}" if value else "no items"
