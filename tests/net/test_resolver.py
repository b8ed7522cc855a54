"""Host names: the address of each, or an error that names it."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from p2p.net import look_up


def test_ipv4_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET6, 1, 6, "", ("fe80::1%eth0", 0)), (2, 1, 6, "", ("127.0.0.9", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
    assert look_up("a.example") == ip_address("127.0.0.9")


def test_zone_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET6, 1, 6, "", ("fe80::1%eth0", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: found)
    assert look_up("a.example") == ip_address("fe80::1%eth0")


def test_localhost_is_found() -> None:
    assert look_up("localhost").is_loopback


@pytest.mark.parametrize("name", ["nobody.invalid", "a" * 64, "a..b", "a\0b"])
def test_error_names_the_host(name: str) -> None:
    with pytest.raises(OSError, match="^.*cannot look up ") as raised:
        look_up(name)
    assert name in str(raised.value.strerror)


def test_address_with_a_zone_needs_no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "getaddrinfo")
    assert look_up("fe80::1%no such") == ip_address("fe80::1%no such")
