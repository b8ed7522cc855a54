from __future__ import annotations

import errno
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from p2p.clock import SimulatedClock
from p2p.net import Datagrams, Loop, bind_udp
from p2p.net.udp import MAX_ZONES
from p2p.netutil import Endpoint
from tests.kit.waiting import PATIENCE_S, eventually

MAX_SIZE = 1280
HOME = IPv4Address("127.0.0.1")

has_ipv6 = pytest.mark.skipif(
    not socket.has_dualstack_ipv6(), reason="this machine has no dual-stack IPv6"
)


class Received:
    """Keeps the batches that come, and lets a test wait for datagrams."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[bytes, Endpoint]]] = []
        self._more = threading.Semaphore(0)

    def __call__(self, batch: list[tuple[bytes, Endpoint]]) -> None:
        self.batches.append(batch)
        for _ in batch:
            self._more.release()

    @property
    def all(self) -> list[tuple[bytes, Endpoint]]:
        return [datagram for batch in self.batches for datagram in batch]

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            assert self._more.acquire(timeout=PATIENCE_S)


class Failing(socket.socket):
    """A bound socket whose next calls fail as planned, before they reach the kernel."""

    def __init__(self) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self.bind(("127.0.0.1", 0))
        self.sends: list[int] = []
        self.reads: list[int] = []

    def sendto(self, *args: object) -> int:
        if self.sends:
            code = self.sends.pop(0)
            raise OSError(code, "planned")
        return super().sendto(*args)  # type: ignore[call-overload, no-any-return]

    def recvfrom(self, *args: object) -> tuple[bytes, object]:
        if self.reads:
            code = self.reads.pop(0)
            raise OSError(code, "planned")
        return super().recvfrom(*args)  # type: ignore[arg-type]


class Stocked(Failing):
    """A bound socket that has datagrams before any comes, and tells of them once one has come.

    The kernel may let those of a burst arrive one by one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stock: list[bytes] = []

    def recvfrom(self, *args: object) -> tuple[bytes, object]:
        if self.stock:
            return self.stock.pop(0), self.getsockname()
        return super().recvfrom(*args)


Make = Callable[..., Datagrams]


@pytest.fixture
def received() -> Received:
    return Received()


@pytest.fixture
def make(loop: Loop, received: Received) -> Iterator[Make]:
    """Makes datagrams on 127.0.0.1 or on a given socket, which are closed at the end."""
    made = []

    def make(sock: socket.socket | None = None, on: Loop = loop, **options: int) -> Datagrams:
        sock = sock or bind_udp("127.0.0.1", 0)

        def build() -> Datagrams:
            assert sock is not None
            return Datagrams(on, sock, received, max_size_bytes=MAX_SIZE, **options)

        datagrams = on.call(build)
        made.append((on, datagrams))
        return datagrams

    yield make
    for on, datagrams in made:
        on.call(datagrams.close)


@pytest.fixture
def remote() -> Iterator[socket.socket]:
    """A UDP socket of another program on this machine."""
    with bind_udp("127.0.0.1", 0) as sock:
        sock.settimeout(PATIENCE_S)
        yield sock


def at(datagrams: Datagrams) -> tuple[str, int]:
    return str(datagrams.address[0]), datagrams.address[1]


# bind_udp


@pytest.mark.parametrize("host", [None, "", "::"])
@has_ipv6
def test_bind_to_all_addresses_serves_both_families(
    make: Make, received: Received, host: str | None
) -> None:
    datagrams = make(bind_udp(host, 0))
    port = datagrams.address[1]
    assert port > 0
    for family, home in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", (home, port))
            received.wait()
    assert [ip for _, (ip, _) in received.all] == [HOME, IPv6Address("::1")]


def test_bind_to_one_address() -> None:
    with bind_udp("127.0.0.1", 0) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"
        assert sock.gettimeout() == 0.0
        assert sock.type is socket.SOCK_DGRAM


def test_bind_takes_a_mapped_address_as_ipv4() -> None:
    with bind_udp("::ffff:127.0.0.1", 0) as sock:
        assert sock.family is socket.AF_INET


@pytest.mark.parametrize("host", ["localhost", "0x7f.1", "127.1", "no such host", "[::1]"])
def test_bind_looks_no_name_up(host: str) -> None:
    with pytest.raises(OSError, match="not a numeric IP address") as caught:
        bind_udp(host, 30303)
    assert caught.value.errno == errno.EINVAL
    assert host in str(caught.value)


@pytest.mark.parametrize("port", [-1, 65536])
def test_bind_refuses_an_impossible_port(port: int) -> None:
    with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
        bind_udp("127.0.0.1", port)


