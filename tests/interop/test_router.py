"""Port mappings of a real router: miniupnpd, between a host inside and one outside.

By UPnP of both versions, NAT-PMP and PCP.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from p2p.testing import PATIENCE_S

from .home import LAN, OUTSIDE, WAN, Home, missing
from .homeprogram import LIFETIME_S, PORT, TEXT

MISSING = missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")

#: The options of miniupnpd for each version, and the service that is found.
VERSIONS = [(("-1",), "WANIPConnection:1"), ((), "WANIPConnection:2")]
each_version = pytest.mark.parametrize("options, service", VERSIONS, ids=["IGD 1", "IGD 2"])


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Home(tmp_path) as home:
        yield home


def reach(home: Home, protocol: str, port: int, *options: str) -> str:
    """What the host outside gets back from a port of the router."""
    text: str = home.run("out", "echo", protocol, WAN, str(port), *options).event("answer")["text"]
    return text


@each_version
def test_host_outside_reaches_the_mapped_ports_until_they_are_deleted(
    options: tuple[str, ...], service: str, home: Home
) -> None:
    home.start_daemon(*options)
    inside = home.run("in", "map", "upnp")
    found = inside.event("found")
    assert found["name"] == f"UPnP {LAN}:5555/ctl/IPConn"
    assert (found["service"], found["ip"]) == (service, WAN)
    mapped = inside.event("mapped")
    assert (mapped["tcp"], mapped["udp"]) == (PORT, PORT)
    # read back from the router, where some seconds may have passed
    assert all(LIFETIME_S - PATIENCE_S <= each <= LIFETIME_S for each in mapped["lifetimes"])
    assert len(mapped["lifetimes"]) == len(home.mappings()) == 2
    for protocol in ("tcp", "udp"):
        assert reach(home, protocol, PORT) == TEXT.decode()
        assert inside.event("from") == {"event": "from", "protocol": protocol, "host": OUTSIDE}
    inside.finish()
    inside.event("unmapped")
    assert home.mappings() == []
    assert reach(home, "tcp", PORT) == "ConnectionRefusedError"


PMP_KINDS = [("pmp", "NAT-PMP", WAN), ("pcp", "PCP", "error: PCP")]


@pytest.mark.parametrize("kind, name, ip", PMP_KINDS, ids=["NAT-PMP", "PCP"])
def test_host_outside_reaches_the_ports_mapped_by_other_protocols(
    kind: str, name: str, ip: str, home: Home
) -> None:
    home.start_daemon(upnp=False, pmp=True)
    inside = home.run("in", "map", kind)
    found = inside.event("found")
    assert found["name"] == f"{name} {LAN}" and found["ip"].startswith(ip)
    mapped = inside.event("mapped")
    assert (mapped["tcp"], mapped["udp"], mapped["ip"]) == (PORT, PORT, WAN)
    assert mapped["lifetimes"] == [LIFETIME_S] * 2
    for protocol in ("tcp", "udp"):
        assert reach(home, protocol, PORT) == TEXT.decode()
    inside.say("renew")
    assert inside.event("renewed")["ports"] == [PORT, PORT]
    inside.finish()
    inside.event("unmapped")
    assert home.mappings() == []


@each_version
def test_host_outside_does_not_reach_a_port_without_a_mapping(
    options: tuple[str, ...], service: str, home: Home
) -> None:
    home.start_daemon(*options)
    inside = home.run("in", "map", "upnp")
    inside.event("mapped")
    assert reach(home, "tcp", PORT + 1) == "ConnectionRefusedError"


@each_version
def test_port_of_another_host_is_left_to_it_and_another_one_is_mapped(
    options: tuple[str, ...], service: str, home: Home
) -> None:
    home.start_daemon(*options, secure=False)
    home.run("in", "occupy", str(PORT)).event("occupied")
    theirs = set(home.mappings())
    assert len(theirs) == 2
    inside = home.run("in", "map", "upnp")
    mapped = inside.event("mapped")
    assert PORT not in (mapped["tcp"], mapped["udp"])
    assert theirs < set(home.mappings()) and len(home.mappings()) == 4
    for protocol in ("tcp", "udp"):
        assert reach(home, protocol, mapped[protocol]) == TEXT.decode()
    inside.finish()
    inside.event("unmapped")
    assert set(home.mappings()) == theirs


def test_mapping_is_renewed_after_a_restart_of_the_router(home: Home) -> None:
    home.start_daemon()
    inside = home.run("in", "map", "upnp")
    inside.event("mapped")
    home.stop_daemon()
    home.start_daemon()
    assert home.mappings() == []
    inside.say("renew")
    assert inside.event("renewed")["ports"] == [PORT, PORT]
    assert len(home.mappings()) == 2
    assert reach(home, "tcp", PORT) == TEXT.decode()


def test_router_behind_a_router_is_no_way_to_the_internet(home: Home) -> None:
    home.set_wan("192.168.88.2")
    home.start_daemon()
    found = home.run("in", "map", "upnp").event("found")
    assert "double NAT" in found["ip"]
