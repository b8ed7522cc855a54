"""Frames: the encrypted and authenticated units of an RLPx connection (rlpx.md, "Framing").

Pure. One writer and one reader serve a connection, each with a cipher stream and a MAC state that
run from its first frame to its last. A frame is::

    header       16  size of the frame data (3, big-endian), C2 80 80, zeros; encrypted
    header MAC   16
    frame data    n  message code (RLP integer), then the message; encrypted
    padding    0-15  zeros up to a multiple of 16; encrypted, ignored by the reader
    frame MAC    16

Frames below LARGE_FRAME are cut from one buffer; larger ones are hashed while they arrive and
never joined with anything else, because copying would cost as much as the cipher.
"""

from __future__ import annotations

from hmac import compare_digest

from p2p.codec import encode_uint, split_uint
from p2p.crypto.backend import Bytes, Hasher, ctr_stream, feedback_mask
from p2p.errors import FrameError

#: The frame size has three bytes (rlpx.md); the same limit holds for decompressed messages.
MAX_MESSAGE_SIZE = 2**24 - 1
#: From this many bytes on, avoiding a copy is worth more calls.
LARGE_FRAME = 16 * 1024

HEADER_SIZE = 32
MAC_SIZE = 16

#: header-data [0, 0] and the header's padding.
_HEADER_REST = bytes.fromhex("c28080") + bytes(10)
_PADDING = [bytes(-size % 16) for size in range(16)]
_CODES = [encode_uint(code) for code in range(1024)]


class FrameWriter:
    """Turns messages into frames. ``key``, ``mac_key`` and ``mac`` come from the handshake."""

    def __init__(self, key: bytes, mac_key: bytes, mac: Hasher) -> None:
        self._encrypt = ctr_stream(key)
        self._mask = feedback_mask(mac_key)
        self._update = mac.update
        self._digest = mac.digest
        # The first half of the MAC state's present digest: each frame ends with it.
        self._last = mac.digest()[:16]

    def append_frame(self, out: list[bytes], code: int, data: Bytes) -> None:
        """Append the frame of one message to ``out``, as one or more buffers.

        ``data`` must fit: see :func:`p2p.rlpx.snappy.check_fits`.
        """
        prefix = _CODES[code] if code < 1024 else encode_uint(code)
        size = len(prefix) + len(data)
        padding = _PADDING[size & 15]
        header = size.to_bytes(3, "big") + _HEADER_REST
        if size < LARGE_FRAME:
            sealed = self._encrypt(b"".join((header, prefix, data, padding)))
            header_mac = self._header_mac(sealed[:16])
            body = sealed[16:]
            self._update(body)
            out.append(b"".join((sealed[:16], header_mac, body, self._frame_mac())))
        else:
            sealed = self._encrypt(header + prefix)
            head = sealed[:16] + self._header_mac(sealed[:16]) + sealed[16:]
            body = self._encrypt(data)
            tail = self._encrypt(padding)
            self._update(sealed[16:])
            self._update(body)
            self._update(tail)
            out += (head, body, tail + self._frame_mac())

    def _header_mac(self, header: bytes) -> bytes:
        self._update(self._mask(self._last + header)[16:])
        return self._digest()[:16]

    def _frame_mac(self) -> bytes:
        seed = self._digest()[:16]
        self._update(self._mask(seed + seed)[16:])
        self._last = last = self._digest()[:16]
        return last


