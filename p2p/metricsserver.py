"""The HTTP server of the metrics: a request is read, answered and closed, one after the other.

It owns the connection of the present client; its socket and its thread are those of
:mod:`p2p.exporter`, which imports this module when it is wanted. Runs on ``p2p-metrics``, but for
:meth:`MetricsServer.hang_up`.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from p2p import forks

#: Limit on the wait for the next bytes of a request: the client is on this machine.
REQUEST_TIMEOUT_S = 5.0


class MetricsServer(WSGIServer):
    """A WSGI server on a socket that listens; :meth:`handle_request` does not wait for one."""

    timeout = 0

    def __init__(
        self, sock: socket.socket, app: Callable[..., Any], logger: logging.Logger
    ) -> None:
        host, port = sock.getsockname()[:2]
        # Its base class would make a socket, and look up the name of the host.
        socketserver.BaseServer.__init__(self, (host, port), _Handler)
        self.socket = sock
        self.server_name, self.server_port = host, port
        self.setup_environ()
        self.set_app(app)
        self._log = logger
        # owned by p2p-metrics
        self._has_accept_failed = False
        # guarded by _lock
        self._lock = threading.Lock()
        self._client: socket.socket | None = None
        self._hung_up = False

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            client, address = self.socket.accept()
        except (BlockingIOError, ConnectionError):  # about this connection alone
            raise
        except OSError:
            self._has_accept_failed = True
            raise
        forks.in_child(client)
        with self._lock:
            self._client = client
            if self._hung_up:
                client.close()
                raise OSError("the server stops")
        return client, address

    def take_accept_failure(self) -> bool:
        """Return whether no connection could be accepted, since the last call."""
        failed, self._has_accept_failed = self._has_accept_failed, False
        return failed

    def close_request(self, request: Any) -> None:
        with self._lock:
            self._client = None
        super().close_request(request)

    def hang_up(self) -> None:
        """End the connection with the present client, and take no other. Any thread."""
        with self._lock:
            self._hung_up = True
            if self._client is not None:
                with suppress(OSError):  # it has ended already
                    self._client.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        self._log.debug("request for metrics from %s failed", client_address, exc_info=True)


class _Handler(WSGIRequestHandler):
    """One request; it writes no lines of its own."""

    timeout = REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:
        """Do nothing: a line for each scrape is of no interest."""