def test_bind_to_a_used_port_names_the_address() -> None:
    with bind_udp("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}") as caught:
            bind_udp("127.0.0.1", port)
    assert caught.value.errno == errno.EADDRINUSE


def test_bind_enlarges_the_receive_buffer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        usual = plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    with bind_udp("127.0.0.1", 0) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= usual


# link-local addresses


LO = "lo" if sys.platform == "linux" else "lo0"


class Recording(socket.socket):
    """A bound socket of both families that keeps where it would send to."""

    def __init__(self) -> None:
        super().__init__(fileno=bind_udp(None, 0).detach())
        self.targets: list[object] = []

    def sendto(self, data: bytes, to: object) -> int:  # type: ignore[override]
        self.targets.append(to)
        return len(data)


@has_ipv6
def test_zone_of_an_address_is_the_interface_to_send_by(make: Make, loop: Loop) -> None:
    sock = Recording()
    datagrams = make(sock)
    ips = [IPv6Address(text) for text in (f"fe80::1%{LO}", "fe80::2%none such", "fe80::3", "::1")]
    for ip in ips:
        loop.call(datagrams.use_zone, ip)
        assert loop.call(datagrams.send, b"x", (IPv6Address(int(ip)), 5))
    loop.call(datagrams.use_zone, HOME)
    scope = socket.if_nametoindex(LO)
    assert sock.targets == [("fe80::1", 5, 0, scope), ("fe80::2", 5), ("fe80::3", 5), ("::1", 5)]


@has_ipv6
def test_number_of_zones_has_a_bound(make: Make, loop: Loop) -> None:
    sock = Recording()
    datagrams = make(sock)
    for number in range(MAX_ZONES + 1):
        loop.call(datagrams.use_zone, IPv6Address(f"fe80::{number:x}%1"))
    for number in (0, MAX_ZONES):
        loop.call(datagrams.send, b"x", (IPv6Address(f"fe80::{number:x}"), 5))
    assert sock.targets == [("fe80::", 5, 0, 1), (f"fe80::{MAX_ZONES:x}", 5)]
    loop.call(datagrams.use_zone, IPv6Address("fe80::%2"))  # known, and moved
    loop.call(datagrams.send, b"x", (IPv6Address("fe80::"), 5))
    assert sock.targets[-1] == ("fe80::", 5, 0, 2)


# receiving


def test_datagram_comes_with_its_sender(
    make: Make, received: Received, remote: socket.socket
) -> None:
    datagrams = make()
    remote.sendto(b"hello", at(datagrams))
    received.wait()
    assert received.all == [(b"hello", (HOME, remote.getsockname()[1]))]


def test_datagrams_of_one_sender_come_in_their_order(
    make: Make, received: Received, remote: socket.socket
) -> None:
    datagrams = make()
    sent = [bytes([number]) for number in range(50)]
    for data in sent:
        remote.sendto(data, at(datagrams))
    received.wait(50)
    assert [data for data, _ in received.all] == sent


def test_empty_datagram_is_one_too(make: Make, received: Received, remote: socket.socket) -> None:
    remote.sendto(b"", at(make()))
    received.wait()
    assert [data for data, _ in received.all] == [b""]


@pytest.mark.parametrize("size, seen", [(1280, 1280), (1281, 1281), (1282, 1281), (9000, 1281)])
def test_too_long_datagram_is_seen_as_such_and_not_whole(
    make: Make, received: Received, remote: socket.socket, size: int, seen: int
) -> None:
    remote.sendto(b"x" * size, at(make()))
    received.wait()
    assert [len(data) for data, _ in received.all] == [seen]


def test_at_most_the_budget_is_read_in_a_pass(
    loop: Loop, make: Make, received: Received, remote: socket.socket
) -> None:
    sock = Stocked()
    sock.stock = [bytes([number]) for number in range(9)]
    remote.sendto(b"the last one", sock.getsockname())
    make(sock, budget=4)
    received.wait(10)
    assert [len(batch) for batch in received.batches] == [4, 4, 2]


@pytest.mark.parametrize("code", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EMSGSIZE])
def test_error_about_what_was_sent_before_stops_no_reading(
    make: Make, received: Received, remote: socket.socket, code: int
) -> None:
    sock = Failing()
    sock.reads = [code, code]
    remote.sendto(b"x", sock.getsockname())
    datagrams = make(sock)
    received.wait()
    assert datagrams.read_errors == {errno.errorcode[code]: 2}


