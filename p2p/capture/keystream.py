"""The search for frame headers in a stream whose position is not known.

Pure. After a hole in a capture it is unknown where frames begin, and also how far the cipher is:
MACs are not encrypted, so each frame moves the two apart. But 13 bytes of each header are known,
``C2 80 80`` and ten zeros (rlpx.md, "Framing"), and so are the bytes of the key stream that hide
them: whatever place of the stream gives bytes of the key stream at that place, a multiple of 16,
is a header, and tells its position in the key stream. 104 bits do not fit by chance.
"""

from __future__ import annotations

from typing import NamedTuple

from p2p.crypto import ctr_stream
from p2p.crypto.backend import Cipher

#: Bytes of a block of AES.
BLOCK_SIZE = 16
#: The end of a header: header-data and padding.
TAIL = bytes.fromhex("c28080") + bytes(10)
_TAIL_AT = BLOCK_SIZE - len(TAIL)
_TAIL_NUMBER = int.from_bytes(TAIL, "big")
#: Bytes of the key stream that are made at a time.
_CHUNK_SIZE = 2**18


class Header(NamedTuple):
    """A header at ``offset`` in the data; the cipher is at ``block`` of the key stream."""

    offset: int
    block: int


def cipher_at(key: bytes, block: int) -> Cipher:
    """Return the cipher of a connection from a block of its key stream on."""
    return ctr_stream(key, (block % 2**128).to_bytes(BLOCK_SIZE, "big"))


def find_header(
    key: bytes, data: bytes, step: int, first_block: int, blocks: int
) -> Header | None:
    """Return the first header in ``data``, at a multiple of ``step`` bytes; None if there is none.

    The key stream is searched from ``first_block`` on for ``blocks`` blocks.
    """
    places: dict[bytes, int] = {}
    for offset in range(0, len(data) - BLOCK_SIZE + 1, step):
        sealed = int.from_bytes(data[offset + _TAIL_AT : offset + BLOCK_SIZE], "big")
        places.setdefault((sealed ^ _TAIL_NUMBER).to_bytes(len(TAIL), "big"), offset)
    found: Header | None = None
    if not places:
        return found
    stream, get = cipher_at(key, first_block), places.get
    for begin in range(0, blocks * BLOCK_SIZE, _CHUNK_SIZE):
        chunk = stream(bytes(min(_CHUNK_SIZE, blocks * BLOCK_SIZE - begin)))
        for position in range(_TAIL_AT, len(chunk), BLOCK_SIZE):
            place = get(chunk[position : position + len(TAIL)])
            if place is not None and (found is None or place < found.offset):
                found = Header(place, first_block + (begin + position) // BLOCK_SIZE)
        if found is not None:
            return found
    return found
