from __future__ import annotations

import errno
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from p2p.net import Listener, Loop, bind
from p2p.netutil import Endpoint
from tests.kit.waiting import PATIENCE_S

has_ipv6 = pytest.mark.skipif(
    not socket.has_dualstack_ipv6(), reason="this machine has no dual-stack IPv6"
)


class Accepted:
    """Keeps what a listener accepts, and lets a test wait for it."""

    def __init__(self) -> None:
        self.socks: list[socket.socket] = []
        self.addresses: list[Endpoint] = []
        self.on_accept: Callable[[], None] = lambda: None
        self._more = threading.Semaphore(0)

    def __call__(self, sock: socket.socket, address: Endpoint) -> None:
        self.socks.append(sock)
        self.addresses.append(address)
        self.on_accept()
        self._more.release()

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            assert self._more.acquire(timeout=PATIENCE_S)


@pytest.fixture
def accepted() -> Iterator[Accepted]:
    accepted = Accepted()
    yield accepted
    for sock in accepted.socks:
        sock.close()


@pytest.fixture
def listener(loop: Loop, accepted: Accepted) -> Iterator[Listener]:
    listener = loop.call(Listener, loop, bind("127.0.0.1", 0), accepted)
    yield listener
    loop.call(listener.close)


@pytest.fixture
def connect() -> Iterator[Callable[[Endpoint], socket.socket]]:
    """Connects to an address of this machine; closed at the end."""
    with ExitStack() as stack:

        def connect(address: Endpoint) -> socket.socket:
            return stack.enter_context(
                socket.create_connection((str(address[0]), address[1]), PATIENCE_S)
            )

        yield connect


Connect = Callable[[Endpoint], socket.socket]

# bind


@pytest.mark.parametrize("host", [None, "", "::"])
@has_ipv6
def test_bind_to_all_addresses_serves_both_families(
    loop: Loop, accepted: Accepted, connect: Connect, host: str | None
) -> None:
    listener = loop.call(Listener, loop, bind(host, 0), accepted)
    port = listener.address[1]
    assert port > 0
    connect((IPv4Address("127.0.0.1"), port))
    accepted.wait()
    connect((IPv6Address("::1"), port))
    accepted.wait()
    assert [ip for ip, _ in accepted.addresses] == [IPv4Address("127.0.0.1"), IPv6Address("::1")]
    loop.call(listener.close)


def test_bind_to_one_address() -> None:
    with bind("127.0.0.1", 0) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"
        assert sock.gettimeout() == 0.0
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


def test_bind_takes_a_mapped_address_as_ipv4() -> None:
    with bind("::ffff:127.0.0.1", 0) as sock:
        assert sock.family is socket.AF_INET


@pytest.mark.parametrize("host", ["localhost", "0x7f.1", "127.1", "no such host", "[::1]"])
def test_bind_looks_no_name_up(host: str) -> None:
    with pytest.raises(OSError, match="not a numeric IP address") as caught:
        bind(host, 30303)
    assert caught.value.errno == errno.EINVAL
    assert host in str(caught.value)


@pytest.mark.parametrize("port", [-1, 65536])
def test_bind_refuses_an_impossible_port(port: int) -> None:
    with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
        bind("127.0.0.1", port)


def test_bind_to_a_used_port_names_the_address() -> None:
    with bind("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}") as caught:
            bind("127.0.0.1", port)
    assert caught.value.errno == errno.EADDRINUSE


