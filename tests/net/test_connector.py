from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from p2p.clock import SimulatedClock
from p2p.net import Connector, Loop
from p2p.net.connector import connected_in_error
from p2p.netutil import Endpoint
from tests.kit.target import unacked
from tests.kit.waiting import PATIENCE_S, eventually

LOOPBACK = IPv4Address("127.0.0.1")
TCP_CLOSE = 7  # <linux/tcp.h>, the first byte of TCP_INFO


class Outcome:
    """The result of a Connector; a test can wait for it."""

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.error: OSError | None = None
        self.calls = 0
        self._done = threading.Event()

    def __call__(self, sock: socket.socket | None, error: OSError | None) -> None:
        self.sock, self.error = sock, error
        self.calls += 1
        self._done.set()

    def wait(self) -> None:
        assert self._done.wait(PATIENCE_S)


@pytest.fixture
def outcome() -> Iterator[Outcome]:
    outcome = Outcome()
    yield outcome
    if outcome.sock is not None:
        outcome.sock.close()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def deaf_server() -> Iterator[Endpoint]:
    """A listening socket that answers no SYN, because its backlog is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        clients = [socket.socket() for _ in range(8)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        # The kernel may take its time over the first of them, which fills it.
        eventually(lambda: sys.platform != "linux" or unacked(server) > 0)
        yield LOOPBACK, server.getsockname()[1]
        for client in clients:
            client.close()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_connects_to_a_listening_socket(
    loop: Loop, server: socket.socket, outcome: Outcome
) -> None:
    address = (LOOPBACK, server.getsockname()[1])
    loop.call(Connector, loop, address, 15.0, outcome)
    outcome.wait()
    assert outcome.error is None and outcome.sock is not None
    assert outcome.sock.gettimeout() == 0.0
    near, _ = server.accept()
    with near:
        outcome.sock.send(b"hello")
        assert near.recv(10) == b"hello"
    # it is out of the loop's hands
    loop.call(loop.register, outcome.sock, 0, print)
    loop.call(loop.unregister, outcome.sock)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_connects_over_ipv6(loop: Loop, outcome: Outcome) -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        address = (IPv6Address("::1"), server.getsockname()[1])
        loop.call(Connector, loop, address, 15.0, outcome)
        outcome.wait()
        assert outcome.sock is not None


def test_closed_port_is_refused_with_the_address_in_the_text(loop: Loop, outcome: Outcome) -> None:
    port = free_port()
    loop.call(Connector, loop, Endpoint(LOOPBACK, port), 15.0, outcome)
    outcome.wait()
    assert isinstance(outcome.error, ConnectionRefusedError)
    assert f"127.0.0.1:{port}" in str(outcome.error)
    assert outcome.sock is None


@pytest.mark.parametrize(
    ("ip", "port"),
    [
        ("255.255.255.255", 30303),
        ("127.0.0.1", 65536),
        ("ff02::1", 1),
        ("fe80::1%none such", 1),
    ],
)
def test_connect_that_fails_at_once_is_told_later(
    loop: Loop, outcome: Outcome, ip: str, port: int
) -> None:
    def start() -> int:
        Connector(loop, (ip_address(ip), port), 15.0, outcome)
        return outcome.calls

    assert loop.call(start) == 0
    outcome.wait()
    assert isinstance(outcome.error, OSError)
    assert ip in str(outcome.error)
    loop.call(int)
    assert outcome.calls == 1


def test_silence_is_a_timeout_on_the_loops_clock(
    make_loop: Callable[..., Loop], deaf_server: Endpoint, outcome: Outcome
) -> None:
    clock = SimulatedClock()
    loop = make_loop(clock)
    loop.call(Connector, loop, deaf_server, 15.0, outcome)
    clock.advance(14.9)
    loop.call(int)
    loop.call(int)
    assert outcome.calls == 0
    clock.advance(0.1)
    outcome.wait()
    assert isinstance(outcome.error, TimeoutError)
    assert outcome.error.errno == errno.ETIMEDOUT
    assert str(deaf_server[1]) in str(outcome.error)


def test_cancelled_attempt_is_never_told(
    make_loop: Callable[..., Loop], deaf_server: Endpoint, outcome: Outcome
) -> None:
    clock = SimulatedClock()
    loop = make_loop(clock)
    connecting = loop.call(Connector, loop, deaf_server, 15.0, outcome)
    loop.call(connecting.cancel)
    loop.call(connecting.cancel)
    clock.advance(20.0)
    loop.call(int)
    loop.call(int)
    assert outcome.calls == 0


def test_cancelled_attempt_does_not_go_on_in_a_forked_child(
    loop: Loop, deaf_server: Endpoint, outcome: Outcome
) -> None:
    """A child of the program has a copy of the descriptor."""
    connecting = loop.call(Connector, loop, deaf_server, 15.0, outcome)
    assert connecting._sock is not None
    with socket.socket(fileno=os.dup(connecting._sock.fileno())) as copy:
        loop.call(connecting.cancel)
        state = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        assert state == TCP_CLOSE


@pytest.mark.parametrize("ip", ["127.0.0.1", "255.255.255.255"])
def test_attempt_cancelled_at_once_is_never_told(loop: Loop, outcome: Outcome, ip: str) -> None:
    def start_and_cancel() -> None:
        Connector(loop, (ip_address(ip), free_port()), 15.0, outcome).cancel()

    loop.call(start_and_cancel)
    loop.call(int)
    loop.call(int)
    assert outcome.calls == 0


def test_cancel_after_the_connection_leaves_the_socket_alone(
    loop: Loop, server: socket.socket, outcome: Outcome
) -> None:
    address = (LOOPBACK, server.getsockname()[1])
    connecting = loop.call(Connector, loop, address, 15.0, outcome)
    outcome.wait()
    loop.call(connecting.cancel)
    assert outcome.sock is not None and outcome.sock.fileno() >= 0


def test_socket_connected_to_itself_counts_as_refused() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        assert connected_in_error(sock) == errno.ECONNREFUSED


def test_socket_that_is_not_connected_after_all_is_an_error() -> None:
    with socket.socket() as sock:
        assert connected_in_error(sock) == errno.ENOTCONN


def test_good_connection_is_no_error(server: socket.socket) -> None:
    with socket.create_connection(server.getsockname()) as sock:
        assert connected_in_error(sock) == 0
