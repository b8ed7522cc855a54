from __future__ import annotations

import errno
import hashlib
import select
import socket
import struct
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Any

import pytest

from p2p.clock import SimulatedClock, SystemClock
from p2p.net import UNKNOWN_ENDPOINT, Channel, Loop
from tests.kit.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.slow

Pair = tuple[socket.socket, socket.socket]
MakeLoop = Callable[..., Loop]
MIB = 1024 * 1024

needs_epoll = pytest.mark.skipif(sys.platform != "linux", reason="only epoll can tell")


class Quiet:
    """A receiver that is told, and does nothing."""

    def data_received(self, data: memoryview) -> None: ...
    def eof_received(self) -> None: ...
    def send_buffer_empty(self) -> None: ...
    def sending_failed(self, error: OSError) -> None: ...
    def connection_lost(self, error: OSError | None) -> None: ...


@pytest.fixture
def channel(loop: Loop, tcp_pair: Pair, recorder: Any) -> Iterator[Channel]:
    """A channel at the near end of ``tcp_pair``, which tells ``recorder``."""
    channel = loop.call(Channel, loop, tcp_pair[0], recorder)
    yield channel
    loop.call(channel.abort)
    recorder.wait("lost")
    loop.call(int)
    assert recorder.calls.count("lost") == 1
    assert recorder.calls[-1] == "lost"


