"""Streams and datagrams over the links of a network in memory, on simulated time."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address
from typing import Any

import pytest

import p2p
from p2p.lab import LabClock, Link, MemoryHost, MemoryNetwork
from p2p.lab.underlay.datagrams import QUEUE_BYTES
from p2p.lab.underlay.links import MIN_RETRANSMISSION_S
from p2p.lab.underlay.pipe import CAPACITY_BYTES
from p2p.lab.underlay.stream import MemoryStream
from p2p.netutil import Endpoint

PORT = 30303


class World:
    """Two hosts, one of which listens, and a third."""

    def __init__(self, network: MemoryNetwork, clock: LabClock) -> None:
        self.network, self.clock = network, clock
        self.near, self.far, self.other = network.host(), network.host(), network.host()
        self.listener = self.far._bind(None, PORT)
        self.start = clock.monotonic()

    @property
    def time(self) -> float:
        return self.clock.monotonic() - self.start

    def call(self, host: MemoryHost | None = None) -> MemoryStream:
        """Begin to connect to the listener."""
        address = Endpoint(self.far.ip, PORT)
        stream = (host or self.near)._new_stream(address)
        assert stream.connect_ex((str(address.ip), PORT)) in (0, errno.EINPROGRESS)
        return stream

    def connected(self) -> tuple[MemoryStream, MemoryStream]:
        """Return both ends of a connection, as soon as they have it."""
        stream = self.call()
        assert self.clock.run_until(lambda: is_connected(stream), 60)
        self.start = self.clock.monotonic()
        return stream, self.listener.accept()[0]

    def when(self, happens: Callable[[], object], limit: float = 3600) -> float:
        """Return the time at which something happens."""
        assert self.clock.run_until(happens, limit)
        return self.time


def is_connected(stream: MemoryStream) -> bool:
    try:
        return bool(stream.getpeername())
    except OSError:
        return False


def read(stream: MemoryStream, size: int = 2**20) -> bytes | int:
    """Return what can be read now, the empty string at the end, or the number of the error."""
    buffer = memoryview(bytearray(size))
    try:
        return bytes(buffer[: stream.recv_into(buffer)])
    except OSError as error:
        return error.errno or 0


def has(stream: MemoryStream, wanted: bytes) -> Callable[[], bool]:
    """Return a condition: so much has been read, in all."""
    got = bytearray()

    def look() -> bool:
        part = read(stream)
        if isinstance(part, bytes):
            got.extend(part)
        assert wanted.startswith(got)
        return bytes(got) == wanted

    return look


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    networks: list[MemoryNetwork] = []

    def make(*link: object, **options: Any) -> World:
        clock = LabClock()
        options.setdefault("jitter", 0)
        networks.append(MemoryNetwork(seed=1, link=Link(*link, **options), clock=clock))
        return World(networks[-1], clock)

    yield make
    for network in networks:
        network.close()


MakeWorld = Callable[..., World]


# hosts


def test_hosts_have_addresses_in_networks_of_their_own(make_world: MakeWorld) -> None:
    world = make_world(0)
    assert [str(host.ip) for host in world.network.hosts] == ["240.0.1.1", "240.0.2.1", "240.0.3.1"]
    assert str(world.network.host("240.0.5.1")) == "<MemoryHost 240.0.5.1>"
    more = [str(world.network.host().ip) for _ in range(2)]
    assert more == ["240.0.6.1", "240.0.7.1"]


@pytest.mark.parametrize("ip", ["240.0.1.1", "::1", "x", 5])
def test_address_of_a_host_is_one_that_is_free(make_world: MakeWorld, ip: Any) -> None:
    with pytest.raises(p2p.ArgumentError):
        make_world(0).network.host(ip)


# streams


def test_connection_takes_a_round_trip(make_world: MakeWorld) -> None:
    world = make_world(0.1)
    stream = world.call()
    assert world.when(lambda: is_connected(stream)) == pytest.approx(0.2)
    accepted, (host, port) = world.listener.accept()
    assert (host, port) == stream.getsockname()
    assert accepted.getpeername() == (host, port)


def test_bytes_take_the_latency_and_keep_their_order(make_world: MakeWorld) -> None:
    world = make_world(0.1, jitter=2.0)
    near, far = world.connected()
    parts = [b"%d," % number for number in range(100)]
    for part in parts:
        near.send(part)
    assert read(far) == errno.EAGAIN
    assert 0.1 <= world.when(has(far, b"".join(parts))) <= 0.3


def test_bandwidth_is_the_rate_of_a_stream(make_world: MakeWorld) -> None:
    world = make_world(0.1, bandwidth=100_000)
    near, far = world.connected()
    data = bytes(200_000)
    assert near.send(data) == len(data)
    assert world.when(has(far, data)) == pytest.approx(2.1, rel=0.01)


def test_loss_costs_time_and_no_byte(make_world: MakeWorld) -> None:
    world = make_world(0.01, loss=0.1)
    near, far = world.connected()
    data = bytes(range(256)) * 900
    assert near.send(data) == len(data)
    assert world.when(has(far, data)) >= MIN_RETRANSMISSION_S


def test_writer_waits_for_the_reader(make_world: MakeWorld) -> None:
    near, far = make_world(0).connected()
    assert near.send(bytes(CAPACITY_BYTES + 1)) == CAPACITY_BYTES
    with pytest.raises(BlockingIOError):
        near.send(b"x")
    read(far, CAPACITY_BYTES // 4)
    read(far)
    assert near.send(b"x") == 1


def test_partition_holds_bytes_until_it_heals(make_world: MakeWorld) -> None:
    world = make_world(0.1)
    near, far = world.connected()
    near.send(b"one, ")
    world.clock.run_for(0.05)
    world.network.partition([world.near])
    near.send(b"two, ")
    far.send(b"back")
    world.clock.run_for(60)
    assert read(near) == read(far) == errno.EAGAIN
    world.network.heal()
    near.send(b"three")
    start = world.time
    assert world.when(has(far, b"one, two, three")) == pytest.approx(start + 0.1)
    assert read(near) == b"back"


def test_partition_stops_requests_and_answers_until_it_heals(make_world: MakeWorld) -> None:
    world = make_world(0.1)
    early = world.call()
    world.clock.run_for(0.15)
    world.network.partition([world.far])
    late = world.call()
    world.clock.run_for(60)
    assert not is_connected(early) and not is_connected(late)
    world.network.heal()
    world.clock.run_for(1)
    assert is_connected(early) and is_connected(late)


def test_partition_is_between_its_sides_only(make_world: MakeWorld) -> None:
    world = make_world(0)
    world.network.partition([world.near, world.far])
    assert is_connected(world.call())
    assert not is_connected(world.call(world.other))


def test_link_of_two_hosts_is_their_own(make_world: MakeWorld) -> None:
    world = make_world(0.1)
    link = world.network.set_link(world.near, world.far, latency_s=1.0)
    assert link == world.network.link_of(world.far, world.near) == Link(1.0, jitter=0)
    assert world.network.link_of(world.near, world.other) == world.network.link
    world.network.set_link(world.near, world.far, one_way=True, latency_s=2.0)
    stream = world.call()
    assert world.when(lambda: is_connected(stream)) == pytest.approx(3.0)


def test_link_that_gets_faster_keeps_the_order(make_world: MakeWorld) -> None:
    world = make_world(1.0)
    near, far = world.connected()
    near.send(b"slow, ")
    world.network.set_link(world.near, world.far, latency_s=0.0)
    near.send(b"fast")
    assert read(far) == errno.EAGAIN
    assert world.when(has(far, b"slow, fast")) == pytest.approx(1.0)


def test_reset_ends_the_connections_of_two_hosts_at_both_ends(make_world: MakeWorld) -> None:
    world = make_world(0.1)
    (near, far), kept = world.connected(), world.call(world.other)
    near.send(b"lost")
    assert world.network.reset(world.near, world.far) == 1
    assert read(near) == read(far) == errno.ECONNRESET
    world.clock.run_for(1)
    assert is_connected(kept)
    assert world.network.reset(world.near, world.far) == 0 or near.is_over


def test_bytes_of_a_closed_end_still_arrive(make_world: MakeWorld) -> None:
    world = make_world(5.0)
    near, far = world.connected()
    near.send(b"goodbye")
    near.close()
    assert world.when(has(far, b"goodbye")) == pytest.approx(5.0)
    assert read(far) == b""


def test_refusal_takes_a_round_trip_and_silence_has_no_end(make_world: MakeWorld) -> None:
    world = make_world(0.1)
    world.listener.close()
    refused = world.call()
    assert world.when(lambda: refused.is_over) == pytest.approx(0.2)
    assert read(refused) == errno.ECONNREFUSED
    silent = world.near._new_stream(Endpoint(world.far.ip, PORT))
    assert silent.connect_ex(("20.9.9.9", PORT)) == errno.EINPROGRESS
    world.clock.run_for(600)
    assert not silent.is_over and not is_connected(silent)


def test_request_of_a_socket_that_was_closed_makes_no_connection(make_world: MakeWorld) -> None:
    world = make_world(0.1)
    world.call().close()
    world.clock.run_for(1)
    with pytest.raises(BlockingIOError):
        world.listener.accept()


def test_ipv6_is_not_there(make_world: MakeWorld) -> None:
    world = make_world(0)
    with pytest.raises(OSError) as caught:
        world.near._new_stream(Endpoint(IPv6Address("2001:db8::1"), PORT))
    assert caught.value.errno == errno.EAFNOSUPPORT


# datagrams


def test_datagrams_take_the_latency_and_are_counted(make_world: MakeWorld) -> None:
    world = make_world(0.1)
    here, there = world.near._bind_udp(None, 0), world.far._bind_udp(None, PORT)
    here.sendto(b"hello", there.getsockname())
    here.sendto(b"nobody", (str(world.far.ip), PORT + 1))
    assert world.when(there.readiness) == pytest.approx(0.1)
    assert there.recvfrom(4) == (b"hell", here.getsockname())
    with pytest.raises(BlockingIOError):
        there.recvfrom(4)
    traffic = world.network.traffic
    assert (traffic.sent, traffic.delivered, traffic.refused, traffic.lost) == (2, 1, 1, 0)


def test_datagrams_under_way_are_lost_at_a_partition(make_world: MakeWorld) -> None:
    world = make_world(0.1)
    here, there = world.near._bind_udp(None, 0), world.far._bind_udp(None, 0)
    here.sendto(b"x", there.getsockname())
    world.network.partition([world.near])
    world.clock.run_for(1)
    world.network.heal()
    world.clock.run_for(1)
    assert world.network.traffic.lost == 1
    assert not there.readiness()


def test_queue_of_datagrams_is_bounded(make_world: MakeWorld) -> None:
    world = make_world(0)
    here, there = world.near._bind_udp(None, 0), world.far._bind_udp(None, 0)
    size = 60_000
    for _ in range(QUEUE_BYTES // size + 5):
        here.sendto(bytes(size), there.getsockname())
    assert world.network.traffic.lost == 5
    with pytest.raises(OSError) as caught:
        here.sendto(bytes(65_508), there.getsockname())
    assert caught.value.errno == errno.EMSGSIZE


def test_closed_socket_takes_and_sends_nothing(make_world: MakeWorld) -> None:
    world = make_world(0)
    here, there = world.near._bind_udp(None, 0), world.far._bind_udp(None, PORT)
    there.close()
    here.sendto(b"x", (str(world.far.ip), PORT))
    assert world.network.traffic.refused == 1
    with pytest.raises(OSError):
        there.sendto(b"x", here.getsockname())
    world.far._bind_udp(None, PORT).close()


@pytest.mark.parametrize("options", [{"seed": "1"}, {"link": 0.1}])
def test_wrong_argument_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(p2p.ArgumentError):
        MemoryNetwork(**options)
