from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

import pytest

from p2p.net import Datagrams, Loop, bind_udp, pktinfo
from p2p.net.pktinfo import MAX_REMOTES, LocalAddresses
from p2p.netutil import Endpoint
from tests.kit.waiting import PATIENCE_S, eventually

KIND = 50  # of the option; any number
#: One address of a link, and the same with the interface 3.
V6 = IPv6Address("2001:db8::7").packed

is_supported = pytest.mark.skipif(
    not hasattr(socket.socket, "recvmsg") or not pktinfo._IP_PKTINFO,
    reason="this system does not tell the local address of a datagram",
)
has_ipv6 = pytest.mark.skipif(
    not socket.has_dualstack_ipv6(), reason="this machine has no dual-stack IPv6"
)


def v6_data(ip: bytes = V6, interface: int = 3) -> bytes:
    return ip + struct.pack("=I", interface)


def noted(data: bytes, sockaddr: tuple[str | int, ...], family: int) -> bytes:
    addresses = LocalAddresses(family)
    addresses.note([(socket.IPPROTO_IPV6, KIND, data)], sockaddr)
    remote = (str(sockaddr[0]), int(sockaddr[1]))
    option = addresses.option(remote)
    assert option is not None
    ((level, kind, answer),) = option
    assert (level, kind) == (socket.IPPROTO_IPV6, KIND)
    return answer


# the pure part


def test_answer_leaves_from_the_address_that_was_asked_by_any_interface() -> None:
    remote = ("2001:db8::1", 30303, 0, 0)
    assert noted(v6_data(), remote, socket.AF_INET6) == v6_data(interface=0)


def test_answer_to_a_link_local_remote_leaves_by_its_interface() -> None:
    assert noted(v6_data(), ("fe80::1", 30303, 0, 3), socket.AF_INET6) == v6_data(interface=3)


def test_answer_of_ipv4_leaves_by_any_interface() -> None:
    ip = IPv4Address("192.0.2.7").packed
    data = struct.pack("=I", 3) + ip + ip
    assert noted(data, ("192.0.2.1", 1), socket.AF_INET) == bytes(4) + ip + ip


def test_latest_address_that_a_remote_has_asked_counts() -> None:
    addresses = LocalAddresses(socket.AF_INET6)
    remote = ("2001:db8::1", 30303)
    for last in (1, 2, 2):
        data = v6_data(V6[:15] + bytes([last]))
        addresses.note([(1, KIND, data)], (*remote, 0, 0))
        option = addresses.option(remote)
        assert option is not None
        assert option[0][2][15] == last


def test_address_of_a_remote_is_left_to_the_kernel_when_unknown_or_dropped() -> None:
    addresses = LocalAddresses(socket.AF_INET6)
    remote = ("2001:db8::1", 30303)
    addresses.note([], (*remote, 0, 0))  # a system that tells nothing
    assert addresses.option(remote) is None
    addresses.note([(1, KIND, v6_data())], (*remote, 0, 0))
    assert addresses.option(remote) is not None
    assert addresses.option((remote[0], 1)) is None
    addresses.drop(remote)
    addresses.drop(remote)
    assert addresses.option(remote) is None


def test_number_of_remotes_has_a_bound_and_the_oldest_goes() -> None:
    addresses = LocalAddresses(socket.AF_INET6)
    option = [(1, KIND, v6_data())]
    for port in range(MAX_REMOTES + 1):
        addresses.note(option, ("2001:db8::1", port, 0, 0))
    assert addresses.option(("2001:db8::1", 0)) is None
    assert addresses.option(("2001:db8::1", 1)) is not None
    # One more of a remote that is known displaces no other.
    other = [(1, KIND, v6_data(bytes(16)))]
    addresses.note(other, ("2001:db8::1", MAX_REMOTES, 0, 0))
    assert addresses.option(("2001:db8::1", 1)) is not None


# with sockets


class Echo:
    """Datagrams that are sent back to their senders."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self._loop = loop
        self.datagrams = loop.call(
            lambda: Datagrams(loop, sock, self._answer, max_size_bytes=1280)
        )

    @property
    def port(self) -> int:
        return self.datagrams.address.port

    def _answer(self, batch: list[tuple[bytes, Endpoint]]) -> None:
        for data, sender in batch:
            self.datagrams.send(data, sender)

    def close(self) -> None:
        self._loop.call(self.datagrams.close)


@pytest.fixture(params=[pytest.param(None, marks=has_ipv6), "0.0.0.0"])
def echo(loop: Loop, request: pytest.FixtureRequest) -> Iterator[Echo]:
    echo = Echo(loop, bind_udp(request.param, 0))
    yield echo
    echo.close()


def ask(host: str, port: int) -> str:
    """Send a datagram; return the host that the answer comes from."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE_S)
        sock.sendto(b"x", (host, port))
        _, sockaddr = sock.recvfrom(16)
        return str(sockaddr[0])


@is_supported
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "127.1.2.3"])
def test_socket_for_all_addresses_answers_from_the_one_that_was_asked(
    echo: Echo, host: str
) -> None:
    assert ask(host, echo.port) == host


@has_ipv6
def test_socket_for_all_addresses_answers_over_ipv6(loop: Loop) -> None:
    echo = Echo(loop, bind_udp(None, 0))
    assert ask("::1", echo.port) == "::1"
    assert ask("127.0.0.2", echo.port) == "127.0.0.2"
    echo.close()


def test_socket_for_one_address_needs_no_option(loop: Loop) -> None:
    sock = bind_udp("127.0.0.1", 0)
    echo = Echo(loop, sock)
    assert ask("127.0.0.1", echo.port) == "127.0.0.1"
    if pktinfo._IP_PKTINFO is not None:
        assert sock.getsockopt(socket.IPPROTO_IP, pktinfo._IP_PKTINFO) == 0
    echo.close()


class Refusing(socket.socket):
    """A socket whose kernel refuses to send from a given local address."""

    code = errno.EINVAL
    refused = 0

    def sendmsg(self, *args: object) -> int:  # type: ignore[override]
        self.refused += 1
        raise OSError(self.code, "planned")


@is_supported
def test_kernel_chooses_when_our_address_is_gone(loop: Loop) -> None:
    sock = Refusing(fileno=bind_udp("0.0.0.0", 0).detach())
    echo = Echo(loop, sock)
    assert ask("127.0.0.1", echo.port) == "127.0.0.1"
    assert sock.refused == 1
    assert echo.datagrams.lost == {}
    echo.close()


@is_supported
def test_other_errors_lose_the_datagram_and_keep_the_address(loop: Loop) -> None:
    sock = Refusing(fileno=bind_udp("0.0.0.0", 0).detach())
    sock.code = errno.ENOBUFS
    batches: list[list[tuple[bytes, Endpoint]]] = []
    datagrams = loop.call(lambda: Datagrams(loop, sock, batches.append, max_size_bytes=16))
    with bind_udp("127.0.0.1", 0) as remote:
        remote.sendto(b"x", ("127.0.0.1", datagrams.address.port))
        eventually(lambda: bool(batches))
        ((_, sender),) = batches[0]
        assert [loop.call(lambda: datagrams.send(b"y", sender)) for _ in range(2)] == [False] * 2
    assert sock.refused == 2
    assert datagrams.lost == {"ENOBUFS": 2}
    loop.call(datagrams.close)
