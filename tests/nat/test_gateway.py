"""The interruption of a thread that waits for a router."""

from __future__ import annotations

import socket
import threading

import pytest

from p2p.nat.errors import Interrupted
from p2p.nat.gateway import Stop


def test_a_wait_ends_when_the_socket_can_be_read(stop: Stop) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not stop.wait(ours, 0)
        theirs.send(b"x")
        assert stop.wait(ours, None)
        assert stop.wait(ours, None, write=True)


def test_a_set_stop_ends_each_wait_until_it_is_cleared(stop: Stop) -> None:
    stop.set()
    stop.set()
    for _ in range(2):
        with pytest.raises(Interrupted):
            stop.wait(None, None)
    stop.clear()
    assert not stop.is_set
    assert not stop.wait(None, 0)


def test_another_thread_ends_a_wait_for_a_silent_socket(stop: Stop) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        setter = threading.Thread(target=stop.set)
        setter.start()
        with pytest.raises(Interrupted):
            stop.wait(ours, None)
        setter.join()


def test_set_and_wait_after_close_do_no_harm(stop: Stop) -> None:
    stop.close()
    stop.close()
    stop.set()
    with pytest.raises(Interrupted):
        stop.wait(None, None)
