"""One request by UDP, with a real socket and in real time.

The socket is connected: the kernel drops datagrams of other senders, and tells that nothing listens
at the port. It is the calling thread's and lasts as long as the call.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

from p2p import forks
from p2p.clock import Deadline
from p2p.nat.errors import NoAnswer
from p2p.nat.gateway import Stop
from p2p.nat.request import Request
from p2p.net import endpoint_of, family_of, sockaddr_of
from p2p.netutil import Endpoint, IPAddress

_T = TypeVar("_T")

#: Longest wait for a socket in one piece, in seconds.
_MAX_WAIT_S = 60.0


def ask(
    to: Endpoint,
    make_request: Callable[[IPAddress, float], Request[_T]],
    deadline: Deadline,
    stop: Stop,
    max_size_bytes: int,
) -> _T:
    """Return the answer of ``to`` to a request.

    ``make_request`` gets our address on the way there, and the time. Raises NoAnswer if nothing
    answers before ``deadline``, NatError for a refusal, Interrupted if it is stopped.
    """
    try:
        with socket.socket(family_of(to), socket.SOCK_DGRAM) as sock:
            forks.in_child(sock)
            sock.setblocking(False)
            sock.connect(sockaddr_of(to))
            ours = endpoint_of(sock.getsockname()).ip
            request = make_request(ours, time.monotonic())
            return _exchange(sock, request, deadline, stop, max_size_bytes)
    except OSError as error:
        raise NoAnswer(error.strerror or str(error)) from error


def _exchange(
    sock: socket.socket, request: Request[_T], deadline: Deadline, stop: Stop, max_size_bytes: int
) -> _T:
    while not deadline.is_over:
        data = request.poll_datagram(time.monotonic())
        if data is not None:
            sock.send(data)
        if request.is_over:
            break
        if stop.wait(sock, _wait_s(request, deadline)):
            answer = request.receive(sock.recv(max_size_bytes + 1))
            if answer is not None:
                return answer
    raise NoAnswer("no answer")


def _wait_s(request: Request[_T], deadline: Deadline) -> float:
    wait_s = max(0.0, request.deadline - time.monotonic())
    return min(wait_s, deadline.left_at_most(_MAX_WAIT_S))
