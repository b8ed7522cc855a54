"""The RLP of a message, explained item by item, and its meaning in a known protocol.

Pure. Ethereum Yellow Paper, appendix B; rlpx.md, "Message Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from p2p.arguments import bytes_of, check_int, check_type
from p2p.codec import decode, header_size, raw_items
from p2p.errors import DecodeError
from p2p.explain.explanation import Explanation, Lines, Section, Value
from p2p.messages.declaration import Messages
from p2p.rlpx.snappy import compress, decompress

#: Items that are shown; a message of 16 MiB may have millions.
MAX_ITEMS = 200
#: Bytes of a string that are shown.
_SHOWN = 64


def explain_message(
    payload: bytes,
    protocol: Messages[Any] | None = None,
    code: int = 0,
    compressed: bool = False,
) -> Explanation:
    """Explain the payload of a message: its RLP, and its fields if ``protocol`` is given.

    ``code`` is the code of the message within its protocol. ``compressed`` says that the payload is
    as it was in the frame, with snappy. Raises CompressionError for a payload that snappy cannot
    read, DecodeError for one that is no RLP, InvalidMessageCode for a code that the protocol does
    not have. That the payload is not of its class is part of the explanation. Any thread.
    """
    payload = bytes_of(payload, "payload")
    wanted = "a p2p.messages.Messages, or None"
    check_type("protocol", protocol, (Messages, type(None)), wanted)
    check_int("code", code, 0, 2**32 - 1, "an int from 0 up")
    sections = []
    if compressed:
        block, payload = payload, decompress(payload)
        sections.append(_compression(block, payload))
    decode(payload)  # all of it, before it is shown
    items = list(_items(payload, MAX_ITEMS))
    text = (
        "The first byte of an item tells its kind and length: below 0x80 it is the byte itself, "
        "from 0x80 a string, from 0xc0 a list; from 0xb8 and 0xf8 the length follows."
    )
    sections.append(Section("RLP", text, items))
    if protocol is not None:
        sections.append(_meaning(payload, protocol, code))
    title = "A message" if protocol is None else f"{protocol.name_of(code)}, {protocol.cap}"
    return Explanation(title, sections)


def _compression(block: bytes, payload: bytes) -> Section:
    note = "" if bytes(compress(payload)) == block else "Another sender may compress it otherwise."
    return Section(
        "Compression",
        "After the hellos each payload is a block of snappy, which begins with its size.",
        [Value("block", block, "snappyCompress(msg-data)", note), Value("msg-data", payload)],
    )


def _items(data: bytes, most: int) -> Iterator[Value]:
    """Yield the items of ``data``, lists before their items, as (path, encoded item)."""
    waiting = [("", 0, data)]
    shown = 0
    while waiting:
        path, offset, item = waiting.pop()
        if shown == most:
            yield Value("...", f"{len(waiting) + 1} or more items are not shown")
            return
        shown += 1
        yield _item(path or "message", offset, item)
        if item[0] >= 0xC0:
            at = offset + header_size(item)
            children = []
            for number, child in enumerate(raw_items(item, len(item))):
                children.append((f"{path}[{number}]", at, child))
                at += len(child)
            waiting += reversed(children)


def _item(name: str, offset: int, item: bytes) -> Value:
    head = header_size(item)
    place = f"at byte {offset}"
    if item[0] >= 0xC0:
        count = len(raw_items(item, len(item)))
        what = "empty list" if count == 0 else f"list of {count} items, {len(item) - head} bytes"
        return Value(name, what, f"{item[:head].hex()}, {place}")
    content = item[head:]
    shown = content if len(content) <= _SHOWN else f"{content[:_SHOWN].hex()}…"
    return Value(name, shown, f"{item[:head].hex() or 'the byte itself'}, {place}", _guess(content))


def _guess(content: bytes) -> str:
    """Return what a string may also be; RLP has no types."""
    parts = []
    if not content:
        parts.append("0, or an empty text")
    elif content[0] and len(content) <= 8:
        parts.append(str(int.from_bytes(content, "big")))
    if content.isascii() and len(content) <= _SHOWN and content.decode("ascii").isprintable():
        parts += [repr(content.decode("ascii"))] if content else []
    return f"As a number or a text: {', '.join(parts)}." if parts else ""


def _meaning(payload: bytes, protocol: Messages[Any], code: int) -> Section:
    name = protocol.name_of(code)
    try:
        message = protocol.decode(code, payload)
    except DecodeError as error:
        return Section(name, f"The payload is not of this message: {error}.", [])
    values = (
        [Value(field.name, _shown(getattr(message, field.name))) for field in fields(message)]
        if is_dataclass(message)
        else [Value("value", _shown(message))]
    )
    return Section(name, f"Message {code} of {protocol.cap}.", values)


def _shown(value: object) -> object:
    if isinstance(value, bytes):
        return value
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        lines = [str(_plain(item)) for item in value[:MAX_ITEMS]]
        more = len(value) - MAX_ITEMS
        return Lines([*lines, f"and {more} more"] if more > 0 else lines or ["(none)"])
    return _plain(value)


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


