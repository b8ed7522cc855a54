"""A server behind a router: miniupnpd maps its ports, or coturn tells its address."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2p.nat.front import MAX_FAILURES

from .home import LAN, OUTSIDE, WAN, Home, Process, command_in, missing
from .homeprogram import PORT

MISSING = missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")

OTHER_WAN = "20.0.0.7"
STUN_SERVER = "turnserver"
needs_stun = pytest.mark.skipif(
    shutil.which(STUN_SERVER) is None,
    reason=f"{STUN_SERVER} not installed; run tests/interop/build.sh as root",
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Home(tmp_path) as home:
        yield home


def start(home: Home, where: str, *words: str) -> Process:
    command = [sys.executable, "-m", "tests.interop.homeserver", *words]
    return home.start(command_in(where, *command))


def endpoint(inside: Process, ip: str) -> dict[str, Any]:
    """The next endpoint of the server inside with this address."""
    while (found := inside.event("self"))["ip"] != ip:
        pass
    return found


def reach(outside: Process, url: str) -> dict[str, Any]:
    """What a server outside says after a dial and a ping of the URL."""
    outside.say(url)
    found = outside.event("reached")
    assert "error" not in found, found
    return found


@pytest.mark.parametrize("nat", ["any", "upnp", "pmp", f"pmp:{LAN}"])
def test_server_outside_reaches_the_one_inside_at_its_published_endpoint(
    nat: str, home: Home
) -> None:
    home.start_daemon(pmp=True)
    outside, inside = start(home, "out"), start(home, "in", nat)
    found = endpoint(inside, WAN)
    assert (found["udp"], found["tcp"]) == (PORT, PORT)
    outside.event("ready")
    reached = reach(outside, found["url"])
    assert reached["tcp"] and reached["seq"] > 0
    inside.finish()
    assert inside.event("stopped")["left"] == []
    assert home.mappings() == []


ONE_PROTOCOL = [
    ("upnp", {"pmp": False}, ("-1",)),
    ("any", {"pmp": False}, ("-1",)),
    ("any", {"pmp": False}, ()),
    ("any", {"upnp": False, "pmp": True}, ()),
]


@pytest.mark.parametrize(
    "nat, protocols, options",
    ONE_PROTOCOL,
    ids=["IGD 1", "any, with IGD 1 only", "any, with IGD 2 only", "any, with NAT-PMP only"],
)
def test_one_protocol_of_the_router_is_enough(
    nat: str, protocols: dict[str, bool], options: tuple[str, ...], home: Home
) -> None:
    home.start_daemon(*options, **protocols)
    outside, inside = start(home, "out"), start(home, "in", nat)
    url = endpoint(inside, WAN)["url"]
    outside.event("ready")
    assert reach(outside, url)["tcp"]
    inside.finish()
    assert inside.event("stopped")["left"] == []
    assert home.mappings() == []


@pytest.mark.parametrize("nat", ["upnp", "pmp"])
def test_port_that_the_router_gave_is_published_and_reached(nat: str, home: Home) -> None:
    home.start_daemon(pmp=True, secure=False)
    home.run("in", "occupy", str(PORT)).event("occupied")
    outside, inside = start(home, "out"), start(home, "in", nat)
    found = endpoint(inside, WAN)
    assert PORT not in (found["udp"], found["tcp"])
    outside.event("ready")
    reached = reach(outside, found["url"])
    assert reached["tcp"] and reached["seq"] > 0
    inside.finish()
    assert inside.event("stopped")["left"] == []
    assert len(home.mappings()) == 2  # those of the other host


def test_restart_of_a_upnp_router_between_two_looks_is_noticed(home: Home) -> None:
    home.start_daemon("-U")  # the uptime of the system, which is longer than the next one
    inside = start(home, "in", "upnp")
    endpoint(inside, WAN)
    home.stop_daemon()
    home.start_daemon()
    home.await_mappings(2)


def test_record_follows_the_external_address(home: Home) -> None:
    home.start_daemon(pmp=True)
    outside, inside = start(home, "out"), start(home, "in", "any")
    endpoint(inside, WAN)
    outside.event("ready")
    home.set_wan(OTHER_WAN)
    reached = reach(outside, endpoint(inside, OTHER_WAN)["url"])
    assert reached["tcp"] and reached["seq"] > 0


@pytest.mark.parametrize("nat", ["upnp", "pmp"])
def test_router_that_was_away_gets_the_mappings_again(nat: str, home: Home) -> None:
    home.start_daemon(pmp=True)
    outside, inside = start(home, "out"), start(home, "in", nat)
    url = endpoint(inside, WAN)["url"]
    outside.event("ready")
    home.stop_daemon()
    for _ in range(MAX_FAILURES):
        while "tells no external address" not in inside.event("log")["text"]:
            pass
    assert home.mappings() == []
    home.start_daemon(pmp=True)
    home.await_mappings(2)
    assert reach(outside, url)["tcp"]


def test_server_without_a_router_that_maps_ports_keeps_its_address(home: Home) -> None:
    inside = start(home, "in", "any")
    assert inside.event("self")["ip"] == "127.0.0.1"
    inside.finish()
    assert inside.event("stopped")["left"] == []


@needs_stun
@pytest.mark.parametrize("server", [OUTSIDE, f"{OUTSIDE}:3479"])
def test_stun_server_tells_the_address_outside(server: str, home: Home, tmp_path: Path) -> None:
    port = server.partition(":")[2] or "3478"
    options = f"-v --stun-only --no-cli --no-tls --no-dtls -L {OUTSIDE} -p {port} -l stdout"
    pid = f"--pidfile={tmp_path}/turn.pid"
    stun = home.start(command_in("out", STUN_SERVER, "-n", *options.split(), pid), terminate=True)
    stun.wait_for("UDP listener opened on")
    inside = start(home, "in", f"stun:{server}")
    found = endpoint(inside, WAN)
    assert (found["udp"], found["tcp"]) == (PORT, PORT)
    inside.finish()
    assert inside.event("stopped")["left"] == []
