"""RLP encoding of Python values.

Types with an encoding: bytes, bytearray and memoryview; str as UTF-8; bool as 0x01 or 0x80; int
from zero up; an Enum as its value; list and tuple; an instance of a dataclass or of a NamedTuple,
as the list of its fields in order; an instance of ``rlp.Serializable`` or of another class that has
``serialize`` and ``deserialize``. Subclasses are encoded as their base type. Everything else is an
`EncodeError` that names the type and the place.

Pure; any thread. Nesting is bounded, so neither deep lists nor a list that contains itself can
exhaust the stack. The size of a list is bounded too, since a few lists that contain each other many
times can expand to more bytes than any memory has. The encoder of a type is found once and cached.
Ethereum Yellow Paper, appendix B; the layout is drawn in `p2p.codec.scan`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any

from p2p.codec import sedes
from p2p.codec.enums import plain
from p2p.codec.fields import count_required, has_fields, wire_fields
from p2p.codec.scan import MAX_DEPTH
from p2p.errors import EncodeError

#: Encodes a value; the second argument is the number of list levels that may still be nested.
_Encoder = Callable[[Any, int], bytes]

#: Largest payload of a list that `encode` makes, in bytes. No message is a quarter as long (RLPx,
#: "Framing"). It does not apply to a string outside of a list, nor to `encode_list`: those are as
#: long as the data that the caller holds already.
MAX_LIST_SIZE = 2**26

#: Types whose encoder is cached; a program has a few dozen, unless it makes them at run time.
_MAX_TYPES = 1024

_STRING = 0x80
_LIST = 0xC0
_SENDABLE = "send str, bytes, bool, int from 0 up, an Enum, list, tuple or a dataclass"
_HEAD_ROOM = 55  # the longest payload whose length is part of the head
_TOO_LONG = f"makes a list of more than {MAX_LIST_SIZE} bytes"
_HEADS = tuple(bytes([value]) for value in range(256))
_STRING_HEADS = _HEADS[_STRING:]


class _NoEncoding(Exception):
    """Refusal of a value, with the reason; ``path`` is filled from the inside out."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.path: list[str] = []

    def error(self) -> EncodeError:
        where = "".join(reversed(self.path)).lstrip(".")
        return EncodeError(f"{where}: {self}" if where else str(self))


def encode(value: object) -> bytes:
    """Return the RLP encoding of ``value``; ``help(p2p.rlp)`` lists the types that have one.

    In a dataclass, trailing fields that have a default and are None are left out. Raises
    `EncodeError` for anything without an encoding. Any thread.
    """
    try:
        return _encoder_for(type(value))(value, MAX_DEPTH)
    except _NoEncoding as refusal:
        raise refusal.error() from refusal.__cause__


def encode_list(encoded_items: Iterable[bytes]) -> bytes:
    """Return the list of items that are encoded already; they are not checked. Any thread."""
    return _wrap(b"".join(encoded_items))


def encode_uint(n: int) -> bytes:
    """Return the encoding of an integer from zero up. Raises `EncodeError` below. Any thread."""
    try:
        return _encode_int(n, 0)
    except _NoEncoding as refusal:
        raise refusal.error() from None


def _header(size: int, base: int) -> bytes:
    if size <= _HEAD_ROOM:
        return _HEADS[base + size]
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return _HEADS[base + _HEAD_ROOM + len(length)] + length


def _wrap(payload: bytes) -> bytes:
    return _header(len(payload), _LIST) + payload


def _encode_bytes(value: bytes, depth_left: int) -> bytes:
    size = len(value)
    if size == 1 and value[0] < _STRING:
        return value
    if size <= _HEAD_ROOM:
        return _HEADS[_STRING + size] + value
    return _header(size, _STRING) + value


def _encode_buffer(value: bytes | bytearray | memoryview, depth_left: int) -> bytes:
    return _encode_bytes(bytes(value), depth_left)


def _encode_str(value: str, depth_left: int) -> bytes:
    try:
        return _encode_bytes(value.encode(), depth_left)
    except UnicodeEncodeError as err:
        raise _NoEncoding("a str with lone surrogates has no UTF-8 encoding") from err


