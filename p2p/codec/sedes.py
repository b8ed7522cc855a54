"""The bridge to the ``rlp`` package: its sedes objects and its Serializable classes.

Only this module uses that package, and it never gives it encoded bytes. Remote bytes are read by
`p2p.codec.scan`, which bounds depth and count, and the sedes gets the raw value: bytes, or nested
lists of bytes. `p2p.codec.encoder` encodes the values that a sedes returns. The package is imported
when the first sedes is used, because its import takes as long as that of everything else together.

Each sedes decides how strict it is: ``rlp.sedes.big_endian_int`` takes an empty list for 0.

Pure; any thread, if the sedes allows it.
"""

from __future__ import annotations

from typing import Any

from p2p.codec.scan import DecodeFailure, check_count, item_end, read_raw

#: Limit on the items of a value that is given to a sedes, which takes about 2 µs for each.
MAX_SEDES_ITEMS = 2**17


def is_sedes(kind: object) -> bool:
    """Whether ``kind`` converts in both directions, as a sedes or a Serializable class does."""
    return hasattr(kind, "serialize") and hasattr(kind, "deserialize")


def serialize(value: Any) -> object:
    """Let the class of ``value`` turn it into bytes or nested lists. Raises ValueError."""
    try:
        return type(value).serialize(value)
    except _rlp_exception() as err:
        raise ValueError(str(err)) from err


class SedesReader:
    """Reads an item with a sedes; a refusal of the sedes becomes a `DecodeFailure`."""

    def __init__(self, sedes: Any) -> None:
        # fixed after __init__
        self._sedes = sedes
        # The sedes of integers raises TypeError for a list, so the remote can cause that as well.
        self._refusals = (_rlp_exception(), ValueError, TypeError)

    def __call__(self, data: bytes, pos: int, end: int) -> tuple[Any, int]:
        check_count(data, pos, item_end(data, pos, end), MAX_SEDES_ITEMS)
        raw, stop = read_raw(data, pos, end)
        try:
            return self._sedes.deserialize(raw), stop
        except self._refusals as err:
            # The text is left out: it may repeat the remote's bytes. The cause has it.
            raise DecodeFailure(pos, f"refused by the sedes: {type(err).__name__}") from err


def _rlp_exception() -> type[Exception]:
    from rlp.exceptions import (  # type: ignore[import-untyped,unused-ignore]
        RLPException,
    )

    found: type[Exception] = RLPException
    return found
