"""One HTTP request and the WebSocket after it, by websockets (``p2p-blocking[monitor]``).

The only module that imports websockets, and only for a program that has a page. It uses the part of
the library that does no I/O: bytes go in and out, and the thread and the sockets are ours. It owns
no rules of access (:mod:`p2p.monitor.access`). RFC 9112, RFC 6455.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from p2p.errors import ConfigError

if TYPE_CHECKING:
    _LoggerAdapter = logging.LoggerAdapter[logging.Logger]
else:  # not subscriptable in Python 3.10
    _LoggerAdapter = logging.LoggerAdapter

#: Largest message from a page; its requests are far smaller.
MAX_REQUEST_BYTES = 4096
#: The WebSocket is closed with these codes (RFC 6455, 7.4.1; the last one is registered with IANA).
GOING_AWAY, POLICY_VIOLATION, TRY_AGAIN_LATER = 1001, 1008, 1013


def check_installed() -> None:
    """Raise ConfigError if websockets is not installed."""
    try:
        import websockets.server  # noqa: F401
    except ImportError as error:
        text = "monitor_addr: needs websockets: pip install 'p2p-blocking[monitor]'"
        raise ConfigError(text) from error


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its path, and the values of two headers; ``is_get`` says whether it is a GET."""

    path: str
    hosts: Sequence[str]
    origins: Sequence[str]
    is_get: bool
    is_upgrade: bool


class _Quiet(_LoggerAdapter):
    """A logger that passes on errors alone: the library's other lines have paths, so the token."""

    def isEnabledFor(self, level: int) -> bool:
        return level >= logging.ERROR and super().isEnabledFor(level)


class WebSocket:
    """The server's end of one connection. Not thread-safe.

    Each call is followed by :meth:`to_send`. Nothing here raises for what the remote sends.
    """

    def __init__(self, logger: logging.Logger) -> None:
        from websockets.protocol import State
        from websockets.server import ServerProtocol

        self._open = State.OPEN
        self._protocol = ServerProtocol(max_size=MAX_REQUEST_BYTES, logger=_Quiet(logger))
        self._request: Any = None

    def receive(self, data: bytes) -> list[Asked | str]:
        """Take bytes, b"" at the end of the stream. Return the request, or texts of the page."""
        from websockets.frames import Frame, Opcode
        from websockets.http11 import Request

        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        found: list[Asked | str] = []
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._request = event
                found.append(_asked(event))
            elif not isinstance(event, Frame):
                continue
            elif event.opcode is Opcode.TEXT and event.fin:
                found.append(bytes(event.data).decode("utf-8", "replace"))
            elif event.opcode in (Opcode.CONT, Opcode.TEXT, Opcode.BINARY):
                self.close(POLICY_VIOLATION)  # a page sends single texts
        return found

    def respond(
        self, status: HTTPStatus, headers: Sequence[tuple[str, str]], body: bytes, kind: str
    ) -> None:
        """Answer the request with ``body``, of the MIME type ``kind``, and end the connection."""
        response = self._protocol.reject(status, "")
        response.body = body
        for name in ("Content-Length", "Content-Type"):
            del response.headers[name]
        for name, value in [
            *headers, ("Content-Length", str(len(body))), ("Content-Type", kind)
        ]:  # fmt: skip
            response.headers[name] = value
        self._protocol.send_response(response)

    def accept(self) -> bool:
        """Make a WebSocket of the connection; False if the request is not fit, and refused."""
        response = self._protocol.accept(self._request)
        self._protocol.send_response(response)
        return response.status_code == HTTPStatus.SWITCHING_PROTOCOLS

    @property
    def is_open(self) -> bool:
        """Whether texts can be sent; if not, calls to send do nothing."""
        return self._protocol.state is self._open

    def send(self, text: str) -> None:
        """Send a text."""
        if self.is_open:
            self._protocol.send_text(text.encode())

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self.is_open:
            self._protocol.send_ping(b"")

    def close(self, code: int) -> None:
        """Begin to close the WebSocket."""
        if self.is_open:
            self._protocol.send_close(code)

    def to_send(self) -> tuple[list[bytes], bool]:
        """Return bytes to send, and whether the connection is to be closed after them."""
        buffers = self._protocol.data_to_send()
        is_over = b"" in buffers or self._protocol.close_expected()
        return [buffer for buffer in buffers if buffer], is_over


def _asked(request: Any) -> Asked:
    headers = request.headers
    # Before its version 17 the library refuses other methods itself.
    return Asked(
        request.path,
        headers.get_all("Host"),
        headers.get_all("Origin"),
        getattr(request, "method", "GET") == "GET",
        "websocket" in ", ".join(headers.get_all("Upgrade")).lower(),
    )
