"""Frames: the encrypted and authenticated units of an RLPx connection (rlpx.md, "Framing").

Pure. One writer and one reader serve a connection, each with a cipher stream and a MAC state that
run from its first frame to its last. A frame is::

    header       16  size of the frame data (3, big-endian), C2 80 80, zeros; encrypted
    header MAC   16
    frame data    n  message code (RLP integer), then the message; encrypted
    padding    0-15  zeros up to a multiple of 16; encrypted, ignored by the reader
    frame MAC    16

Both work on many frames at a time, with everything they need in local variables: a frame of 100
bytes takes 4 us of cipher and hash calls, and each call of ours in between would add 2 %. Frames of
LARGE_FRAME and more are hashed while they arrive and never joined with other data, because copying
them would cost as much as the cipher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hmac import compare_digest

from p2p.codec import encode_uint, split_uint
from p2p.crypto.backend import Bytes, Hasher, ctr_stream, feedback_mask, renewed
from p2p.errors import DecodeError, FrameError, P2PError

#: The frame size has three bytes (rlpx.md); the same limit holds for decompressed messages.
MAX_MESSAGE_SIZE = 2**24 - 1
#: Size in bytes from which on avoiding a copy is worth more calls.
LARGE_FRAME = 16 * 1024
#: Frames of more than this have 2,048 bytes or more to hash at once, after which a MAC state must
#: be renewed: it would release the interpreter lock on every later input, however small.
UNLOCKED_FRAME = 2048 - 16

HEADER_SIZE = 32
MAC_SIZE = 16

_PADDING = [bytes(-size % 16) for size in range(16)]
_CODES = [encode_uint(code) for code in range(256)]


def _header(size: int) -> bytes:
    """Return frame-size, header-data [0, 0] and the header's padding."""
    return size.to_bytes(3, "big") + bytes.fromhex("c28080") + bytes(10)


_SMALL_HEADERS = [_header(size) for size in range(1024)]


