"""The addresses of a host name, within a deadline and until an interruption.

:class:`p2p.net.NameLookups` has the threads; a look-up without an answer in time is given up. For
any thread that may block.
"""

from __future__ import annotations

import socket
from concurrent.futures import Future

from p2p import forks
from p2p.clock import Deadline
from p2p.nat.errors import NatError
from p2p.nat.gateway import Stop
from p2p.net import NameLookups
from p2p.netutil import IPAddress, read_ip


def addresses_of(host: str, deadline: Deadline, stop: Stop) -> list[IPAddress]:
    """Return the addresses of ``host``, an address or a name, in the order in which to try them.

    Raises NatError if the name has none or there is no answer before ``deadline``, Interrupted if
    it is stopped.
    """
    try:
        ip = read_ip(host)
        if ip is not None:
            return [ip]
        future = NameLookups().begin(host)
        if not _is_done(future, deadline, stop):
            raise NatError(f"cannot look up {host}: no answer in time")
        return future.result()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: no more threads
        raise NatError(getattr(error, "strerror", None) or str(error)) from error


def _is_done(future: Future[list[IPAddress]], deadline: Deadline, stop: Stop) -> bool:
    """Wait for the future. Returns whether it is done in time."""
    ours, theirs = socket.socketpair()
    with ours:
        for sock in (ours, theirs):
            forks.in_child(sock)
        future.add_done_callback(lambda done: theirs.close())  # ours can be read then
        return stop.wait(ours, deadline.left_s)
