"""Requests of HTTP/1.1, and their answer, read from bytes as they come (RFC 9112). Pure.

As much of HTTP as routers speak: an answer with a length, in chunks, or up to the end of the
connection. Every answer ends its connection for us. Redirections are not followed: they are
statuses like others, and the front accepts only some.
"""

from __future__ import annotations

import re

from p2p.nat.errors import InvalidAnswer
from p2p.nat.upnp.url import HttpURL
from p2p.nat.upnp.xmltree import MAX_XML_BYTES
from p2p.netutil import printable

#: Bytes of status line and headers.
MAX_HEAD_BYTES = 8 * 1024
MAX_BODY_BYTES = MAX_XML_BYTES
#: Bytes of the line that begins a chunk.
MAX_CHUNK_LINE = 128
#: Bytes of an answer with everything, such as the lines of chunks and preliminary answers.
MAX_ANSWER_BYTES = MAX_HEAD_BYTES + 2 * MAX_BODY_BYTES

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: .*)?")
_LENGTH = re.compile(r"[0-9]{1,10}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_SHOWN = 60


def get(url: HttpURL) -> bytes:
    """Return the request for a document."""
    return _head("GET", url).encode("ascii")


def post(url: HttpURL, soap_action: str, body: bytes) -> bytes:
    """Return the request for an action (UPnP Device Architecture 1.1, section 3.2.1)."""
    head = _head(
        "POST",
        url,
        f"Content-Length: {len(body)}",
        'Content-Type: text/xml; charset="utf-8"',
        f'SOAPAction: "{soap_action}"',
    )
    return head.encode("ascii") + body


def _head(method: str, url: HttpURL, *headers: str) -> str:
    lines = [f"{method} {url.target} HTTP/1.1", f"Host: {url.authority}", *headers]
    lines += ["Connection: close", "User-Agent: UPnP/1.1 p2p", ""]
    return "".join(f"{line}\r\n" for line in lines)


class Answer:
    """One answer. After :attr:`is_complete`, ``status`` and ``body`` are what the router sent."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.is_complete = False
        self._buffer = bytearray()
        self._received = 0
        #: The end of the head is searched from here: at most 3 bytes of it are before.
        self._searched = 0
        #: Bytes that the body has in all; None in chunks and up to the end of the connection.
        self._length: int | None = None
        self._in_chunks = False
        self._chunks = bytearray()

    def receive(self, data: bytes) -> None:
        """Take bytes from the connection. Those after the answer are ignored.

        Raises InvalidAnswer.
        """
        if self.is_complete:
            return
        self._received += len(data)
        if self._received > MAX_ANSWER_BYTES:
            raise InvalidAnswer(f"answer of more than {MAX_ANSWER_BYTES} bytes")
        self._buffer += data
        while not self.status and self._read_head():
            pass
        if self.status:
            self._read_body()

    def receive_end(self) -> None:
        """Take the end of the connection. Raises InvalidAnswer if the answer is not complete."""
        if self.is_complete:
            return
        if not self.status or self._in_chunks or self._length is not None:
            raise InvalidAnswer("the answer ended early")
        self._complete(bytes(self._buffer))

    def _read_head(self) -> bool:
        """Read a head, if it is there as a whole. Returns whether it was."""
        end = _HEAD_END.search(self._buffer, self._searched)
        if (end.start() if end else len(self._buffer)) > MAX_HEAD_BYTES:
            raise InvalidAnswer(f"headers of more than {MAX_HEAD_BYTES} bytes")
        if end is None:
            self._searched = max(0, len(self._buffer) - 3)
            return False
        head = bytes(self._buffer[: end.start()])
        del self._buffer[: end.end()]
        self._searched = 0
        status, headers = _split_head(head)
        if status >= 200:  # those below come before the answer
            self.status = status
            self._read_framing(headers)
        return True

    def _read_framing(self, headers: dict[str, set[str]]) -> None:
        """Decide where the body ends (RFC 9112, section 6.3)."""
        if "transfer-encoding" in headers:
            self._in_chunks = True
            if headers["transfer-encoding"] != {"chunked"}:
                raise InvalidAnswer("transfer encoding other than chunked")
        elif self.status in (204, 304):
            self._length = 0
        elif "content-length" in headers:
            self._length = _length_of(headers["content-length"])

    def _read_body(self) -> None:
        if self._in_chunks:
            while not self.is_complete and self._read_chunk():
                pass
        elif self._length is not None and len(self._buffer) >= self._length:
            self._complete(bytes(self._buffer[: self._length]))
        elif len(self._buffer) > MAX_BODY_BYTES:
            raise InvalidAnswer(f"body of more than {MAX_BODY_BYTES} bytes")

    def _read_chunk(self) -> bool:
        """Read a chunk, if it is there as a whole. Returns whether it was."""
        end = self._buffer.find(b"\n", 0, MAX_CHUNK_LINE)
        if end < 0:
            if len(self._buffer) >= MAX_CHUNK_LINE:
                raise InvalidAnswer("chunk without a size")
            return False
        size = _chunk_size(bytes(self._buffer[:end]))
        if len(self._chunks) + size > MAX_BODY_BYTES:
            raise InvalidAnswer(f"body of more than {MAX_BODY_BYTES} bytes")
        if size == 0:  # trailers are not read
            self._complete(bytes(self._chunks))
            return True
        start = end + 1
        after = self._buffer.find(b"\n", start + size, start + size + 2)
        if after < 0:
            if len(self._buffer) >= start + size + 2:
                raise InvalidAnswer("chunk longer than its size")
            return False
        self._chunks += self._buffer[start : start + size]
        del self._buffer[: after + 1]
        return True

    def _complete(self, body: bytes) -> None:
        self.body = body
        self.is_complete = True
        self._buffer.clear()
        self._chunks.clear()


def _split_head(head: bytes) -> tuple[int, dict[str, set[str]]]:
    """Return the status, and the values of each header by its name in lower case."""
    status, *lines = head.split(b"\n")
    found = _STATUS.fullmatch(status.rstrip(b"\r"))
    if found is None:
        shown = printable(status.decode("latin-1"), _SHOWN)
        raise InvalidAnswer(f'not HTTP: "{shown}"')
    headers: dict[str, set[str]] = {}
    for line in lines:
        name, _, value = line.decode("latin-1").partition(":")
        headers.setdefault(name.strip().lower(), set()).add(value.strip().lower())
    return int(found[1]), headers


def _length_of(values: set[str]) -> int:
    text = values.pop() if len(values) == 1 else ""
    if _LENGTH.fullmatch(text) is None:
        raise InvalidAnswer("content length that is not a number")
    if int(text) > MAX_BODY_BYTES:
        raise InvalidAnswer(f"body of more than {MAX_BODY_BYTES} bytes")
    return int(text)


def _chunk_size(line: bytes) -> int:
    found = _CHUNK.fullmatch(line.rstrip(b"\r"))
    if found is None:
        raise InvalidAnswer("chunk without a size")
    return int(found[1], 16)
