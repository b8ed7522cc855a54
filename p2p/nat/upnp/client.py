"""Requests to a router over TCP: a connection each, with a deadline and an interruption.

A request is sent only to the host that answered the search, and no redirection is followed. It is
for the thread of port mappings, which may block.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

from p2p import forks
from p2p.clock import Deadline
from p2p.nat.errors import InvalidAnswer, NatError
from p2p.nat.gateway import Stop
from p2p.nat.upnp.httpanswer import Answer, get, post
from p2p.nat.upnp.soap import Action, Fault, body_of, parse_answer
from p2p.nat.upnp.url import HttpURL

#: Limit on one request, in seconds; as in go-ethereum.
REQUEST_TIMEOUT_S = 3.0

_READ_BYTES = 16 * 1024
_OK = 200
#: The status of an answer with a fault (UPnP Device Architecture 1.1, section 3.2.2).
_FAULT = 500


def fetch(url: HttpURL, deadline: Deadline, stop: Stop) -> bytes:
    """Return the document at ``url``. Raises NatError, Interrupted."""
    with HttpConnection(url, deadline, stop) as connection:
        answer = connection.ask(get(url))
    if answer.status != _OK:
        raise NatError(f"router {url.authority}: HTTP status {answer.status}")
    return answer.body


class HttpConnection:
    """A connection for one request; closed at the end of a ``with`` statement."""

    def __init__(self, url: HttpURL, deadline: Deadline, stop: Stop) -> None:
        """Connect. Raises NatError, Interrupted."""
        self._url = url
        self._deadline = Deadline(deadline.left_at_most(REQUEST_TIMEOUT_S))
        self._stop = stop
        with self._as_nat_errors():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            with self._as_nat_errors():
                forks.in_child(self._socket)
                self._socket.setblocking(False)
                self._connect()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> HttpConnection:
        return self

    def __exit__(self, *details: object) -> None:
        self._socket.close()

    @property
    def local_address(self) -> IPv4Address:
        """Our address on the way to the router. Raises NatError."""
        with self._as_nat_errors():
            return IPv4Address(self._socket.getsockname()[0])

    def ask(self, request: bytes) -> Answer:
        """Send the request, and return the complete answer. Raises NatError, Interrupted."""
        with self._as_nat_errors():
            self._send(request)
            return self._read()

    def call(self, service_type: str, action: Action) -> dict[str, str] | Fault:
        """Return the results of an action, or the fault. Raises NatError, Interrupted."""
        body = body_of(service_type, action)
        answer = self.ask(post(self._url, f"{service_type}#{action.name}", body))
        with self._as_nat_errors():
            if answer.status not in (_OK, _FAULT):
                raise InvalidAnswer(f"HTTP status {answer.status} to {action.name}")
            return parse_answer(action, answer.body)

    def _connect(self) -> None:
        code = self._socket.connect_ex((str(self._url.host), self._url.port))
        if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            self._wait(write=True)
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def _send(self, request: bytes) -> None:
        left = memoryview(request)
        while left:
            self._wait(write=True)
            left = left[self._socket.send(left) :]

    def _read(self) -> Answer:
        answer = Answer()
        while not answer.is_complete:
            self._wait()
            data = self._socket.recv(_READ_BYTES)
            if data:
                answer.receive(data)
            else:
                answer.receive_end()
        return answer

    def _wait(self, write: bool = False) -> None:
        # The deadline is also for a router that always has another byte, and a wait may end early.
        while not self._deadline.is_over:
            if self._stop.wait(self._socket, self._deadline.left_s, write=write):
                return
        raise TimeoutError("no complete answer in time")

    @contextmanager
    def _as_nat_errors(self) -> Iterator[None]:
        """Make NatErrors, with the router's address, of the system's errors and invalid answers."""
        try:
            yield
        except InvalidAnswer as error:
            raise NatError(f"router {self._url.authority}: {error}") from error
        except OSError as error:
            text = error.strerror or str(error)
            raise NatError(f"router {self._url.authority}: {text}") from error
