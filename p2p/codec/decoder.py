"""RLP decoding, by kind.

The public functions that turn remote bytes into values, or refuse them with one `DecodeError` that
gives the place and the reason and never repeats the remote's bytes. `p2p.codec.kinds` lists the
kinds. A typed decode builds only the values that the kind asks for and stops at the first mismatch;
as in Go, everything that is not canonical is refused.

A list of open length is counted before anything is built from it, so no list can become more than
`MAX_ITEMS` objects. A kind without such a list needs no counting: it bounds the number of items.

Pure; any thread. Ethereum Yellow Paper, appendix B; the layout is drawn in `p2p.codec.scan`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, overload

from p2p.codec.readers import read_first, reader_for, reader_of
from p2p.codec.scan import (
    Data,
    DecodeFailure,
    as_bytes,
    check_count,
    list_span,
    refuse_rest,
    skip_items,
)
from p2p.codec.shapes import Shape
from p2p.codec.strings import Reader

T = TypeVar("T")


@overload
def decode(data: Data, kind: None = None) -> Any: ...
@overload
def decode(data: Data, kind: type[T]) -> T: ...
@overload
def decode(data: Data, kind: object) -> Any: ...
def decode(data: Data, kind: object = None) -> Any:
    """Decode the one item that is exactly ``data``.

    ``kind`` is the type to decode it as, ``help(p2p.rlp)`` lists the kinds; without it the value is
    bytes, or nested lists of bytes. Raises `DecodeError` when the data are not canonical RLP or not
    of that kind, TypeError when ``kind`` is not a kind. Any thread.
    """
    return read_whole(reader_for(kind), data)


def decoder_of(shape: Shape) -> Callable[[Data], Any]:
    """Return :func:`decode` for the kind of a shape. Any thread, the result as well."""
    return partial(read_whole, reader_of(shape))


def read_whole(reader: Reader, data: Data) -> Any:
    """Read the one item that is exactly ``data``. Raises `DecodeError`."""
    if type(data) is not bytes:
        data = as_bytes(data)
    try:
        if not data:
            raise DecodeFailure(0, "no data")
        value, stop = reader(data, 0, len(data))
        if stop != len(data):
            refuse_rest(data, stop)
    except DecodeFailure as failure:
        raise failure.error() from failure.__cause__
    return value


def decode_fields(
    data: Data, kinds: tuple[object, ...], start: int = 0
) -> tuple[tuple[Any, ...], int]:
    """Decode the first items of the list that begins at offset ``start``.

    Returns the values of its first ``len(kinds)`` items and the offset after the list. Further
    items are not decoded, though their headers must fit into the list, and bytes after the list
    are ignored: both are EIP-8's rules for forward compatibility. Raises `DecodeError` when the
    list is shorter, TypeError when one of ``kinds`` is not a kind. Any thread.
    """
    readers = [reader_for(kind) for kind in kinds]
    data = as_bytes(data)
    try:
        if not 0 <= start < len(data):
            raise DecodeFailure(start, "no data")
        pos, stop = list_span(data, start, len(data))
        check_count(data, pos, stop)
        values, pos = read_first(data, pos, stop, readers)
        if len(values) < len(readers):
            raise DecodeFailure(start, f"a list of {len(values)} items, expected {len(readers)}")
        skip_items(data, pos, stop)
    except DecodeFailure as failure:
        raise failure.error() from failure.__cause__
    return tuple(values), stop
