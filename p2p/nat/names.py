"""The addresses of a host name, within a deadline and until an interruption.

:class:`p2p.net.NameLookups` has the threads; a look-up without an answer in time is given up. For
any thread that may block.
"""

from __future__ import annotations

import socket

from p2p import forks
from p2p.clock import Deadline
from p2p.nat.errors import NatError
from p2p.nat.gateway import Stop
from p2p.net import NameLookups
from p2p.netutil import IPAddress, read_ip


def addresses_of(
    host: str, deadline: Deadline, stop: Stop, lookups: NameLookups
) -> list[IPAddress]:
    """Return the addresses of ``host``, an address or a name, in the order in which to try them.

    Raises NatError if the name has none or there is no answer before ``deadline``, Interrupted if
    it is stopped.
    """
    try:
        ip = read_ip(host)
        return [ip] if ip is not None else _look_up(host, deadline, stop, lookups)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: no more threads
        raise NatError(getattr(error, "strerror", None) or str(error)) from error


def _look_up(name: str, deadline: Deadline, stop: Stop, lookups: NameLookups) -> list[IPAddress]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for sock in (ours, theirs):
            forks.in_child(sock)
        future = lookups.begin(name)
        future.add_done_callback(lambda done: theirs.close())  # ours can be read then
        try:
            if not stop.wait(ours, deadline.left_s):
                raise NatError(f"cannot look up {name}: no answer in time")
        finally:
            future.cancel()  # no effect on an answer
    return future.result()
