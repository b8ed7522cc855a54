"""Sockets that are ready take turns with what is posted and with timers, however many they are."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from p2p.clock import SimulatedClock
from p2p.net import READ, Loop
from tests.kit.waiting import PATIENCE_S, eventually

MANY = 200


@pytest.fixture
def readable() -> Iterator[list[socket.socket]]:
    """Sockets that are ready, all of them."""
    with ExitStack() as stack:
        near = []
        for _ in range(MANY):
            one, other = socket.socketpair()
            near.append(stack.enter_context(one))
            stack.enter_context(other).send(b"x")
        yield near


def _handle_all(
    loop: Loop, sockets: list[socket.socket], order: list[str], first: Callable[[], object]
) -> None:
    """Have each socket handled once; the first handler does ``first`` besides."""
    done = threading.Event()

    def register(sock: socket.socket) -> None:
        def on_ready(ready: int) -> None:
            loop.unregister(sock)
            if not order:
                first()
            order.append("socket")
            if order.count("socket") == MANY:
                done.set()

        loop.register(sock, READ, on_ready)

    loop.call(lambda: [register(sock) for sock in sockets])
    assert done.wait(PATIENCE_S)


def test_what_is_posted_does_not_wait_for_all_sockets(
    loop: Loop, readable: list[socket.socket]
) -> None:
    order: list[str] = []
    _handle_all(loop, readable, order, lambda: loop.post(order.append, "posted"))
    assert order.index("posted") <= MANY / 4


def test_timer_does_not_wait_for_all_sockets(readable: list[socket.socket]) -> None:
    clock, order = SimulatedClock(), list[str]()
    loop = Loop("turns", clock)
    loop.start()
    loop.call(loop.call_later, 1.0, order.append, "timer")
    _handle_all(loop, readable, order, lambda: clock.advance(1.0))
    loop.stop()
    assert loop.join(PATIENCE_S)
    assert order.index("timer") <= MANY / 4


def test_post_among_sockets_that_posts_itself_does_not_starve_them(
    loop: Loop, readable: list[socket.socket]
) -> None:
    order: list[str] = []

    def again() -> None:
        if order.count("socket") < MANY:
            loop.post(again)

    _handle_all(loop, readable, order, again)


def test_sockets_that_stay_ready_do_not_starve_the_others(
    loop: Loop, readable: list[socket.socket]
) -> None:
    handled: list[socket.socket] = []
    done = threading.Event()

    def register(sock: socket.socket) -> None:
        def on_ready(ready: int) -> None:
            if not done.is_set():
                handled.append(sock)
            if len(set(handled)) == MANY:
                done.set()

        loop.register(sock, READ, on_ready)

    loop.call(lambda: [register(sock) for sock in readable])
    assert done.wait(PATIENCE_S)
    loop.call(lambda: [loop.unregister(sock) for sock in readable])
    assert len(handled) <= 2 * MANY


def test_stop_wakes_a_loop_that_an_interrupted_post_has_left_asleep(loop: Loop) -> None:
    eventually(lambda: loop._asleep)
    loop._asleep = False  # as a Ctrl-C leaves it that comes before the wake-up is sent
    loop.stop()
    assert loop.join(PATIENCE_S)
