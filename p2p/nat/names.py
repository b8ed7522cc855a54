"""The address of a host name, within a deadline and until an interruption.

A look-up that does not answer in time is given up (:mod:`p2p.net.lookups`).
"""

from __future__ import annotations

import socket

from p2p import forks
from p2p.clock import Deadline
from p2p.nat.gateway import NatError, Stop
from p2p.net import NameLookups
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
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise NatError(f"cannot look up {host}: {error}") from error
    with ours:
        for sock in (ours, theirs):
            forks.in_child(sock)
        future = NameLookups().begin(host)
        future.add_done_callback(lambda done: theirs.close())
        if not stop.wait(ours, deadline.left_s):
            raise NatError(f"cannot look up {host}: no answer in time")
    try:
        return future.result()[0]
    except (OSError, RuntimeError) as error:
        raise NatError(getattr(error, "strerror", None) or str(error)) from error
