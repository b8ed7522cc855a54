"""Fixtures of the network layer: a running loop, and TCP connections over loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from p2p.clock import Clock, SystemClock
from p2p.net import Loop
from tests.kit.waiting import PATIENCE_S


class Recorder:
    """A receiver that keeps what it is told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.calls: list[str] = []
        self.error: OSError | None = None
        self.on_data: Callable[[], None] = lambda: None
        self._changed = threading.Condition()

    def data_received(self, data: memoryview) -> None:
        with self._changed:
            self.data += data
            self._changed.notify_all()
        self.on_data()

    def eof_received(self) -> None:
        self._note("eof")

    def send_buffer_empty(self) -> None:
        self._note("empty")

    def sending_failed(self, error: OSError) -> None:
        self.error = error
        self._note("failed")

    def connection_lost(self, error: OSError | None) -> None:
        self.error = error
        self._note("lost")

    def _note(self, call: str) -> None:
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()

    def wait(self, what: str) -> None:
        """Wait for a call: ``eof``, ``empty``, ``failed`` or ``lost``."""
        with self._changed:
            assert self._changed.wait_for(lambda: what in self.calls, PATIENCE_S), self.calls

    def wait_bytes(self, count: int) -> None:
        """Wait until ``count`` bytes have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.data) >= count, PATIENCE_S)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def make_loop() -> Iterator[Callable[..., Loop]]:
    """Makes loops that are running, and ends them."""
    loops = []

    def make(clock: Clock | None = None) -> Loop:
        loop = Loop("test-loop", clock or SystemClock())
        loops.append(loop)
        loop.start()
        return loop

    yield make
    for loop in loops:
        loop.stop()
        assert loop.join(PATIENCE_S)


@pytest.fixture
def loop(make_loop: Callable[..., Loop]) -> Iterator[Loop]:
    """A running loop, which must not crash."""
    loop = make_loop()
    yield loop
    assert loop.crash is None


@pytest.fixture
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected TCP sockets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    near.settimeout(PATIENCE_S)
    far.settimeout(PATIENCE_S)
    with near, far:
        yield near, far
