"""Frames of one direction of a captured RLPx connection (rlpx.md, "Framing").

Pure. A :class:`p2p.rlpx.frame.FrameReader` refuses what is not authenticated, since it must not
believe a byte; this reader believes the capture and gets along with holes. MACs are checked as long
as there is no hole before; after one, the next frame header is searched
(:mod:`p2p.capture.keystream`), all messages after it are read, and the number of those lost
follows from the distance that stream and key stream have moved apart. The frame that a hole cuts
is lost. In a capture that begins in the middle of a connection, the first header is searched with
any alignment.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import NamedTuple, TypeAlias

from p2p.capture.keystream import BLOCK_SIZE, TAIL, cipher_at, find_header
from p2p.codec import split_uint
from p2p.crypto import feedback_mask
from p2p.crypto.backend import Cipher, Hasher
from p2p.errors import DecodeError
from p2p.rlpx.frame import HEADER_SIZE, MAC_SIZE

#: Bytes after a hole that are searched for a header at a time.
WINDOW_SIZE = 64 * 1024
#: Longest part of a key stream that is searched, in blocks: a hole, or a beginning that the
#: capture does not have, of 64 MiB. It takes half a second.
MAX_BLOCKS = 4 * 2**20
#: Blocks and bytes of all searches of one direction: two seconds. Then its messages are lost.
MAX_SEARCHED = 4 * MAX_BLOCKS
#: Header and frame, each with its MAC, are this many bytes more than the key stream moves on.
_MACS_SIZE = (HEADER_SIZE - BLOCK_SIZE) + MAC_SIZE


class Frame(NamedTuple):
    """A message as framed: its code on the wire and its data, perhaps compressed.

    ``is_authentic`` is the verdict of the MACs, None where they cannot be checked. ``size`` is that
    of the whole frame.
    """

    code: int | None
    data: bytes
    size: int
    is_authentic: bool | None
    time: float


class Loss(NamedTuple):
    """Bytes that could not be read, in all; ``frames`` is the number of frames, None: unknown."""

    size: int
    frames: int | None
    time: float


Item: TypeAlias = Frame | Loss


class FrameDecoder:
    """The reader of the frames of one direction, with the AES secret of the connection.

    ``mac`` is the MAC state of the first frame, with the MAC secret; None: MACs are not checked.
    ``is_aligned`` is False if the stream does not begin with a frame.
    """

    def __init__(
        self, aes: bytes, mac: tuple[bytes, Hasher] | None = None, is_aligned: bool = True
    ) -> None:
        # fixed after __init__
        self._aes = aes
        # where it is
        self._block = 0  # of the key stream
        self._cipher: Cipher | None = None  # at that block
        self._buffer = bytearray()
        self._size = 0  # of the frame whose header has been read, or 0
        self._header_authentic: bool | None = None
        self._mac = mac and _FrameMac(*mac)
        # while a header is searched
        self._searching = not is_aligned
        self._step = BLOCK_SIZE if is_aligned else 1
        self._is_start_known = is_aligned
        self._lost = 0  # bytes from the end of the last frame to the buffer
        self._is_first_try = True
        self._budget = MAX_SEARCHED

    def receive(self, data: bytes, time: float) -> list[Item]:
        """Take the next bytes; returns the frames in them."""
        self._buffer += data
        return self._read(time)

    def skip(self, size: int, time: float) -> list[Item]:
        """Note that ``size`` bytes are missing here."""
        items = self._read(time, is_last=True) if self._searching else []
        if self._size:  # back to the boundary before its header
            self._block -= 1
            self._lost += HEADER_SIZE
        self._lost += len(self._buffer) + size
        self._buffer.clear()
        self._begin_search()
        return items

    def end(self, time: float) -> list[Item]:
        """Return what is left at the end: frames if a header is found yet, then the loss."""
        items = self._read(time, is_last=True)
        lost = self._lost + len(self._buffer)
        if self._searching and lost:
            items.append(Loss(lost, None, time))
            self._lost = 0
            self._buffer.clear()
        return items

    def _read(self, time: float, is_last: bool = False) -> list[Item]:
        items: list[Item] = []
        while True:
            if self._searching:
                loss = self._search(time, is_last)
                if loss is None:
                    return items
                items.append(loss)
            frame = self._next_frame(time)
            if frame is not None:
                items.append(frame)
            elif not self._searching:
                return items

    # frames

    def _next_frame(self, time: float) -> Frame | None:
        buffer = self._buffer
        if not self._size:
            if len(buffer) < HEADER_SIZE or not self._open_header():
                return None
        padded = self._size + -self._size % BLOCK_SIZE
        if len(buffer) < padded + MAC_SIZE:
            return None
        sealed, mac = bytes(buffer[:padded]), bytes(buffer[padded : padded + MAC_SIZE])
        authentic = self._header_authentic
        if self._mac is not None:
            authentic = self._mac.check_body(sealed, mac) and bool(authentic)
            self._mac = self._mac if authentic else None
        plain = self._decrypt(sealed)
        code, data = _split(plain[: self._size])
        del buffer[: padded + MAC_SIZE]
        self._size = 0
        return Frame(code, data, HEADER_SIZE + padded + MAC_SIZE, authentic, time)

    def _open_header(self) -> bool:
        """Read the header at the beginning of the buffer; search for another if it is none."""
        sealed = bytes(self._buffer[:BLOCK_SIZE])
        authentic = None
        if self._mac is not None:
            mac = bytes(self._buffer[BLOCK_SIZE:HEADER_SIZE])
            authentic = self._mac.check_header(sealed, mac)
        plain = self._decrypt(sealed)
        size = int.from_bytes(plain[:3], "big")
        if not size or not (authentic or plain.endswith(TAIL)):
            self._block -= 1
            self._lost += BLOCK_SIZE
            del self._buffer[:BLOCK_SIZE]
            self._begin_search()
            return False
        self._header_authentic, self._size = authentic, size
        del self._buffer[:HEADER_SIZE]
        return True

    def _decrypt(self, sealed: bytes) -> bytes:
        """Decrypt whole blocks, and move on."""
        if self._cipher is None:
            self._cipher = cipher_at(self._aes, self._block)
        self._block += len(sealed) // BLOCK_SIZE
        return self._cipher(sealed)

    # the search

    def _begin_search(self) -> None:
        self._mac, self._cipher, self._size = None, None, 0
        self._searching = self._is_first_try = True

    def _search(self, time: float, is_last: bool) -> Loss | None:
        """Look for a header in the buffer. Returns the loss before it."""
        buffer = self._buffer
        blocks = MAX_BLOCKS
        if self._is_start_known:
            blocks = min((self._lost + len(buffer)) // BLOCK_SIZE + 1, MAX_BLOCKS)
        if len(buffer) < HEADER_SIZE or not self._is_worth(blocks, is_last):
            return None
        start = -self._lost % self._step  # keeps the alignment of the last frame
        found = find_header(self._aes, bytes(buffer[start:]), self._step, self._block, blocks)
        self._budget -= blocks + len(buffer)
        self._is_first_try = False
        if found is None:
            self._drop_searched()
            return None
        size = self._lost + start + found.offset
        frames = (size - (found.block - self._block) * BLOCK_SIZE) // _MACS_SIZE
        loss = Loss(size, frames if self._is_start_known else None, time)
        del buffer[: start + found.offset]
        self._block, self._lost = found.block, 0
        self._searching, self._step, self._is_start_known = False, BLOCK_SIZE, True
        return loss

    def _is_worth(self, blocks: int, is_last: bool) -> bool:
        """Whether to search now: a long search waits for more bytes."""
        if self._budget <= 0:
            self._drop_searched()
            return False
        is_short = blocks <= WINDOW_SIZE // BLOCK_SIZE
        return is_short or is_last or self._is_first_try or len(self._buffer) >= WINDOW_SIZE

    def _drop_searched(self) -> None:
        """Drop the bytes without a header, except for those that may begin one."""
        gone = max(0, len(self._buffer) - HEADER_SIZE)
        gone -= gone % BLOCK_SIZE
        del self._buffer[:gone]
        self._lost += gone


class _FrameMac:
    """The MACs of one direction, from its first frame on (rlpx.md, "MAC")."""

    def __init__(self, secret: bytes, state: Hasher) -> None:
        self._mask = feedback_mask(secret)
        self._state = state

    def check_header(self, sealed: bytes, mac: bytes) -> bool:
        self._state.update(self._mask(self._state.digest()[:16] + sealed)[16:])
        return compare_digest(self._state.digest()[:16], mac)

    def check_body(self, sealed: bytes, mac: bytes) -> bool:
        self._state.update(sealed)
        seed = self._state.digest()[:16]
        self._state.update(self._mask(seed + seed)[16:])
        return compare_digest(self._state.digest()[:16], mac)


def _split(plain: bytes) -> tuple[int | None, bytes]:
    """Return code and data of a frame; no code if it does not begin with one."""
    try:
        code, start = (plain[0], 1) if 0 < plain[0] < 0x80 else split_uint(plain[:9])
    except DecodeError:
        return None, plain
    return code, plain[start:]