def _encode_int(value: int, depth_left: int) -> bytes:
    if 0 < value < _STRING:
        return _HEADS[value]
    if value < 0:
        raise _NoEncoding("an int below zero has no RLP encoding")
    size = (value.bit_length() + 7) // 8
    return _header(size, _STRING) + value.to_bytes(size, "big")


def _encode_bool(value: bool, depth_left: int) -> bytes:
    return b"\x01" if value else b"\x80"


def _refuse_depth(depth_left: int) -> None:
    if depth_left <= 0:
        raise _NoEncoding(f"lists are nested more than {MAX_DEPTH} deep")


def _label_index(index: int) -> str:
    return f"[{index}]"


def _encode_items(
    items: Sequence[Any], depth_left: int, label: Callable[[int], str] = _label_index
) -> bytes:
    _refuse_depth(depth_left)
    depth_left -= 1
    parts: list[bytes] = []
    size = 0  # of the items that may be large; the others are counted at the end
    try:
        for item in items:
            kind = type(item)
            if kind is bytes and 1 < len(item) <= _HEAD_ROOM:  # the most frequent: hashes, keys
                parts.append(_STRING_HEADS[len(item)] + item)
                continue
            part = (_BUILTIN.get(kind) or _encoder_for(kind))(item, depth_left)
            size += len(part)
            if size > MAX_LIST_SIZE:  # before more of them are encoded
                raise _NoEncoding(_TOO_LONG)
            parts.append(part)
    except _NoEncoding as refusal:
        refusal.path.append(label(len(parts)))
        raise
    payload = b"".join(parts)
    if len(payload) > MAX_LIST_SIZE:
        raise _NoEncoding(_TOO_LONG)
    return _wrap(payload)


def _encode_enum(value: Enum, depth_left: int) -> bytes:
    content = plain(value)
    return _encoder_for(type(content))(content, depth_left)


def _fields_encoder(kind: type[Any]) -> _Encoder:
    fields = wire_fields(kind)
    names = [field.name for field in fields]
    required = count_required(fields)

    def label(index: int) -> str:
        return f".{names[index]}"

    def encode_fields(value: object, depth_left: int) -> bytes:
        values = [getattr(value, name) for name in names]
        while len(values) > required and values[-1] is None:
            values.pop()
        return _encode_items(values, depth_left, label)

    return encode_fields


def _encode_serializable(value: Any, depth_left: int) -> bytes:
    _refuse_depth(depth_left)  # serialize may return a value of the same type
    try:
        raw = sedes.serialize(value)
    except ValueError as err:
        raise _NoEncoding(f"{type(value).__name__}: {err}") from err
    return _encoder_for(type(raw))(raw, depth_left - 1)


_BUILTIN: dict[type, _Encoder] = {
    bytes: _encode_bytes,
    str: _encode_str,
    int: _encode_int,
    bool: _encode_bool,
    list: _encode_items,
    tuple: _encode_items,
    bytearray: _encode_buffer,
    memoryview: _encode_buffer,
}

# Any thread may read and write this: each access is atomic, and two threads that meet the same new
# type only do the work twice.
_learned: dict[type, _Encoder] = {}


def _encoder_for(kind: type) -> _Encoder:
    encoder = _BUILTIN.get(kind) or _learned.get(kind)
    if encoder is None:
        encoder = _find_encoder(kind)
        if len(_learned) >= _MAX_TYPES:
            _learned.clear()
        _learned[kind] = encoder
    return encoder


def _find_encoder(kind: type) -> _Encoder:
    if sedes.is_sedes(kind):
        return _encode_serializable
    if issubclass(kind, Enum):
        return _encode_enum
    if has_fields(kind):
        return _fields_encoder(kind)
    if issubclass(kind, bytes):
        return _encode_buffer
    for base, encoder in _BUILTIN.items():
        if issubclass(kind, base):
            return encoder
    name = "None" if kind is type(None) else kind.__name__
    raise _NoEncoding(f"{name} has no RLP encoding; {_SENDABLE}")