def test_reading_goes_on_a_little_later_when_the_kernel_has_no_memory(
    make_loop: Callable[..., Loop],
    make: Make,
    received: Received,
    remote: socket.socket,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = SimulatedClock()
    loop = make_loop(clock)
    sock = Failing()
    sock.reads = [errno.ENOBUFS] * 2
    remote.sendto(b"x", sock.getsockname())
    with caplog.at_level(logging.WARNING, "p2p.net"):
        datagrams = make(sock, loop)
        for tries in (1, 2):
            while datagrams.read_errors != {"ENOBUFS": tries}:
                loop.call(int)
            before = loop.passes
            for _ in range(10):
                loop.call(int)
            assert loop.passes - before <= 30, "it spins"
            assert received.all == []
            clock.advance(0.05)
        received.wait()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"127.0.0.1:{datagrams.address[1]}" in caplog.text


# sending


def test_sent_datagram_arrives(loop: Loop, make: Make, remote: socket.socket) -> None:
    datagrams = make()
    assert loop.call(datagrams.send, b"hello", (HOME, remote.getsockname()[1]))
    assert remote.recvfrom(100) == (b"hello", at(datagrams))
    assert datagrams.lost == {}


@has_ipv6
def test_dual_stack_socket_sends_to_both_families(loop: Loop, make: Make) -> None:
    datagrams = make(bind_udp(None, 0))
    with ExitStack() as stack:
        for home in ("127.0.0.1", "::1"):
            sock = stack.enter_context(bind_udp(home, 0))
            sock.settimeout(PATIENCE_S)
            assert loop.call(datagrams.send, b"x", (ip_address(home), sock.getsockname()[1]))
            assert sock.recv(100) == b"x"


@pytest.mark.parametrize(
    "code",
    [
        errno.ENOBUFS, errno.EPERM, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EMSGSIZE,
        errno.ECONNREFUSED, errno.EAGAIN, errno.EINVAL,
    ],
    ids=errno.errorcode.get,
)  # fmt: skip
def test_failed_send_loses_that_datagram_only(
    loop: Loop, make: Make, remote: socket.socket, code: int
) -> None:
    sock = Failing()
    sock.sends = [code]
    datagrams = make(sock)
    there = (HOME, remote.getsockname()[1])
    assert not loop.call(datagrams.send, b"first", there)
    assert datagrams.lost == {errno.errorcode[code]: 1}
    assert loop.call(datagrams.send, b"second", there)
    assert remote.recv(100) == b"second"


def test_datagram_that_no_packet_can_carry_is_lost(loop: Loop, make: Make) -> None:
    datagrams = make()
    assert not loop.call(datagrams.send, bytes(70_000), (HOME, 9))
    assert datagrams.lost == {"EMSGSIZE": 1}


def test_ipv6_address_is_out_of_reach_of_an_ipv4_socket(loop: Loop, make: Make) -> None:
    datagrams = make()
    assert not loop.call(datagrams.send, b"x", (IPv6Address("::1"), 30303))
    assert datagrams.lost == {"EAFNOSUPPORT": 1}


@pytest.mark.parametrize("port", [-1, 65536])
def test_impossible_port_loses_the_datagram(loop: Loop, make: Make, port: int) -> None:
    datagrams = make()
    assert not loop.call(datagrams.send, b"x", (HOME, port))
    assert sum(datagrams.lost.values()) == 1


def test_dead_port_of_this_machine_ends_neither_sending_nor_reading(
    loop: Loop, make: Make, received: Received, remote: socket.socket
) -> None:
    with bind_udp("127.0.0.1", 0) as sock:
        dead = (HOME, sock.getsockname()[1])
    datagrams = make()
    for _ in range(3):
        loop.call(datagrams.send, b"x", dead)
    remote.sendto(b"y", at(datagrams))
    received.wait()
    assert received.all[0][0] == b"y"


# closing


def test_closed_datagrams_send_nothing_and_free_the_port(loop: Loop, make: Make) -> None:
    datagrams = make()
    loop.call(datagrams.close)
    loop.call(datagrams.close)
    assert not loop.call(datagrams.send, b"x", (HOME, 30303))
    with bind_udp("127.0.0.1", datagrams.address[1]):
        pass


def test_close_while_reading_waits_for_memory(
    make_loop: Callable[..., Loop], make: Make, remote: socket.socket
) -> None:
    clock = SimulatedClock()
    loop = make_loop(clock)
    sock = Failing()
    sock.reads = [errno.ENOMEM]
    remote.sendto(b"x", sock.getsockname())
    datagrams = make(sock, loop)
    eventually(lambda: datagrams.read_errors or loop.call(int))
    loop.call(datagrams.close)
    clock.advance(1.0)
    loop.call(int)
    assert loop.crash is None
