"""RLP decoding, by kind.

The public functions that turn remote bytes into values, or refuse them with one `DecodeError` that
tells the place and the reason and never repeats the remote's bytes. `p2p.codec.kinds` says what an
item can be decoded as. A typed decode builds nothing but what the kind asks for and stops at the
first misfit; as in Go, everything that is not canonical is refused.

A list whose length the kind leaves open is counted before anything is built of it, so no list can
become more than `MAX_ITEMS` objects. What has no such list needs no counting: the kind says how
many items there can be.

Pure; any thread. Ethereum Yellow Paper, appendix B; the layout is drawn in `p2p.codec.scan`.
"""

from __future__ import annotations

from typing import Any, TypeVar, overload

from p2p.codec.kinds import read_first, reader_for
from p2p.codec.scan import (
    Data,
    Misfit,
    as_bytes,
    check_count,
    list_span,
    refuse_rest,
    skip_items,
)

T = TypeVar("T")


@overload
def decode(data: Data, kind: None = None) -> Any: ...
@overload
def decode(data: Data, kind: type[T]) -> T: ...
@overload
def decode(data: Data, kind: object) -> Any: ...
def decode(data: Data, kind: object = None) -> Any:
    """Decode the one item that is exactly ``data``.

    ``kind`` is what to decode it as, see `p2p.codec.kinds`; without it the value is bytes, or
    nested lists of bytes. Raises `DecodeError` when the data are not canonical RLP or not of that
    kind, TypeError when ``kind`` is not a kind. Any thread.
    """
    reader = reader_for(kind)
    if type(data) is not bytes:
        data = as_bytes(data)
    try:
        if not data:
            raise Misfit(0, "no data")
        value, stop = reader(data, 0, len(data))
        if stop != len(data):
            refuse_rest(data, stop)
    except Misfit as misfit:
        raise misfit.error() from misfit.__cause__
    return value


def decode_fields(
    data: Data, kinds: tuple[object, ...], start: int = 0
) -> tuple[tuple[Any, ...], int]:
    """Decode the first items of the list that begins at offset ``start``.

    Returns the values of its first ``len(kinds)`` items and the offset after the list. Further
    items are not decoded, though their headers must fit into the list, and what follows the list
    is not looked at: both are EIP-8's rules for forward compatibility. Raises `DecodeError` when
    the list is shorter, TypeError when one of ``kinds`` is not a kind. Any thread.
    """
    readers = [reader_for(kind) for kind in kinds]
    data = as_bytes(data)
    try:
        if not 0 <= start < len(data):
            raise Misfit(start, "no data")
        pos, stop = list_span(data, start, len(data))
        check_count(data, pos, stop)
        values, pos = read_first(data, pos, stop, readers)
        if len(values) < len(readers):
            raise Misfit(start, f"a list of {len(values)} items, expected {len(readers)}")
        skip_items(data, pos, stop)
    except Misfit as misfit:
        raise misfit.error() from misfit.__cause__
    return tuple(values), stop