def reset(sock: socket.socket) -> None:
    """Close so that a reset is sent."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_all(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(MIB):
        parts.append(part)
    return b"".join(parts)


def fill(loop: Loop, channel: Channel) -> bytes:
    """Send more than the kernel takes while nobody reads; returns all that was sent."""
    bound_kernel(channel)
    data = bytes(i % 251 for i in range(MIB)) * 32
    loop.call(channel.send, [data])
    assert channel.unsent_bytes > 0
    return data


def bound_kernel(channel: Channel) -> None:
    """Have the kernel keep no more of what is sent than it does at first."""
    channel._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 256 * 1024)


def spins(loop: Loop) -> bool:
    """Whether there is always something ready, pass after pass, so that the loop never sleeps.

    Asked on the loop, where what is ready has been handled in the pass before. Whatever else the
    kernel still has to tell of what was done is told once.
    """
    return all(loop.call(loop._poller.poll, 0.0) for _ in range(50))


def await_arrival(sock: socket.socket, size: int) -> None:
    """Wait until so many bytes lie in the kernel to be read."""
    eventually(lambda: bool(select.select([sock], [], [], 0)[0]))
    eventually(lambda: len(sock.recv(size, socket.MSG_PEEK)) == size)


# reading and writing


def test_channel_knows_both_addresses(channel: Channel, tcp_pair: Pair) -> None:
    port = tcp_pair[1].getpeername()[1]
    assert channel.local_addr == (IPv4Address("127.0.0.1"), port)
    assert channel.remote_addr == (IPv4Address("127.0.0.1"), tcp_pair[1].getsockname()[1])


def test_channel_sends_without_delay(channel: Channel, tcp_pair: Pair) -> None:
    assert tcp_pair[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert tcp_pair[0].gettimeout() == 0.0


def test_data_arrives_both_ways(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    tcp_pair[1].sendall(b"ping")
    recorder.wait_bytes(4)
    assert recorder.data == b"ping"
    loop.call(channel.send, [b"p", bytearray(b"o"), memoryview(b"n"), b"", b"g"])
    assert tcp_pair[1].recv(4, socket.MSG_WAITALL) == b"pong"


def test_read_size_bounds_what_is_delivered(loop: Loop, tcp_pair: Pair) -> None:
    sizes: list[int] = []
    done = threading.Event()

    class Sizes(Quiet):
        def data_received(self, data: memoryview) -> None:
            sizes.append(len(data))
            if sum(sizes) == 1000:
                done.set()

    tcp_pair[1].sendall(bytes(1000))
    channel = loop.call(Channel, loop, tcp_pair[0], Sizes(), 64)
    assert done.wait(PATIENCE_S)
    assert max(sizes) <= 64
    loop.call(channel.abort)


def test_channels_of_a_loop_read_into_the_same_memory(loop: Loop, tcp_pair: Pair) -> None:
    seen: list[object] = []
    both = threading.Semaphore(0)

    class Objects(Quiet):
        def data_received(self, data: memoryview) -> None:
            seen.append(data.obj)
            both.release()

    channels = [loop.call(Channel, loop, sock, Objects()) for sock in tcp_pair]
    for channel in channels:
        loop.call(channel.send, [b"x"])
    for _ in channels:
        assert both.acquire(timeout=PATIENCE_S)
    assert seen[0] is seen[1]
    for channel in channels:
        loop.call(channel.abort)


def test_50_mb_reach_a_slow_reader_in_order(make_loop: MakeLoop, tcp_pair: Pair) -> None:
    """The reader pauses at each piece and goes on a pass later; the buffers differ in size."""
    near_loop, far_loop = make_loop(), make_loop()
    chunks = [bytes([i % 256]) * (1 + i * 7919 % 40_000) for i in range(2500)]
    total = sum(map(len, chunks))
    done = threading.Event()

    class Slow(Quiet):
        def __init__(self) -> None:
            self.hash = hashlib.sha256()
            self.left = total

        def data_received(self, data: memoryview) -> None:
            self.hash.update(data)
            self.left -= len(data)
            reader.pause_reading()
            far_loop.post(reader.resume_reading)
            if not self.left:
                done.set()

    class Sender(Quiet):
        def send_buffer_empty(self) -> None:
            empty.set()

    reader: Channel
    empty = threading.Event()
    slow = Slow()
    writer = near_loop.call(Channel, near_loop, tcp_pair[0], Sender())

    def start() -> None:
        nonlocal reader
        reader = Channel(far_loop, tcp_pair[1], slow)

    far_loop.call(start)
    near_loop.call(writer.send, chunks)
    assert done.wait(PATIENCE_S)
    assert empty.wait(PATIENCE_S)
    assert slow.hash.digest() == hashlib.sha256(b"".join(chunks)).digest()
    assert writer.unsent_bytes == 0
    near_loop.call(writer.abort)
    far_loop.call(reader.abort)
    assert near_loop.crash is None and far_loop.crash is None


def test_more_buffers_than_one_system_call_takes_are_sent(
    loop: Loop, channel: Channel, tcp_pair: Pair
) -> None:
    buffers = [bytes([i % 256]) for i in range(10_000)]
    loop.call(channel.send, buffers)
    loop.call(channel.close, PATIENCE_S)
    assert read_all(tcp_pair[1]) == b"".join(buffers)


def test_buffer_of_wider_items_is_counted_in_bytes(
    loop: Loop, channel: Channel, tcp_pair: Pair
) -> None:
    words = memoryview(array("I", range(2_000_000)))
    bound_kernel(channel)
    loop.call(channel.send, [words])
    assert 0 < channel.unsent_bytes < words.nbytes
    loop.call(channel.close, PATIENCE_S)
    assert read_all(tcp_pair[1]) == words.tobytes()


def test_unsent_bytes_wait_and_their_end_is_told(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    data = fill(loop, channel)
    loop.call(channel.send, [b"end"])
    assert "empty" not in recorder.calls
    read = 0
    while read < len(data) + 3:
        read += len(tcp_pair[1].recv(MIB))
    recorder.wait("empty")
    assert channel.unsent_bytes == 0
    assert recorder.calls == ["empty"]


def test_send_that_need_not_wait_is_not_followed_by_a_call(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    loop.call(channel.send, [b"x"])
    loop.call(channel.send, [])
    assert channel.unsent_bytes == 0
    loop.call(int)
    assert recorder.calls == []


def test_idle_and_half_closed_channels_do_not_spin(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    assert not spins(loop)
    tcp_pair[1].shutdown(socket.SHUT_WR)
    recorder.wait("eof")
    assert not spins(loop)
    assert recorder.calls == ["eof"]


def test_channel_can_send_after_the_remote_has_shut_down(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    tcp_pair[1].shutdown(socket.SHUT_WR)
    recorder.wait("eof")
    loop.call(channel.send, [b"still here"])
    assert tcp_pair[1].recv(100) == b"still here"


# pausing


def test_paused_channel_delivers_nothing_until_resumed(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    loop.call(channel.pause_reading)
    tcp_pair[1].sendall(b"late")
    await_arrival(tcp_pair[0], 4)
    tcp_pair[1].shutdown(socket.SHUT_WR)
    assert not spins(loop)
    assert recorder.data == b"" and recorder.calls == []
    loop.call(channel.resume_reading)
    recorder.wait("eof")
    assert recorder.data == b"late"


def test_pause_inside_data_received_holds_back_the_rest(
    loop: Loop, tcp_pair: Pair, recorder: Any
) -> None:
    tcp_pair[1].sendall(b"abc")

    def start() -> Channel:
        channel = Channel(loop, tcp_pair[0], recorder, 1)
        recorder.on_data = channel.pause_reading
        return channel

    channel = loop.call(start)
    for count in (1, 2, 3):
        recorder.wait_bytes(count)
        for _ in range(2):  # the second runs after another look at the socket
            loop.call(int)
        assert len(recorder.data) == count
        loop.call(channel.resume_reading)
    loop.call(channel.abort)


@needs_epoll
def test_reset_is_noticed_while_paused(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    loop.call(channel.pause_reading)
    before = loop.passes
    reset(tcp_pair[1])
    recorder.wait("failed")
    assert isinstance(recorder.error, ConnectionResetError)
    assert loop.passes - before <= 3
    assert not spins(loop)
    assert recorder.calls == ["failed"]
    loop.call(channel.resume_reading)
    recorder.wait("lost")
    assert isinstance(recorder.error, ConnectionResetError)


@needs_epoll
def test_reset_is_noticed_while_paused_with_unsent_bytes(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    fill(loop, channel)
    loop.call(channel.pause_reading)
    assert not spins(loop)
    reset(tcp_pair[1])
    recorder.wait("failed")
    assert isinstance(recorder.error, ConnectionError)
    assert channel.unsent_bytes == 0
    assert not spins(loop)
    loop.call(channel.send, [b"to nobody"])
    assert channel.unsent_bytes == 0


def fail_while_paused(
    loop: Loop, channel: Channel, pair: Pair, recorder: Any, data: bytes
) -> None:
    """The remote says ``data`` and resets the connection; the channel finds out by a send."""
    loop.call(channel.pause_reading)
    pair[1].sendall(data)
    pair[1].shutdown(socket.SHUT_WR)
    pair[1].close()
    loop.call(channel.send, [b"this makes its kernel send the reset"])
    deadline = time.monotonic() + PATIENCE_S
    while not recorder.calls and time.monotonic() < deadline:
        loop.call(channel.send, [b"where there is no epoll, this tells"])
    assert recorder.calls == ["failed"]


def test_what_came_before_a_reset_is_delivered_after_the_pause(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    fail_while_paused(loop, channel, tcp_pair, recorder, b"d" * 50_000)
    assert recorder.data == b""
    loop.call(channel.resume_reading)
    recorder.wait("lost")
    assert recorder.data == b"d" * 50_000
    assert isinstance(recorder.error, ConnectionError)


def test_pause_while_the_last_is_read_holds_back_the_rest(
    loop: Loop, tcp_pair: Pair, recorder: Any
) -> None:
    channel = loop.call(Channel, loop, tcp_pair[0], recorder, 1000)
    recorder.on_data = channel.pause_reading
    fail_while_paused(loop, channel, tcp_pair, recorder, b"d" * 5_000)
    for received in range(1000, 5001, 1000):
        loop.call(channel.resume_reading)
        loop.call(int)
        assert len(recorder.data) == received
        assert "lost" not in recorder.calls
    loop.call(channel.resume_reading)
    recorder.wait("lost")


def test_close_of_a_paused_channel_that_has_failed_ends_it(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    fail_while_paused(loop, channel, tcp_pair, recorder, b"unread")
    loop.call(channel.close, PATIENCE_S)
    loop.call(int)
    assert recorder.calls == ["failed", "lost"]
    assert recorder.data == b"" and recorder.error is None


@needs_epoll
def test_reset_is_noticed_after_eof(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    tcp_pair[1].shutdown(socket.SHUT_WR)
    recorder.wait("eof")
    reset(tcp_pair[1])
    loop.call(channel.send, [b"to nobody"])
    recorder.wait("lost")
    assert isinstance(recorder.error, ConnectionError)


# errors


def test_reset_is_connection_lost(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    reset(tcp_pair[1])
    recorder.wait("lost")
    assert isinstance(recorder.error, ConnectionResetError)
    loop.call(channel.send, [b"x"])
    loop.call(channel.pause_reading)
    loop.call(channel.resume_reading)
    loop.call(channel.close, 1.0)


def test_send_error_is_told_later_and_once(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    def send_twice() -> list[str]:
        tcp_pair[0].shutdown(socket.SHUT_WR)  # so that the next send fails
        channel.send([b"x"])
        channel.send([b"y"])
        return list(recorder.calls)

    assert loop.call(send_twice) == []
    recorder.wait("lost")
    assert isinstance(recorder.error, BrokenPipeError)
    assert channel.unsent_bytes == 0


def test_what_the_remote_said_before_a_send_failed_is_delivered(
    loop: Loop, tcp_pair: Pair, recorder: Any
) -> None:
    """All that lies in our kernel by then, in however many pieces it is read."""
    size = 50_000  # less than fits, so that none of it is still to come

    def fail() -> None:
        channel = Channel(loop, tcp_pair[0], recorder, size // 20)
        tcp_pair[0].shutdown(socket.SHUT_WR)
        channel.send([b"x"])

    tcp_pair[1].sendall(bytes(size))
    await_arrival(tcp_pair[0], size)
    loop.call(fail)
    recorder.wait("lost")
    assert len(recorder.data) == size
    assert isinstance(recorder.error, BrokenPipeError)


def test_close_after_a_send_error_ends_without_error(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    def fail_and_close() -> None:
        tcp_pair[0].shutdown(socket.SHUT_WR)
        channel.send([b"x"])
        channel.close(PATIENCE_S)

    loop.call(fail_and_close)
    recorder.wait("lost")
    assert recorder.error is None


def test_connection_that_was_reset_before_is_lost_at_once(
    loop: Loop, tcp_pair: Pair, recorder: Any
) -> None:
    reset(tcp_pair[1])
    assert select.select([tcp_pair[0]], [], [], PATIENCE_S)[0]  # it has come
    channel = loop.call(Channel, loop, tcp_pair[0], recorder)
    recorder.wait("lost")
    assert recorder.error is not None
    assert recorder.error.errno in (errno.ECONNRESET, errno.ENOTCONN)
    assert channel.remote_addr == UNKNOWN_ENDPOINT


# close and abort


def test_what_was_sent_last_arrives_although_the_remotes_data_is_unread(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    """Without the lingering, the unread data would turn the close into a reset."""
    loop.call(channel.pause_reading)
    tcp_pair[1].sendall(bytes(100_000))
    loop.call(channel.send, [b"reason"])
    loop.call(channel.close, PATIENCE_S)
    tcp_pair[1].sendall(bytes(100_000))
    assert read_all(tcp_pair[1]) == b"reason"
    tcp_pair[1].close()
    recorder.wait("lost")
    assert recorder.error is None
    assert recorder.data == b""


def test_close_sends_what_waits_first(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    data = fill(loop, channel)
    loop.call(channel.close, PATIENCE_S)
    loop.call(channel.send, [b"too late"])
    assert read_all(tcp_pair[1]) == data
    tcp_pair[1].close()
    recorder.wait("lost")
    assert recorder.calls == ["lost"]
    assert recorder.error is None


def test_close_discards_what_comes_while_it_sends(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    """A remote that writes before it reads must not be waited for in vain."""
    data = fill(loop, channel)
    loop.call(channel.close, PATIENCE_S)
    tcp_pair[1].sendall(bytes(32 * MIB))
    tcp_pair[1].shutdown(socket.SHUT_WR)
    assert read_all(tcp_pair[1]) == data
    recorder.wait("lost")
    assert recorder.data == b""


def test_close_after_eof_ends_without_lingering(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    tcp_pair[1].shutdown(socket.SHUT_WR)
    recorder.wait("eof")

    def close() -> list[str]:
        channel.send([b"bye"])
        channel.close(1e9)
        return list(recorder.calls)

    assert loop.call(close) == ["eof"]  # not told inside of close()
    recorder.wait("lost")
    assert recorder.error is None
    assert read_all(tcp_pair[1]) == b"bye"


def test_draining_ends_with_the_linger_time(
    make_loop: MakeLoop, tcp_pair: Pair, recorder: Any
) -> None:
    clock = SimulatedClock()
    loop = make_loop(clock)
    channel = loop.call(Channel, loop, tcp_pair[0], recorder)
    loop.call(channel.close, 1.0)
    assert read_all(tcp_pair[1]) == b""
    tcp_pair[1].sendall(b"and on and on")
    clock.advance(0.9)
    loop.call(int)
    loop.call(int)
    assert recorder.calls == []
    clock.advance(0.1)
    recorder.wait("lost")
    assert recorder.error is None and recorder.data == b""


def test_flushing_ends_with_the_linger_time(
    make_loop: MakeLoop, tcp_pair: Pair, recorder: Any
) -> None:
    clock = SimulatedClock()
    loop = make_loop(clock)
    channel = loop.call(Channel, loop, tcp_pair[0], recorder)
    fill(loop, channel)
    loop.call(channel.close, 1.0)
    loop.call(channel.close, 1000.0)  # no effect
    clock.advance(1.0)
    recorder.wait("lost")
    assert recorder.error is None
    assert channel.unsent_bytes == 0


def test_reset_while_closing_ends_without_error(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    fill(loop, channel)
    loop.call(channel.close, PATIENCE_S)
    reset(tcp_pair[1])
    recorder.wait("lost")
    assert recorder.error is None


def test_close_inside_data_received_ends_delivery(
    loop: Loop, tcp_pair: Pair, recorder: Any
) -> None:
    tcp_pair[1].sendall(b"abcdef")
    tcp_pair[1].shutdown(socket.SHUT_WR)

    def start() -> None:
        channel = Channel(loop, tcp_pair[0], recorder, 2)
        recorder.on_data = lambda: channel.close(PATIENCE_S)

    loop.call(start)
    recorder.wait("lost")
    assert recorder.data == b"ab"
    assert recorder.calls == ["lost"]


def test_abort_closes_at_once_and_tells_later(
    loop: Loop, channel: Channel, tcp_pair: Pair, recorder: Any
) -> None:
    fill(loop, channel)

    def abort() -> list[str]:
        channel.abort()
        channel.abort()
        assert tcp_pair[0].fileno() == -1
        return list(recorder.calls)

    assert loop.call(abort) == []
    recorder.wait("lost")
    assert recorder.error is None


def test_abort_inside_data_received_ends_delivery(
    loop: Loop, tcp_pair: Pair, recorder: Any
) -> None:
    tcp_pair[1].sendall(b"abcdef")

    def start() -> None:
        channel = Channel(loop, tcp_pair[0], recorder, 2)
        recorder.on_data = channel.abort

    loop.call(start)
    recorder.wait("lost")
    assert recorder.data == b"ab"


def test_abort_in_on_end_still_tells(tcp_pair: Pair, recorder: Any) -> None:
    channels: list[Channel] = []
    loop = Loop("ending", SystemClock(), lambda error: channels[0].abort())
    loop.start()
    channels.append(loop.call(Channel, loop, tcp_pair[0], recorder))
    loop.stop()
    assert loop.join(PATIENCE_S)
    assert recorder.calls == ["lost"]
    assert tcp_pair[0].fileno() == -1
