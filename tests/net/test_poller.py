from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Iterator

import pytest

from p2p.net import ERROR, READ, WRITE
from p2p.net.poller import EDGE, Poller, SelectorPoller, new_poller
from p2p.net.wakeup import WakeUp

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=[new_poller, SelectorPoller])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    make: Callable[[], Poller] = request.param
    poller = make()
    yield poller
    poller.close()


def test_tells_what_is_ready_of_what_was_asked(poller: Poller, tcp_pair: Pair) -> None:
    near, far = tcp_pair
    fd = near.fileno()
    far.send(b"x")
    poller.add(fd, READ)
    assert poller.poll(5.0) == [(fd, READ)]
    poller.change(fd, READ, WRITE)
    assert poller.poll(5.0) == [(fd, WRITE)]
    poller.change(fd, WRITE, READ | WRITE)
    assert poller.poll(5.0) == [(fd, READ | WRITE)]


def test_interest_0_is_quiet_until_it_changes(poller: Poller, tcp_pair: Pair) -> None:
    near, far = tcp_pair
    fd = near.fileno()
    far.send(b"x")
    poller.add(fd, 0)
    assert poller.poll(0.0) == []
    poller.change(fd, 0, READ)
    assert poller.poll(5.0) == [(fd, READ)]
    poller.change(fd, READ, 0)
    assert poller.poll(0.0) == []
    poller.remove(fd, 0)
    poller.add(fd, READ)
    assert poller.poll(5.0) == [(fd, READ)]
    poller.remove(fd, READ)
    assert poller.poll(0.0) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only epoll can tell")
def test_epoll_tells_of_a_reset_at_interest_0(tcp_pair: Pair) -> None:
    near, far = tcp_pair
    poller = new_poller()
    poller.add(near.fileno(), 0)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    ((fd, ready),) = poller.poll(5.0)
    assert fd == near.fileno()
    assert ready & ERROR and not ready & ~ERROR  # of its two bits, one may come before the other
    poller.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only epoll knows edges")
def test_wake_up_with_an_edge_is_told_once_for_each_time_it_is_sent() -> None:
    poller, wake_up = new_poller(), WakeUp()
    assert poller.knows_edges
    poller.add(wake_up.fd, READ | EDGE)
    for _ in range(3):  # and never drained
        wake_up.send()
        assert poller.poll(5.0) == [(wake_up.fd, READ)]
        assert poller.poll(0.0) == []
    poller.close()
    wake_up.close()


def test_poller_that_knows_no_edges_tells_of_a_wake_up_until_it_is_drained() -> None:
    poller, wake_up = SelectorPoller(), WakeUp()
    assert not poller.knows_edges
    poller.add(wake_up.fd, READ | EDGE)
    wake_up.send()
    assert poller.poll(5.0) == poller.poll(5.0) == [(wake_up.fd, READ)]
    wake_up.drain(READ)
    assert poller.poll(0.0) == []
    poller.close()
    wake_up.close()
