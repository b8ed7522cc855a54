"""Programs that run inside or outside of a home: ``python -m tests.interop.homeprogram``.

``map``
    Finds a router by UPnP, NAT-PMP ("pmp") or PCP, serves an echo by TCP and UDP, and maps both
    ports until its input ends.
``occupy``
    Maps the port to another host of the home, and ends.
``echo``
    Sends a text to an address, by TCP or UDP, and shows what comes back.

Each line of the output is an event, as JSON.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
from collections.abc import Callable
from ipaddress import IPv4Address

from p2p.clock import Deadline
from p2p.nat import pcp, portmap, upnp
from p2p.nat.defaultroute import routers
from p2p.nat.errors import NatError
from p2p.nat.gateway import Gateway, Stop
from p2p.nat.mapping import PortMapping
from p2p.nat.upnp import soap
from p2p.nat.upnp.client import HttpConnection
from p2p.nat.upnp.igd import InternetGateway
from p2p.netutil import Endpoint

from .home import NEIGHBOR
from .program import DEADLINE_S

PORT = 30303
LIFETIME_S = 1200
TEXT = b"hello from outside"
#: For what the router drops.
SHORT_S = 1.0


def tell(event: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")  # at once: threads share it
    sys.stdout.flush()


def deadline() -> Deadline:
    return Deadline(DEADLINE_S)


def by_upnp(stop: Stop) -> InternetGateway:
    gateway = upnp.find(deadline(), stop)
    assert isinstance(gateway, InternetGateway)
    return gateway


def by_pmp(stop: Stop) -> Gateway:
    gateway = portmap.find(deadline(), stop)
    assert isinstance(gateway, portmap.NatPmp)
    return gateway


def by_pcp(stop: Stop) -> Gateway:
    (router,) = routers()
    gateway = portmap.Pcp(Endpoint(router, pcp.PORT), stop)
    gateway.announce(deadline())
    return gateway


KINDS: dict[str, Callable[[Stop], Gateway]] = {"upnp": by_upnp, "pmp": by_pmp, "pcp": by_pcp}


def address_of(gateway: Gateway) -> str:
    try:
        return str(gateway.external_ip(deadline()))
    except NatError as error:
        return f"error: {error}"


def map_ports(kind: str) -> None:
    stop = Stop()
    gateway = KINDS[kind](stop)
    tell("found", name=gateway.name, ip=address_of(gateway), service=service_of(gateway))
    with serving():
        wanted = [PortMapping(protocol, PORT, PORT, LIFETIME_S) for protocol in ("tcp", "udp")]
        granted = [gateway.map(mapping, deadline()) for mapping in wanted]
        tcp, udp = (have.external_port for have in granted)
        lifetimes = [have.lifetime_s for have in granted]
        tell("mapped", tcp=tcp, udp=udp, lifetimes=lifetimes, ip=address_of(gateway))
        for _ in sys.stdin:  # each line renews
            again = [gateway.map(mapping, deadline()) for mapping in wanted]
            tell("renewed", ports=[have.external_port for have in again])
        for protocol, port in (("tcp", tcp), ("udp", udp)):
            gateway.unmap(PortMapping(protocol, PORT, port, 0), deadline())
        tell("unmapped")
    stop.close()


def service_of(gateway: Gateway) -> str | None:
    """The UPnP service of a gateway, such as "WANIPConnection:1"."""
    if isinstance(gateway, InternetGateway):
        return gateway.service.type.rpartition("service:")[2]
    return None


def occupy(port: int) -> None:
    stop = Stop()
    gateway = by_upnp(stop)
    for protocol in ("tcp", "udp"):
        action = soap.add_mapping(protocol, port, PORT, IPv4Address(NEIGHBOR), LIFETIME_S)
        with HttpConnection(gateway.service.control_url, deadline(), stop) as connection:
            assert connection.call(gateway.service.type, action) == {}
    tell("occupied")
    stop.close()


class serving:
    """An echo of one message at PORT, by both protocols, within the statement."""

    def __enter__(self) -> None:
        self._tcp = socket.create_server(("", PORT))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("", PORT))
        for serve in (self._serve_tcp, self._serve_udp):
            threading.Thread(target=serve, daemon=True).start()

    def __exit__(self, *details: object) -> None:
        pass  # the process ends

    def _serve_tcp(self) -> None:
        while True:
            connection, peer = self._tcp.accept()
            with connection:
                tell("from", protocol="tcp", host=peer[0])
                connection.sendall(connection.recv(100))

    def _serve_udp(self) -> None:
        while True:
            data, peer = self._udp.recvfrom(100)
            tell("from", protocol="udp", host=peer[0])
            self._udp.sendto(data, peer)


def echo(protocol: str, host: str, port: int, timeout_s: float) -> None:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    try:
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.settimeout(timeout_s)
            sock.connect((host, port))
            sock.sendall(TEXT)
            tell("answer", text=sock.recv(100).decode())
    except OSError as error:
        tell("answer", text=type(error).__name__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("map").add_argument("kind", choices=KINDS)
    commands.add_parser("occupy").add_argument("port", type=int)
    one = commands.add_parser("echo")
    one.add_argument("protocol")
    one.add_argument("host")
    one.add_argument("port", type=int)
    one.add_argument("--short", action="store_true", help="do not wait long")
    options = parser.parse_args()
    if options.command == "map":
        map_ports(options.kind)
    elif options.command == "occupy":
        occupy(options.port)
    else:
        timeout_s = SHORT_S if options.short else DEADLINE_S
        echo(options.protocol, options.host, options.port, timeout_s)


if __name__ == "__main__":
    main()