@has_ipv6
def test_used_port_is_no_reason_to_fall_back_to_ipv4() -> None:
    with bind(None, 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(OSError, match=rf"\[::\]:{port}") as caught:
            bind(None, port)
    assert caught.value.errno == errno.EADDRINUSE


# accepting


def test_each_connection_is_accepted_with_its_address(
    listener: Listener, accepted: Accepted, connect: Connect
) -> None:
    clients = [connect(listener.address) for _ in range(3)]
    accepted.wait(3)
    ports = [client.getsockname()[1] for client in clients]
    assert accepted.addresses == [(IPv4Address("127.0.0.1"), port) for port in ports]


def test_paused_listener_leaves_connections_in_the_backlog(
    loop: Loop, listener: Listener, accepted: Accepted, connect: Connect
) -> None:
    loop.call(listener.pause)
    connect(listener.address)
    loop.call(int)
    loop.call(int)
    assert accepted.socks == []
    loop.call(listener.resume)
    accepted.wait()


def test_pause_inside_on_accept_holds_back_the_next(
    loop: Loop, listener: Listener, accepted: Accepted, connect: Connect
) -> None:
    accepted.on_accept = listener.pause
    loop.call(listener.pause)
    for _ in range(3):
        connect(listener.address)
    for count in (1, 2, 3):
        loop.call(listener.resume)
        accepted.wait()
        for _ in range(2):  # the second runs after another look at the socket
            loop.call(int)
        assert len(accepted.socks) == count


def test_at_most_the_budget_is_accepted_in_a_pass(
    loop: Loop, accepted: Accepted, connect: Connect
) -> None:
    passes: list[int] = []
    accepted.on_accept = lambda: passes.append(loop.passes)
    listener = loop.call(Listener, loop, bind("127.0.0.1", 0), accepted, 4)
    loop.call(listener.pause)
    for _ in range(10):
        connect(listener.address)
    loop.call(listener.resume)
    accepted.wait(10)
    # The last ones may have come to the kernel's queue only now.
    assert max(passes.count(number) for number in set(passes)) == 4
    loop.call(listener.close)


def test_close_inside_on_accept_ends_accepting(
    loop: Loop, listener: Listener, accepted: Accepted, connect: Connect
) -> None:
    accepted.on_accept = listener.close
    loop.call(listener.pause)
    for _ in range(3):
        connect(listener.address)
    loop.call(listener.resume)
    accepted.wait()
    loop.call(listener.close)
    loop.call(listener.pause)
    loop.call(listener.resume)
    assert len(accepted.socks) == 1
    with pytest.raises(ConnectionRefusedError):
        connect(listener.address)


# Runs by itself, as it uses up every file descriptor of its process.
_OUT_OF_DESCRIPTORS = """
import logging, os, resource, socket, sys, threading
from p2p.clock import SimulatedClock
from p2p.net import Listener, Loop, bind

records, accepted, done = [], [], threading.Event()

class Keep(logging.Handler):
    def emit(self, record):
        records.append(record)

logger = logging.getLogger("p2p.net")
logger.addHandler(Keep())
logger.propagate = False

def on_accept(sock, address):
    accepted.append(sock)
    done.set()

clock = SimulatedClock()
loop = Loop("io", clock)
loop.start()
listener = loop.call(Listener, loop, bind("127.0.0.1", 0), on_accept)
loop.call(listener.pause)
client = socket.create_connection(("127.0.0.1", listener.address[1]))
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.dup(0))
except OSError:
    pass
loop.call(listener.resume)
while not records:
    loop.call(int)
before = loop.passes
for _ in range(10):
    loop.call(int)
assert loop.passes - before <= 30, "it spins"
for _ in range(4):      # four more tries within the second: no more lines
    clock.advance(0.2)
    loop.call(int)
    loop.call(int)
assert len(records) == 1, records
clock.advance(0.2)
while len(records) < 2:
    loop.call(int)
assert [record.levelname for record in records] == ["WARNING"] * 2
assert "127.0.0.1:" in records[0].getMessage() and "open files" in records[0].getMessage()
for fd in held:
    os.close(fd)
assert not accepted
clock.advance(0.2)
assert done.wait(20)
loop.call(listener.close)
loop.stop()
assert loop.join(20) and loop.crash is None
print("recovered")
"""


def test_listener_without_descriptors_waits_says_so_and_recovers() -> None:
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", _OUT_OF_DESCRIPTORS],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "recovered\n", done.stderr
