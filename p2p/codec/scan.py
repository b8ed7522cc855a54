"""Item headers of RLP, and traversal of items without a type.

Owns the canonical rules (each item has one encoding and any other is refused), the limits on the
input of a remote, and the readers of raw values: bytes, or nested lists of bytes. A reader takes
``(data, pos, end)`` with ``pos < end <= len(data)``, reads the item that begins at ``pos`` and must
not reach beyond ``end``, and returns the value and the offset after it. It raises `DecodeFailure`,
which the public functions turn into `DecodeError`.

Pure; nothing here recurses, so no nesting of remote bytes can exhaust the stack. Ethereum Yellow
Paper, appendix B::

    first byte     item
    0x00 .. 0x7f   the byte itself
    0x80 .. 0xb7   string, length in the head (0 to 55), payload
    0xb8 .. 0xbf   string, 1 to 8 bytes of length (56 or more, big-endian), payload
    0xc0 .. 0xf7   list, length in the head, items
    0xf8 .. 0xff   list, 1 to 8 bytes of length, items
"""

from __future__ import annotations

import re

from p2p.errors import ArgumentTypeError, DecodeError

#: Limit on the nesting of lists, the outermost counted. Keeps recursive operations of a handler on
#: a value (compare, print, copy) far from the recursion limit of the interpreter.
MAX_DEPTH = 64

#: Limit on the items, lists and strings together and at all levels, of a decoded list whose length
#: the kind leaves open. A 16 MiB message of empty lists would become 1.2 GB of objects; this keeps
#: any raw value below 50 MB beyond its own size, and lets 16 MiB of 32-byte hashes (508,400) pass.
MAX_ITEMS = 2**19

_STRING = 0x80
_LONG_STRING = 0xB8
_LIST = 0xC0
_LONG_LIST = 0xF8
_HEAD_ROOM = 55  # the longest payload whose length is part of the head

_ONE_BYTE = tuple(bytes([value]) for value in range(0x80))
_UINT64_BYTES = 8


class DecodeFailure(Exception):
    """Refusal of an item: its ``offset`` in the data, and the reason, ``why``, as text.

    ``path`` is filled from the inside out while the exception passes the readers of lists. The
    exception never leaves this package.
    """

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(why)
        self.offset = offset
        self.why = why
        self.path: list[str] = []

    def error(self) -> DecodeError:
        """Return the exception for the caller: place and reason, none of the remote's bytes."""
        where = "".join(reversed(self.path)).lstrip(".")
        place = f"{where} (byte {self.offset})" if where else f"byte {self.offset}"
        return DecodeError(f"{place}: {self.why}")


