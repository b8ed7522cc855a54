"""The address of a host name, within a deadline and until an interruption.

The resolver of the system blocks and cannot be stopped, so it is called on a thread of its own,
which is given up if it does not answer: it holds nothing but the name, and ends with the answer.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future

from p2p import forks
from p2p.clock import Deadline
from p2p.nat.gateway import NatError, Stop
from p2p.net import look_up
from p2p.netutil import IPAddress, read_ip


def address_of(host: str, deadline: Deadline, stop: Stop) -> IPAddress:
    """Return the address of ``host``, an address or a name.

    Raises NatError if the name has none or there is no answer before ``deadline``, Interrupted if
    it is stopped. Any thread.
    """
    try:
        ip = read_ip(host)
    except ValueError as error:
        raise NatError(str(error)) from None
    if ip is not None:
        return ip
    future: Future[IPAddress] = Future()
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise NatError(f"cannot look up {host}: {error}") from error
    with ours:
        for sock in (ours, theirs):
            forks.in_child(sock)
        _start(host, future, theirs)
        if not stop.wait(ours, deadline.left_s):
            raise NatError(f"cannot look up {host}: no answer in time")
    try:
        return future.result(0)
    except OSError as error:
        raise NatError(error.strerror or str(error)) from error


def _start(host: str, future: Future[IPAddress], sock: socket.socket) -> None:
    """Look up the name on a thread, which closes the socket when the future is set."""

    def run() -> None:
        with sock:
            try:
                future.set_result(look_up(host)[0])
            except OSError as error:
                future.set_exception(error)

    try:
        threading.Thread(target=run, name="p2p-nat-dns", daemon=True).start()
    except RuntimeError as error:  # the system has no more threads
        sock.close()
        raise NatError(f"cannot look up {host}: {error}") from error