class FrameWriter:
    """Encoder of messages into frames. ``key``, ``mac_key`` and ``mac`` come from the handshake."""

    def __init__(self, key: bytes, mac_key: bytes, mac: Hasher) -> None:
        self._encrypt = ctr_stream(key)
        self._mask = feedback_mask(mac_key)
        self._mac = mac
        # The first half of the MAC state's current digest: each frame ends with it.
        self._last = mac.digest()[:16]
        # Output: finished buffers, and the pieces of the next one.
        self._buffers: list[bytes] = []
        self._pieces: list[bytes] = []

    def write(
        self, messages: Iterable[tuple[int, Bytes]], transform: Callable[[Bytes], Bytes]
    ) -> None:
        """Frame messages, given as (code, payload), with each payload passed through ``transform``.

        The result must fit into a frame: see :func:`p2p.rlpx.snappy.check_fits`.
        """
        encrypt, mask = self._encrypt, self._mask
        update, digest = self._mac.update, self._mac.digest
        pieces, join, last = self._pieces, b"".join, self._last
        for code, payload in messages:
            data = transform(payload)
            prefix = _CODES[code] if code < 256 else encode_uint(code)
            size = len(prefix) + len(data)
            header = _SMALL_HEADERS[size] if size < 1024 else _header(size)
            if size >= LARGE_FRAME:
                last = self._write_large(header, prefix, data, last)
                update, digest, pieces = self._mac.update, self._mac.digest, self._pieces
                continue
            sealed = encrypt(join((header, prefix, data, _PADDING[size & 15])))
            header, body = sealed[:16], sealed[16:]
            update(mask(last + header)[16:])
            header_mac = digest()[:16]
            update(body)
            if size > UNLOCKED_FRAME:
                self._mac = mac = renewed(self._mac)
                update, digest = mac.update, mac.digest
            seed = digest()[:16]
            update(mask(seed + seed)[16:])
            last = digest()[:16]
            pieces += (header, header_mac, body, last)
        self._last = last

    def _write_large(self, header: bytes, prefix: bytes, data: Bytes, last: bytes) -> bytes:
        """Write one frame without copying its data into a larger buffer. Returns its last MAC."""
        sealed = self._encrypt(header + prefix)
        header, start = sealed[:16], sealed[16:]
        mac = self._mac
        mac.update(self._mask(last + header)[16:])
        self._pieces += (header, mac.digest()[:16], start)
        body = self._encrypt(memoryview(data))  # the only buffer pycryptodome takes
        end = self._encrypt(_PADDING[len(prefix) + len(data) & 15])
        mac.update(start)
        mac.update(body)
        self._mac = mac = renewed(mac)
        mac.update(end)
        seed = mac.digest()[:16]
        mac.update(self._mask(seed + seed)[16:])
        last = mac.digest()[:16]
        self._buffers += (b"".join(self._pieces), body)
        self._pieces = [end, last]
        return last

    def take(self) -> list[bytes]:
        """Remove and return everything written so far, in few buffers."""
        buffers = self._buffers
        if self._pieces:
            buffers.append(b"".join(self._pieces))
        self._buffers, self._pieces = [], []
        return buffers

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take."""
        return not self._pieces and not self._buffers


class FrameReader:
    """Decoder of a stream of bytes into messages. ``limit`` is the largest frame size accepted."""

    def __init__(self, key: bytes, mac_key: bytes, mac: Hasher) -> None:
        self.limit = MAX_MESSAGE_SIZE
        self._decrypt = ctr_stream(key)
        self._mask = feedback_mask(mac_key)
        self._mac = mac
        self._last = mac.digest()[:16]
        # The data received, and the offset in it of the next frame, or of the rest of this one.
        self._buffer = b""
        self._position = 0
        # The frame whose header has been read: its size (0: none), its padded size, and, when it
        # is large, the part of it received so far.
        self._size = 0
        self._padded = 0
        self._body: bytearray | None = None
        self._error: P2PError | None = None
        #: Whether another :meth:`read` may have something, without more data.
        self.has_more = False

    @property
    def frame_size(self) -> int:
        """Bytes of the frame that has begun to arrive, or 0."""
        return self._size

    def receive_data(self, data: Bytes) -> None:
        """Take bytes received; ``data`` is copied."""
        if self._body is not None:
            data = self._fill_body(self._body, memoryview(data))
        if self._position == len(self._buffer):
            self._buffer = bytes(data)
        else:
            self._buffer = self._buffer[self._position :] + data
        self._position = 0

    def read(self, count: int) -> list[tuple[int, Bytes]]:
        """Return at most ``count`` complete messages, as (code, data); none: more must arrive.

        Raises FrameError, now and ever after, once the messages before the error are returned.
        """
        if self._error is not None:
            raise self._error
        frames: list[tuple[int, Bytes]] = []
        try:
            self._read_into(frames, count)
        except FrameError as error:
            self._error = error
            if not frames:
                raise
        self.has_more = len(frames) == count or self._error is not None
        return frames

    def _read_into(self, frames: list[tuple[int, Bytes]], count: int) -> None:
        if self._body is not None and not self._finish_large(self._body, frames):
            return
        decrypt, mask = self._decrypt, self._mask
        update, digest = self._mac.update, self._mac.digest
        buffer, position, end = self._buffer, self._position, len(self._buffer)
        size, last = self._size, self._last
        while len(frames) < count:
            if not size:
                if end - position < HEADER_SIZE:
                    break
                sealed = buffer[position : position + 16]
                update(mask(last + sealed)[16:])
                if not compare_digest(digest()[:16], buffer[position + 16 : position + 32]):
                    raise FrameError("bad header MAC")
                plain = decrypt(sealed)
                size = plain[0] << 16 | plain[1] << 8 | plain[2]
                if not 0 < size <= self.limit:
                    raise FrameError(f"frame of {size} bytes, want 1 to {self.limit}")
                position += HEADER_SIZE
            stop = position + size + (-size & 15)
            if end < stop + MAC_SIZE:
                break
            sealed = buffer[position:stop]
            update(sealed)
            if size > UNLOCKED_FRAME:
                self._mac = mac = renewed(self._mac)
                update, digest = mac.update, mac.digest
            seed = digest()[:16]
            update(mask(seed + seed)[16:])
            last = digest()[:16]
            position = stop + MAC_SIZE
            if not compare_digest(last, buffer[stop:position]):
                raise FrameError("bad frame MAC")
            plain = decrypt(sealed)
            code = plain[0]
            if 0 < code < 0x80 and size < LARGE_FRAME:
                frames.append((code, plain[1:size]))
            else:
                frames.append(_split(plain, size))
            size = 0
        self._position, self._size, self._last = position, size, last
        if size >= LARGE_FRAME:
            self._start_large()

    def _start_large(self) -> None:
        """Move the rest of the buffer, the beginning of a large frame, to a buffer of its own."""
        self._body = bytearray()
        rest = self._fill_body(self._body, memoryview(self._buffer)[self._position :])
        self._buffer = bytes(rest)
        self._position = 0

    def _fill_body(self, body: bytearray, data: memoryview) -> memoryview:
        """Hash and add the data of the large frame. Returns the data after it."""
        part = data[: self._size + (-self._size & 15) - len(body)]
        body += part
        self._mac.update(part)
        return data[len(part) :]

    def _finish_large(self, body: bytearray, frames: list[tuple[int, Bytes]]) -> bool:
        """Decrypt the large frame if all of it has arrived. Returns whether it has."""
        end = self._position + MAC_SIZE
        if len(body) < self._size or len(self._buffer) < end:
            return False
        self._mac = mac = renewed(self._mac)
        seed = mac.digest()[:16]
        mac.update(self._mask(seed + seed)[16:])
        self._last = mac.digest()[:16]
        if not compare_digest(self._last, self._buffer[self._position : end]):
            raise FrameError("bad frame MAC")
        frames.append(_split(self._decrypt(body), self._size))
        self._position = end
        self._size = 0
        self._body = None
        return True


def _split(plain: bytes, size: int) -> tuple[int, Bytes]:
    """Split decrypted frame data into code and message, without the padding."""
    code, start = plain[0], 1
    if code >= 0x80 or not code:
        try:
            code, start = split_uint(plain[: min(size, 9)])
        except DecodeError as error:
            raise FrameError("frame does not begin with a message code") from error
    if size < LARGE_FRAME:
        return code, plain[start:size]
    return code, memoryview(plain)[start:size]
