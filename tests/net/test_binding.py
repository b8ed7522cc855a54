"""Sockets that are bound: what TCP and UDP share, and both on one port."""

from __future__ import annotations

import errno
import socket

import pytest

from p2p.net import bind as bind_tcp
from p2p.net.binding import PORT_TRIES, bind_first, bind_pair, bound_socket

HOST = "127.0.0.1"


def bind(sock: socket.socket, sockaddr: tuple[str, int]) -> None:
    sock.bind(sockaddr)


def test_bound_socket_does_not_block_and_has_its_address() -> None:
    with bound_socket(socket.SOCK_DGRAM, HOST, 0, bind, "test") as sock:
        assert not sock.getblocking()
        assert sock.type == socket.SOCK_DGRAM
        assert sock.getsockname()[0] == HOST


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_error_keeps_its_number_and_tells_purpose_and_address(host: str) -> None:
    def refuse(sock: socket.socket, sockaddr: tuple[str, int]) -> None:
        made.append(sock)
        raise OSError(errno.ENOBUFS, "none left")

    made: list[socket.socket] = []
    with pytest.raises(OSError, match="cannot play chess on ") as raised:
        bound_socket(socket.SOCK_STREAM, host, 7, refuse, "play chess")
    assert raised.value.errno == errno.ENOBUFS
    shown = "[::1]:7" if ":" in host else "127.0.0.1:7"
    assert str(raised.value).endswith(f"on {shown}: none left")
    assert [sock.fileno() for sock in made] == [-1]


@pytest.mark.parametrize("code", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EINVAL])
def test_machine_without_ipv6_gets_a_socket_for_ipv4(code: int) -> None:
    def only_ipv4(sock: socket.socket, sockaddr: tuple[str, int]) -> None:
        if sock.family == socket.AF_INET6:
            raise OSError(code, "no IPv6, or not with IPv4 on one socket")
        sock.bind(sockaddr)

    with bound_socket(socket.SOCK_STREAM, None, 0, only_ipv4, "test") as sock:
        assert sock.getsockname()[0] == "0.0.0.0"


def test_other_errors_are_no_reason_to_fall_back() -> None:
    def taken(sock: socket.socket, sockaddr: tuple[str, int]) -> None:
        families.append(sock.family)
        raise OSError(errno.EADDRINUSE, "taken")

    families: list[int] = []
    with pytest.raises(OSError, match="taken"):
        bound_socket(socket.SOCK_STREAM, None, 0, taken, "test")
    assert families == [socket.AF_INET6]


def test_link_local_address_needs_its_interface() -> None:
    with pytest.raises(OSError, match=r"on \[fe80::1\]:7: its interface .* \[fe80::1%eth0\]:7"):
        bound_socket(socket.SOCK_STREAM, "fe80::1", 7, bind, "listen")


def test_interface_that_is_none_is_named() -> None:
    with pytest.raises(OSError, match=r"on \[fe80::1%none\]:7: no network interface 'none'"):
        bound_socket(socket.SOCK_STREAM, "fe80::1%none", 7, bind, "listen")


def test_zone_of_an_address_is_kept_to_the_socket() -> None:
    def keep(sock: socket.socket, sockaddr: object) -> None:
        kept.append(sockaddr)

    kept: list[object] = []
    bound_socket(socket.SOCK_DGRAM, "fe80::1%1", 7, keep, "test").close()
    assert kept == [("fe80::1", 7, 0, 1)]


def test_another_free_port_is_taken_when_udp_has_that_of_tcp() -> None:
    listener, taken = bind_pair(HOST, 0)
    listener.close()
    with taken:
        ports = [taken.getsockname()[1]] * 3 + [0]

        def bind_that(host: str | None, port: int) -> socket.socket:
            assert port == 0
            return bind_tcp(host, ports.pop(0))  # what the kernel might have chosen

        tcp, udp = bind_pair(HOST, 0, bind_that)
    with tcp, udp:
        assert tcp.getsockname() == udp.getsockname()
        assert ports == []


def test_search_for_a_free_pair_of_ports_ends() -> None:
    listener, taken = bind_pair(HOST, 0)
    listener.close()
    with taken:
        tries: list[int] = []

        def bind_that(host: str | None, port: int) -> socket.socket:
            tries.append(port)
            return bind_tcp(host, taken.getsockname()[1])

        with pytest.raises(OSError) as raised:
            bind_pair(HOST, 0, bind_that)
    assert raised.value.errno == errno.EADDRINUSE
    assert len(tries) == PORT_TRIES


def test_first_address_of_this_machine_is_bound() -> None:
    with bind_first(bind_tcp, [("240.0.0.1", 0), (HOST, 0)]) as sock:
        assert sock.getsockname()[0] == HOST


def test_error_of_an_address_of_this_machine_is_not_passed_over() -> None:
    with bind_tcp(HOST, 0) as taken, pytest.raises(OSError) as raised:
        bind_first(bind_tcp, [taken.getsockname(), (HOST, 0)])
    assert raised.value.errno == errno.EADDRINUSE


def test_error_names_all_addresses_when_none_is_of_this_machine() -> None:
    with pytest.raises(OSError, match=r"240\.0\.0\.1.*; .*240\.0\.0\.2"):
        bind_first(bind_tcp, [("240.0.0.1", 0), ("240.0.0.2", 0)])
