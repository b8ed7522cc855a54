"""The wire layout of a protocol's messages as text, for people.

Makes tables; `p2p.codec.layout` has the words for types and lengths. Any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from p2p.arguments import wrong_type
from p2p.codec import Named, Record, Shape, String, length_of, named_in, type_of
from p2p.messages.declaration import Entry, Messages
from p2p.messages.handler import MessageProtocol
from p2p.protocol import Protocol

_HEADINGS = ("code", "message", "field", "type", "length")

_Cells = tuple[str, str, str]
_Row = tuple[str, str, str, str, str]


def describe(protocol: Protocol | Messages[Any]) -> str:
    """Return the wire layout of a protocol as text: codes, messages, their fields in order.

    Of a protocol from :func:`p2p.messages.protocol`, or of its messages; of any other protocol
    only the codes are known::

        print(p2p.describe(protocol))

    A message is the RLP list of its fields, or the item ``payload`` itself. Raises
    ArgumentTypeError for another type. Any thread.
    """
    if isinstance(protocol, MessageProtocol):
        protocol = protocol.messages
    if isinstance(protocol, Protocol):
        return f"{_title(protocol)}, of messages that are not declared (see p2p.messages)"
    if not isinstance(protocol, Messages):
        raise wrong_type("protocol", protocol, "a Protocol, or its Messages")
    entries = protocol._entries()
    limits = {entry.max_size for entry in entries}
    rows = [_HEADINGS, *_rows(entries, max(limits))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([f"{_title(protocol)}, payloads up to {max(limits)} bytes", "", *lines])


def _title(protocol: Protocol | Messages[Any]) -> str:
    codes = "1 code" if protocol.length == 1 else f"{protocol.length} codes"
    return f"{protocol.cap}: {codes}"


def _rows(entries: Iterable[Entry[Any]], max_size: int) -> Iterator[_Row]:
    """Yield the rows of the messages, then those of the types in their fields that have a name.

    ``max_size`` is the limit on payloads, beside which a message may have a lower one.
    """
    named: dict[str, Shape] = {}
    for entry in entries:
        items = [entry.shape] if entry.field else _record(entry.shape).items
        named |= {one.name: one for item in items for one in named_in(item)}
        yield from _block(f"0x{entry.code:02x}", entry.name, _message(entry, max_size))
    for name, shape in named.items():
        yield from _block("", name, _named(shape))


def _block(code: str, name: str, fields: list[_Cells]) -> Iterator[_Row]:
    for cells in fields or [("no fields", "", "")]:
        yield code, name, *cells
        code = name = ""


def _message(entry: Entry[Any], max_size: int) -> list[_Cells]:
    fields = [_cells("payload", entry.shape)] if entry.field else _fields(_record(entry.shape))
    if entry.max_size < max_size:
        fields.append(("whole payload", "", f"up to {entry.max_size} bytes"))
    return fields


def _named(shape: Shape) -> list[_Cells]:
    if isinstance(shape, String):
        return [(name, repr(value), "") for name, value in shape.choices.items()]
    return [_cells("", shape.target)] if isinstance(shape, Named) else _fields(_record(shape))


def _fields(record: Record) -> list[_Cells]:
    names = [label.lstrip(".") for label in record.labels]
    optional = [f"{name} (optional)" for name in names[record.required :]]
    names[record.required :] = optional
    return [_cells(name, item) for name, item in zip(names, record.items, strict=True)]


def _cells(field: str, shape: Shape) -> _Cells:
    return field, type_of(shape), length_of(shape)


def _record(shape: Shape) -> Record:
    assert isinstance(shape, Record)
    return shape