def string_span(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Return the start and stop of the payload of the string at ``pos``. Refuses a list."""
    head = data[pos]
    if head < _STRING:
        return pos, pos + 1
    if head < _LONG_STRING:
        start = pos + 1
        stop = start + head - _STRING
        if stop > end:
            raise _too_long(pos, stop - start, end - start)
        if head == _STRING + 1 and data[start] < _STRING:
            raise DecodeFailure(pos, "a byte below 0x80 has a header of its own")
        return start, stop
    if head < _LIST:
        return _long_span(data, pos, end, head - _LONG_STRING + 1)
    raise DecodeFailure(pos, "a list stands where a string is expected")


def list_span(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Return the start and stop of the items of the list at ``pos``. Refuses a string."""
    head = data[pos]
    if head >= _LONG_LIST:
        return _long_span(data, pos, end, head - _LONG_LIST + 1)
    if head < _LIST:
        raise DecodeFailure(pos, "a string stands where a list is expected")
    start = pos + 1
    stop = start + head - _LIST
    if stop > end:
        raise _too_long(pos, stop - start, end - start)
    return start, stop


def item_end(data: bytes, pos: int, end: int) -> int:
    """Return the offset after the item at ``pos``. The items of a list are not checked."""
    span = list_span if data[pos] >= _LIST else string_span
    return span(data, pos, end)[1]


def header_size(item: bytes) -> int:
    """Return the size of the header of a valid item; 0 for a byte that stands for itself."""
    span = list_span if item[0] >= _LIST else string_span
    return span(item, 0, len(item))[0]


#: As many items as possible whose header is one byte, up to a number that bounds the memory of the
#: pattern matcher. An item that is longer, or invalid, ends the match.
_SHORT_ITEMS = re.compile(
    rb"(?:[\x00-\x80\xc0]+|\x81[\x80-\xff]|\xc1."
    + b"".join(
        b"|[\\x%02x\\x%02x].{%d}" % (_STRING + size, _LIST + size, size)
        for size in range(2, _HEAD_ROOM + 1)
    )
    + rb"){0,256}",
    re.DOTALL,
)


def skip_items(data: bytes, pos: int, end: int) -> None:
    """Check the headers of all items from ``pos`` to ``end``, and build nothing.

    Items that the kind does not ask for may be many small ones, sent to cost us time; a pattern
    skips them several times as fast as :func:`item_end`.
    """
    match = _SHORT_ITEMS.match
    while pos < end:
        found = match(data, pos, end)
        stop = pos if found is None else found.end()
        pos = stop if stop > pos else item_end(data, pos, end)


def _long_span(data: bytes, pos: int, end: int, width: int) -> tuple[int, int]:
    """Return the span of an item whose length is in the ``width`` bytes after its head."""
    start = pos + 1 + width
    if start > end:
        raise DecodeFailure(pos, "the data ends inside a length")
    if data[pos + 1] == 0:
        raise DecodeFailure(pos, "a length has a leading zero")
    size = int.from_bytes(data[pos + 1 : start], "big")
    if size <= _HEAD_ROOM:
        raise DecodeFailure(pos, f"the length {size} belongs in the head")
    if size > end - start:
        raise _too_long(pos, size, end - start)
    return start, start + size


def _too_long(pos: int, size: int, left: int) -> DecodeFailure:
    return DecodeFailure(pos, f"an item of {size} bytes where {max(left, 0)} are left")


def read_bytes(data: bytes, pos: int, end: int) -> tuple[bytes, int]:
    """Read a string as bytes."""
    head = data[pos]
    if _STRING + 1 < head < _LONG_STRING:  # the common case, without the call
        start = pos + 1
        stop = start + head - _STRING
        if stop <= end:
            return data[start:stop], stop
    start, stop = string_span(data, pos, end)
    return data[start:stop], stop


def read_bytes_list(data: bytes, pos: int, end: int) -> tuple[list[bytes], int]:
    """Read a list of any number of strings.

    Most such lists are of hashes or keys, which all have the same size; then it is enough to
    compare the heads.
    """
    start = pos
    pos, end = list_span(data, pos, end)
    size = data[pos] - _STRING if pos < end else 0
    if 1 < size <= _HEAD_ROOM:
        heads = data[pos : end : size + 1]
        if len(heads) * (size + 1) == end - pos and heads.count(heads[0]) == len(heads) < MAX_ITEMS:
            return [data[at : at + size] for at in range(pos + 1, end, size + 1)], end
    check_count(data, start, end)
    items: list[bytes] = []
    try:
        while pos < end:
            head = data[pos]
            if head < _STRING:  # the common cases, without the call
                items.append(_ONE_BYTE[head])
                pos += 1
                continue
            start = pos + 1
            stop = start + head - _STRING
            if head >= _LONG_STRING or head == _STRING + 1 or stop > end:
                start, stop = string_span(data, pos, end)
            items.append(data[start:stop])
            pos = stop
    except DecodeFailure as failure:
        failure.path.append(f"[{len(items)}]")
        raise
    return items, end


def read_str(data: bytes, pos: int, end: int) -> tuple[str, int]:
    """Read a string as UTF-8 text."""
    head = data[pos]
    start = pos + 1
    stop = start + head - _STRING
    if stop > end or not _STRING + 1 < head < _LONG_STRING:
        start, stop = string_span(data, pos, end)
    try:
        return data[start:stop].decode(), stop
    except UnicodeDecodeError as err:
        # Without the cause: it contains the remote's bytes.
        raise DecodeFailure(start + err.start, "text is not UTF-8") from None


def read_raw(data: bytes, pos: int, end: int) -> tuple[object, int]:
    """Read any item: bytes, or a list of such items at most `MAX_DEPTH` deep."""
    read = read_raw_list if data[pos] >= _LIST else read_bytes
    return read(data, pos, end)


def read_raw_list(data: bytes, pos: int, end: int) -> tuple[list[object], int]:
    """Read a list and all nested items, at most `MAX_DEPTH` deep.

    The hottest loop of the package, hence the branches for short strings are inlined.
    """
    start = pos
    pos, end = list_span(data, pos, end)
    check_count(data, start, end)
    items: list[object] = []
    outer: list[tuple[list[object], int]] = []  # the lists around `items`, and where each stops
    while True:
        while pos < end:
            head = data[pos]
            if head < _STRING:
                items.append(_ONE_BYTE[head])
                pos += 1
            elif head < _LONG_STRING:
                start = pos + 1
                stop = start + head - _STRING
                if stop > end or head == _STRING + 1:
                    start, stop = string_span(data, pos, end)
                items.append(data[start:stop])
                pos = stop
            elif head < _LIST:
                start, pos = string_span(data, pos, end)
                items.append(data[start:pos])
            elif len(outer) + 1 >= MAX_DEPTH:
                raise _too_deep(pos)
            elif head == _LIST:
                items.append([])
                pos += 1
            else:
                pos, stop = list_span(data, pos, end)
                outer.append((items, end))
                inner: list[object] = []
                items.append(inner)
                items, end = inner, stop
        if not outer:
            return items, end
        items, end = outer.pop()


def check_count(data: bytes, pos: int, end: int, limit: int = MAX_ITEMS) -> None:
    """Refuse data with more than ``limit`` items, before anything is built from it.

    A list counts as one item, and each of its items as one more. Headers are followed, not checked:
    on data that is not canonical the count may be wrong, but the walk ends, and the reader refuses
    the data anyway.
    """
    if end - pos <= limit:
        return  # an item has at least one byte
    size_of = _SIZE_OF_HEAD
    for _ in range(limit):
        size = size_of[data[pos]]
        pos += size or _long_string_size(data, pos)
        if pos >= end:
            return
    raise DecodeFailure(pos, f"more than {limit} items")


def check_nesting(data: bytes, pos: int, end: int, limit: int = MAX_ITEMS) -> None:
    """Refuse an item that has more than ``limit`` items or is nested too deep; build nothing."""
    stop = item_end(data, pos, end)
    check_count(data, pos, stop, limit)
    ends = [stop]  # of the lists around `pos`, and first of the item itself
    while ends:
        end = ends[-1]
        if pos >= end:
            ends.pop()
        elif data[pos] < _LIST:
            pos = string_span(data, pos, end)[1]
        elif len(ends) > MAX_DEPTH:
            raise _too_deep(pos)
        else:
            pos, stop = list_span(data, pos, end)
            ends.append(stop)


def _too_deep(pos: int) -> DecodeFailure:
    return DecodeFailure(pos, f"lists are nested more than {MAX_DEPTH} deep")


#: Bytes from the start of an item to the next item, by its first byte. The items of a list count as
#: next items; 0 for strings with a long length.
_SIZE_OF_HEAD = (
    *([1] * _STRING),
    *range(1, _HEAD_ROOM + 2),
    *([0] * 8),
    *([1] * (_HEAD_ROOM + 1)),
    *range(2, 10),
)


def _long_string_size(data: bytes, pos: int) -> int:
    width = data[pos] - _LONG_STRING + 1
    start = pos + 1 + width
    return 1 + width + int.from_bytes(data[pos + 1 : start], "big")


Data = bytes | bytearray | memoryview


def as_bytes(data: Data) -> bytes:
    """Return ``data`` as bytes. Raises ArgumentTypeError: the caller's mistake."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    raise ArgumentTypeError(f"RLP is decoded from bytes, not from {type(data).__name__}")


def raw_items(data: Data, max_items: int) -> list[bytes]:
    """Split the list that is exactly ``data`` into its items, each still encoded.

    The header of every item is checked; the items of an inner list are not. More than ``max_items``
    items are refused as soon as they are seen, with `DecodeError` like anything else that is not a
    canonical list. Any thread. EIP-778 keeps the values of a record in this form.
    """
    data = as_bytes(data)
    items: list[bytes] = []
    try:
        _refuse_empty(data)
        pos, end = list_span(data, 0, len(data))
        refuse_rest(data, end)
        while pos < end:
            if len(items) >= max_items:
                raise DecodeFailure(pos, f"more than {max_items} items")
            stop = item_end(data, pos, end)
            items.append(data[pos:stop])
            pos = stop
    except DecodeFailure as failure:
        raise failure.error() from None
    return items


def refuse_rest(data: bytes, pos: int) -> None:
    """Refuse data with bytes after its one item."""
    if pos != len(data):
        raise DecodeFailure(pos, f"{len(data) - pos} bytes after the item")


def _refuse_empty(data: bytes) -> None:
    if not data:
        raise DecodeFailure(0, "no data")


_ONE_BYTE_UINTS = (*((value, 1) for value in range(_STRING)), (0, 1))


def split_uint(data: bytes | memoryview) -> tuple[int, int]:
    """Read the canonical integer of at most 64 bits at the beginning of ``data``.

    Returns the integer and the offset after it; the bytes after it are ignored. Raises
    `DecodeError`. Any thread. The data of each frame begin with such an integer, the message code
    (RLPx, "Framing").
    """
    if data and 0 < data[0] <= _STRING:
        return _ONE_BYTE_UINTS[data[0]]
    try:
        return _split_long_uint(data)
    except DecodeFailure as failure:
        raise failure.error() from None


def _split_long_uint(data: bytes | memoryview) -> tuple[int, int]:
    # An integer of 64 bits takes at most the head and eight bytes.
    head = bytes(data[: 1 + _UINT64_BYTES])
    _refuse_empty(head)
    if _STRING + _UINT64_BYTES < head[0] < _LIST:
        raise DecodeFailure(0, "an integer of more than 64 bits")
    return read_uint(head, 0, len(head))


#: Limit on the length of an integer, in bytes. No protocol has a longer one, and beyond 4,300
#: decimal digits (1,786 bytes) Python refuses to print an integer, which no handler expects.
MAX_INT_BYTES = 1024


def read_uint(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Read a canonical integer of at most `MAX_INT_BYTES`."""
    head = data[pos]
    if 0 < head < _STRING:
        return head, pos + 1
    start = pos + 1
    stop = start + head - _STRING
    if stop > end or not _STRING + 1 < head < _LONG_STRING:
        start, stop = string_span(data, pos, end)
        if stop - start > MAX_INT_BYTES:
            raise DecodeFailure(pos, f"an integer of more than {MAX_INT_BYTES} bytes")
    if start < stop and data[start] == 0:
        raise DecodeFailure(pos, "an integer has a leading zero")
    return int.from_bytes(data[start:stop], "big"), stop
