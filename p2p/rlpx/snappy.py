"""Snappy in raw block form, the compression of every RLPx message after hello (EIP-706).

Pure. A block begins with the decompressed length as a varint; it is checked before anything is
allocated, because 800 KiB of input may claim, and deliver, 16 MiB.
"""

from __future__ import annotations

from cramjam import DecompressionError
from cramjam import snappy as _snappy

from p2p.codec import encode_uint
from p2p.crypto.backend import Bytes
from p2p.errors import CompressionError, MessageTooLarge
from p2p.rlpx.frame import MAX_MESSAGE_SIZE

#: A message code has at most this many bytes.
MAX_CODE_SIZE = 9
#: A payload up to this size fits into a frame however badly it compresses: the authors of snappy
#: guarantee at most 32 + n + n / 6 bytes. Noise grows by 50 bytes in a MiB, but matches of four
#: bytes between literals of 62 add 1.4 KiB to each.
SAFE_SIZE = (MAX_MESSAGE_SIZE - MAX_CODE_SIZE - 32) // 7 * 6

#: Limit on the compression ratio: the best of snappy is a copy of 64 bytes in an element of 3. A
#: block that claims more is refused before its claim is allocated.
MAX_RATIO = 22

#: Blocks of at most this many bytes are made, and recognized, without the library: as one literal,
#: which is also the library's result for hashes and keys. cramjam releases the interpreter lock on
#: every call, and getting it back may take 5 ms while a handler computes.
MAX_LITERAL = 127

#: For each such size the first bytes of the block: the size, then the tag of one literal that long.
_LITERALS = [
    b"\0",
    *(bytes((size, (size - 1) << 2)) for size in range(1, 61)),
    *(bytes((size, 60 << 2, size - 1)) for size in range(61, MAX_LITERAL + 1)),
]

_compress = _snappy.compress_raw
_decompress = _snappy.decompress_raw
_decompressed_size = _snappy.decompress_raw_len


def compress(data: Bytes) -> Bytes:
    """Return the snappy block of ``data``."""
    if len(data) <= MAX_LITERAL:
        return b"".join((_LITERALS[len(data)], data))
    return memoryview(_compress(data))  # not bytes(): a frame takes it without another copy


def unchanged(data: Bytes) -> Bytes:
    """Return ``data`` itself, for connections without compression."""
    return data


def decompress(block: Bytes) -> bytes:
    """Decompress a snappy block. Raises CompressionError if it is invalid or too large."""
    if type(block) is bytes and 0 < len(block) <= MAX_LITERAL + 3 and block[0] <= MAX_LITERAL:
        start = _LITERALS[block[0]]
        if len(block) == len(start) + block[0] and block.startswith(start):
            return block[len(start) :]
    try:
        size = _decompressed_size(block)
        if size > MAX_MESSAGE_SIZE:
            raise CompressionError(f"message claims {size} bytes, limit is {MAX_MESSAGE_SIZE}")
        if size > len(block) * MAX_RATIO:
            raise CompressionError(f"message of {len(block)} bytes claims {size}")
        return bytes(_decompress(block))
    except DecompressionError as error:
        raise CompressionError("message is not a snappy block") from error


def check_fits(code: int, payload: Bytes, compressed: bool) -> None:
    """Raise MessageTooLarge unless ``payload`` can be sent in one frame.

    ``code`` is the one on the wire; its size counts, too. ``compressed`` is whether the connection
    compresses. The limits are go-ethereum's (``p2p/rlpx/rlpx.go``): 2**24 - 1 bytes for the frame,
    and as many before compression.
    """
    size = len(payload)
    if size <= SAFE_SIZE:
        return
    if compressed and size <= MAX_MESSAGE_SIZE:
        size = len(compress(payload))
    size += len(encode_uint(code))
    if size > MAX_MESSAGE_SIZE:
        raise MessageTooLarge(
            f"message of {len(payload)} bytes does not fit into a frame: with its code it has "
            f"{size}{' compressed' * compressed}, of {MAX_MESSAGE_SIZE} at most"
        )
