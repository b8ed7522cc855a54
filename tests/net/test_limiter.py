"""Channels with a limit on their bytes: real sockets, and a clock that the test moves."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from p2p.clock import SimulatedClock
from p2p.net import Channel, Limiter, Loop
from p2p.net.shares import BURST_S
from tests.kit.waiting import PATIENCE_S, eventually

RATE = 100_000
BURST = int(RATE * BURST_S)
STEP_S = 0.05


class Limited:
    """A channel with a limiter for each direction, its recorder and the far end of its socket."""

    def __init__(self, loop: Loop, clock: SimulatedClock, pair: Any, recorder: Any) -> None:
        self.loop = loop
        self.clock = clock
        self.recorder = recorder
        self.far: socket.socket = pair[1]
        self.reading: Limiter = loop.call(Limiter, loop, RATE, None)
        self.writing: Limiter = loop.call(Limiter, loop, RATE, None)
        self.channel: Channel = loop.call(Channel, loop, pair[0], recorder)
        loop.call(self.channel.limit, self.reading, self.writing)

    def call(self, fn: Callable[..., Any], *args: object) -> Any:
        return self.loop.call(fn, *args, timeout_s=PATIENCE_S)

    def pass_time(self, seconds: float) -> None:
        """Move the clock in steps, and let the loop do what is due at each."""
        for _ in range(round(seconds / STEP_S)):
            self.clock.advance(STEP_S)
            self.settle()

    def settle(self) -> None:
        """Let the loop finish what can be done now: each call ends a pass."""
        for _ in range(8):
            self.call(int)


@pytest.fixture
def limited(make_loop: Any, tcp_pair: Any, recorder: Any) -> Iterator[Limited]:
    clock = SimulatedClock()
    loop = make_loop(clock)
    made = Limited(loop, clock, tcp_pair, recorder)
    yield made
    loop.call(made.channel.abort)
    recorder.wait("lost")
    assert loop.crash is None


def test_received_bytes_come_at_the_rate_and_all_of_them(limited: Limited) -> None:
    data = os.urandom(BURST + 2 * RATE)
    limited.far.sendall(data)
    limited.recorder.wait_bytes(BURST)
    limited.settle()
    assert len(limited.recorder.data) == BURST
    limited.pass_time(1.0)
    eventually(lambda: len(limited.recorder.data) >= BURST + RATE * 0.9)
    assert len(limited.recorder.data) <= BURST + RATE * 1.01
    limited.pass_time(1.2)
    limited.recorder.wait_bytes(len(data))
    assert limited.recorder.data == data


def test_sent_bytes_go_at_the_rate_and_all_of_them(limited: Limited) -> None:
    data = [os.urandom(size) for size in (1, 30_000, 50_000, BURST)]
    limited.call(limited.channel.send, data)
    eventually(lambda: limited.channel.unsent_bytes == 80_001)
    limited.pass_time(0.5)
    eventually(lambda: limited.channel.unsent_bytes <= 30_001 + RATE * STEP_S)
    assert limited.channel.unsent_bytes >= 30_001
    limited.pass_time(0.5)
    limited.recorder.wait("empty")
    received = b""
    while len(received) < sum(map(len, data)):
        received += limited.far.recv(65536)
    assert received == b"".join(data)


def test_wait_is_reported_once(limited: Limited) -> None:
    assert not limited.call(limited.channel.take_write_wait)
    limited.call(limited.channel.send, [bytes(BURST + 1)])
    eventually(lambda: limited.call(limited.channel.take_write_wait))
    assert limited.call(limited.channel.take_write_wait), "it still waits"
    limited.pass_time(0.2)
    limited.recorder.wait("empty")
    assert limited.call(limited.channel.take_write_wait)
    assert not limited.call(limited.channel.take_write_wait)
    assert not limited.call(limited.channel.take_read_wait)


def test_lifted_limits_let_all_pass_at_once(limited: Limited) -> None:
    limited.far.sendall(bytes(3 * BURST))
    limited.call(limited.channel.send, [bytes(3 * BURST)])
    limited.recorder.wait_bytes(BURST)
    limited.call(limited.channel.lift_limits)
    limited.recorder.wait("empty")
    limited.recorder.wait_bytes(3 * BURST)
    assert limited.channel.unsent_bytes == 0


def test_close_sends_the_rest_at_once(limited: Limited) -> None:
    limited.call(limited.channel.send, [bytes(3 * BURST)])
    limited.call(limited.channel.close, 1.0)
    received = 0
    while data := limited.far.recv(65536):
        received += len(data)
    assert received == 3 * BURST
    limited.far.close()


def test_reset_while_reading_waits_is_noticed_and_the_rest_is_read(limited: Limited) -> None:
    limited.far.sendall(bytes(2 * BURST))
    limited.recorder.wait_bytes(BURST)
    limited.settle()
    limited.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    limited.far.close()
    limited.recorder.wait("lost")
    assert isinstance(limited.recorder.error, ConnectionResetError)


def test_end_of_data_comes_after_the_data(limited: Limited) -> None:
    limited.far.sendall(bytes(2 * BURST))
    limited.far.shutdown(socket.SHUT_WR)
    limited.recorder.wait_bytes(BURST)
    assert "eof" not in limited.recorder.calls
    limited.pass_time(0.4)
    limited.recorder.wait("eof")
    assert len(limited.recorder.data) == 2 * BURST


def test_turn_of_a_paused_channel_is_for_the_others(
    limited: Limited, recorder: Any
) -> None:
    limited.far.sendall(bytes(3 * BURST))
    recorder.wait_bytes(BURST)
    limited.settle()
    limited.call(limited.channel.pause_reading)
    limited.pass_time(1.0)
    assert len(recorder.data) == BURST
    other = limited.call(limited.reading.join, int)
    assert limited.call(other.ask) > 0
    limited.call(other.leave)
    limited.call(limited.channel.resume_reading)
    limited.pass_time(0.6)
    recorder.wait_bytes(3 * BURST)


def test_turn_after_the_last_byte_is_harmless(limited: Limited) -> None:
    limited.call(limited.channel.send, [bytes(BURST + 1)])
    limited.call(limited.channel.abort)
    limited.pass_time(0.2)
    limited.recorder.wait("lost")