class FrameReader:
    """Turns a stream of bytes into messages; once it has raised FrameError it is of no more use.

    ``limit`` is the largest frame size accepted; it may be changed between frames.
    """

    def __init__(self, key: bytes, mac_key: bytes, mac: Hasher) -> None:
        self.limit = MAX_MESSAGE_SIZE
        self._decrypt = ctr_stream(key)
        self._mask = feedback_mask(mac_key)
        self._update = mac.update
        self._digest = mac.digest
        self._last = mac.digest()[:16]
        # What has arrived and where the next frame, or the rest of this one, begins in it.
        self._buffer = b""
        self._position = 0
        # The frame whose header has been read: its size, padded size, and, when it is large, what
        # has arrived of it.
        self._size = -1
        self._padded = 0
        self._body: bytearray | None = None

    def receive_data(self, data: Bytes) -> None:
        """Take what has arrived; ``data`` is copied."""
        if self._body is not None:
            data = self._fill_body(memoryview(data))
        if self._position == len(self._buffer):
            self._buffer = bytes(data)
        else:
            self._buffer = self._buffer[self._position :] + data
        self._position = 0

    def next_frame(self) -> tuple[int, Bytes] | None:
        """The next message as (code, data), or None until more arrives. Raises FrameError."""
        if self._size < 0 and not self._read_header():
            return None
        if self._body is not None:
            return self._finish_large()
        start = self._position
        end = start + self._padded
        if len(self._buffer) < end + MAC_SIZE:
            if self._padded >= LARGE_FRAME:
                self._start_large()
            return None
        sealed = self._buffer[start:end]
        self._update(sealed)
        self._check(self._frame_mac(), self._buffer[end : end + MAC_SIZE])
        self._position = end + MAC_SIZE
        return self._open(sealed)

    def _read_header(self) -> bool:
        start = self._position
        header = self._buffer[start : start + HEADER_SIZE]
        if len(header) < HEADER_SIZE:
            return False
        sealed = header[:16]
        self._update(self._mask(self._last + sealed)[16:])
        self._check(self._digest()[:16], header[16:])
        plain = self._decrypt(sealed)
        size = plain[0] << 16 | plain[1] << 8 | plain[2]
        if not 0 < size <= self.limit:
            raise FrameError(f"frame of {size} bytes, want 1 to {self.limit}")
        self._size = size
        self._padded = size + (-size & 15)
        self._position = start + HEADER_SIZE
        return True

    def _open(self, sealed: Bytes) -> tuple[int, Bytes]:
        """Split decrypted frame data into code and message, without the padding."""
        size, self._size = self._size, -1
        plain: Bytes = self._decrypt(sealed)
        code = plain[0]
        if 0 < code < 0x80:
            start = 1
        elif code == 0x80:
            code, start = 0, 1
        else:
            code, start = _split_code(bytes(plain[:size]))
        if size >= LARGE_FRAME:
            plain = memoryview(plain)
        return code, plain[start:size]

    def _start_large(self) -> None:
        """The rest of the buffer is the beginning of a large frame: hash it and keep it apart."""
        self._body = bytearray()
        rest = self._fill_body(memoryview(self._buffer)[self._position :])
        self._buffer = bytes(rest)
        self._position = 0

    def _fill_body(self, data: memoryview) -> memoryview:
        """Add what belongs to the large frame; returns what follows it."""
        body = self._body
        assert body is not None
        part = data[: self._padded - len(body)]
        body += part
        self._update(part)
        return data[len(part) :]

    def _finish_large(self) -> tuple[int, Bytes] | None:
        body = self._body
        assert body is not None
        if len(body) < self._padded or len(self._buffer) - self._position < MAC_SIZE:
            return None
        end = self._position + MAC_SIZE
        self._check(self._frame_mac(), self._buffer[self._position : end])
        self._position = end
        self._body = None
        return self._open(body)

    def _frame_mac(self) -> bytes:
        seed = self._digest()[:16]
        self._update(self._mask(seed + seed)[16:])
        self._last = last = self._digest()[:16]
        return last

    def _check(self, computed: bytes, received: bytes) -> None:
        if not compare_digest(computed, received):
            raise FrameError("bad MAC")


def _split_code(data: bytes) -> tuple[int, int]:
    try:
        return split_uint(data)
    except ValueError as error:
        raise FrameError("frame does not begin with a message code") from error


