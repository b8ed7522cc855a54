"""The contract of a channel, on sockets of the kernel and on those in memory: the same states."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import p2p.lab
from p2p.lab.underlay.links import IDEAL
from p2p.net import Channel, Connector, Limiter, Listener, Loop, StreamSocket, Underlay, endpoint_of
from p2p.netutil import Endpoint
from tests.kit.waiting import PATIENCE_S, eventually
from tests.net.conftest import Recorder

pytestmark = pytest.mark.slow

MakeLoop = Callable[..., Loop]
#: More than any buffers between two ends hold.
MUCH = bytes(range(256)) * 131_072


class End:
    """One end of a connection: its loop, its channel, and what that has reported."""

    def __init__(self, loop: Loop, sock: StreamSocket) -> None:
        self.loop = loop
        self.seen = Recorder()
        self.channel: Channel = loop.call(Channel, loop, sock, self.seen)

    def do(self, method: str, *args: object) -> Any:
        return self.loop.call(getattr(self.channel, method), *args)


class Place:
    """A network of one kind: an address to listen on, and ends that are connected there."""

    def __init__(self, underlays: tuple[Underlay, Underlay], host: str | None, near: Loop) -> None:
        self.underlays = underlays
        self.near = near
        self.sock = underlays[1]._bind(host, 0)
        self.address = endpoint_of(self.sock.getsockname())

    def connect(self, address: Endpoint, timeout_s: float = PATIENCE_S) -> Any:
        """Return the socket of a connection, or the error."""
        outcomes: list[Any] = []
        underlay = self.underlays[0]

        def done(sock: object, error: object) -> None:
            outcomes.append(sock or error)

        self.near.call(Connector, self.near, address, timeout_s, done, underlay)
        eventually(lambda: outcomes)
        return outcomes[0]


#: Networks of a lab; each with a latency, too, so that the bytes are under way for a moment.
NETWORKS: dict[str, tuple[type[p2p.lab.MemoryNetwork | p2p.lab.LoopbackNetwork], p2p.lab.Link]] = {
    "memory": (p2p.lab.MemoryNetwork, IDEAL),
    "memory with links": (p2p.lab.MemoryNetwork, p2p.lab.Link(0.001)),
    "loopback": (p2p.lab.LoopbackNetwork, IDEAL),
    "loopback with links": (p2p.lab.LoopbackNetwork, p2p.lab.Link(0.001)),
}


@pytest.fixture(params=["kernel", *NETWORKS])
def place(request: pytest.FixtureRequest, make_loop: MakeLoop) -> Iterator[Place]:
    near = make_loop()
    if request.param == "kernel":
        place = Place((Underlay(), Underlay()), "127.0.0.1", near)
        yield place
    else:
        kind, link = NETWORKS[request.param]
        with kind(link=link) as network:
            place = Place((network.host(), network.host()), None, near)
            yield place
    place.sock.close()


@pytest.fixture
def ends(place: Place, make_loop: MakeLoop) -> Iterator[tuple[End, End]]:
    """The end that has connected, and the one that has accepted, each on a loop of its own."""
    far = make_loop()
    accepted: list[StreamSocket] = []
    listener = far.call(Listener, far, place.sock, lambda sock, _: accepted.append(sock))
    connected = place.connect(place.address)
    eventually(lambda: accepted)
    ends = End(place.near, connected), End(far, accepted[0])
    yield ends
    far.call(listener.close)
    for end in ends:
        end.do("abort")
        end.seen.wait("lost")


def test_ends_know_each_other(ends: tuple[End, End], place: Place) -> None:
    near, far = (end.channel for end in ends)
    assert near.remote_addr == far.local_addr == place.address
    assert near.local_addr == far.remote_addr


def test_bytes_arrive_both_ways_in_order(ends: tuple[End, End]) -> None:
    for sender, reader in (ends, ends[::-1]):
        sender.do("send", [b"p", bytearray(b"o"), memoryview(b"n"), b"", b"g"])
        sender.do("send", [b"!"])
        reader.seen.wait_bytes(5)
        assert reader.seen.data == b"pong!"


def test_reader_that_pauses_stops_the_writer(ends: tuple[End, End]) -> None:
    near, far = ends
    far.do("pause_reading")
    near.do("send", [MUCH])
    assert near.channel.unsent_bytes > 0
    assert far.seen.data == b""
    far.do("resume_reading")
    near.seen.wait("empty")
    assert near.channel.unsent_bytes == 0
    far.seen.wait_bytes(len(MUCH))
    assert far.seen.data == MUCH


def test_close_sends_the_rest_and_waits_for_the_remote(ends: tuple[End, End]) -> None:
    near, far = ends
    far.do("pause_reading")
    near.do("send", [MUCH])
    near.do("close", PATIENCE_S)
    far.do("resume_reading")
    far.seen.wait("eof")
    assert far.seen.data == MUCH
    assert "lost" not in near.seen.calls
    far.do("close", PATIENCE_S)
    near.seen.wait("lost")
    far.seen.wait("lost")
    assert near.seen.error is None and far.seen.error is None


def test_end_that_has_read_the_end_can_still_send(ends: tuple[End, End]) -> None:
    near, far = ends
    near.do("close", PATIENCE_S)
    far.seen.wait("eof")
    far.do("send", [b"late"])  # read, and dropped
    assert "lost" not in near.seen.calls
    far.do("close", PATIENCE_S)
    far.seen.wait("lost")
    assert far.seen.error is None


def test_close_ends_at_its_limit(ends: tuple[End, End]) -> None:
    near, far = ends
    near.do("close", 0.0)
    near.seen.wait("lost")
    assert near.seen.error is None
    far.seen.wait("eof")


def test_abort_is_seen_by_the_remote(ends: tuple[End, End]) -> None:
    near, far = ends
    near.do("send", [b"x"])
    near.do("abort")
    near.seen.wait("lost")
    far.seen.wait("eof")
    assert far.seen.data == b"x"
    near.do("send", [b"y"])  # no effect


def test_bytes_for_an_end_that_is_gone_cause_a_reset(ends: tuple[End, End]) -> None:
    near, far = ends
    near.do("abort")
    far.seen.wait("eof")
    far.do("send", [b"x"])
    eventually(lambda: far.do("send", [b"x"]) or "lost" in far.seen.calls)
    assert isinstance(far.seen.error, OSError)
    assert far.seen.error.errno in (errno.ECONNRESET, errno.EPIPE)


def test_unread_bytes_cause_a_reset_and_earlier_ones_are_read(ends: tuple[End, End]) -> None:
    near, far = ends
    near.do("pause_reading")
    near.do("send", [b"reason"])
    far.seen.wait_bytes(6)
    far.do("pause_reading")
    far.do("send", [b"unread"])
    near.do("send", [b", and more"])
    near.do("abort")
    far.seen.wait("failed")
    assert far.seen.data == b"reason"
    far.do("resume_reading")
    far.seen.wait("lost")
    assert isinstance(far.seen.error, ConnectionError)
    assert far.seen.data == b"reason, and more"


def test_limit_holds_bytes_back_and_loses_none(ends: tuple[End, End]) -> None:
    near, far = ends
    near.loop.call(lambda: near.channel.limit(None, Limiter(near.loop, 1024, None)))
    data = MUCH[:600_000]
    near.do("send", [data])
    eventually(lambda: near.do("take_write_wait"))
    assert near.channel.unsent_bytes > 0
    near.do("lift_limits")
    far.seen.wait_bytes(len(data))
    assert far.seen.data == data


def test_reading_is_limited(ends: tuple[End, End]) -> None:
    near, far = ends
    far.loop.call(lambda: far.channel.limit(Limiter(far.loop, 1024, None), None))
    near.do("send", [MUCH[:100_000]])
    eventually(lambda: far.do("take_read_wait"))
    assert len(far.seen.data) < 50_000
    far.do("lift_limits")
    far.seen.wait_bytes(100_000)


def test_port_without_a_listener_refuses(place: Place) -> None:
    place.sock.close()
    error = place.connect(place.address)
    assert isinstance(error, ConnectionRefusedError)
    assert str(place.address) in str(error)


def test_connections_that_wait_are_reset_when_the_listener_closes(
    place: Place, make_loop: MakeLoop
) -> None:
    end = End(place.near, place.connect(place.address))
    place.sock.close()
    end.seen.wait("lost")


def test_paused_listener_leaves_connections_waiting(place: Place, make_loop: MakeLoop) -> None:
    far = make_loop()
    accepted: list[StreamSocket] = []
    listener = far.call(Listener, far, place.sock, lambda sock, _: accepted.append(sock))
    far.call(listener.pause)
    sock = place.connect(place.address)
    far.call(int)
    assert accepted == []
    far.call(listener.resume)
    eventually(lambda: accepted)
    for one in (sock, accepted[0]):
        one.close()
    far.call(listener.close)


def test_port_is_taken_once(place: Place) -> None:
    underlay, (ip, port) = place.underlays[1], place.address
    with pytest.raises(OSError, match="cannot listen") as caught:
        underlay._bind(str(ip), port)
    assert caught.value.errno == errno.EADDRINUSE
    place.sock.close()
    underlay._bind(str(ip), port).close()


def test_address_of_another_host_cannot_be_bound(place: Place) -> None:
    for bind in (place.underlays[1]._bind, place.underlays[1]._bind_udp):
        with pytest.raises(OSError, match="cannot ") as caught:
            bind("192.0.2.1", 0)
        assert caught.value.errno == errno.EADDRNOTAVAIL


def test_socket_that_is_not_connected_is_shown_so(place: Place) -> None:
    sock = place.underlays[0]._new_stream(place.address)
    with pytest.raises(OSError) as caught:
        sock.getpeername()
    assert caught.value.errno == errno.ENOTCONN
    sock.setblocking(False)
    with pytest.raises(OSError):
        sock.send(b"x")
    sock.close()
    with pytest.raises(OSError) as caught:
        sock.recv_into(memoryview(bytearray(1)))
    assert caught.value.errno == errno.EBADF
    assert sock.family == socket.AF_INET
