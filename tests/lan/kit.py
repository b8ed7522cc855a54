"""Records, announcements and interfaces for the tests of LAN discovery."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_interface
from typing import Any

import zeroconf

import p2p
from p2p.enode.nodeid import NodeID
from p2p.enr import Record
from p2p.lan import link
from p2p.lan.announcement import Announcement, Checks
from p2p.lan.interfaces import Interface
from p2p.lan.txt import txt_of
from p2p.netutil import Netlist, OwnNetworks

KEY = p2p.PrivateKey.from_bytes(b"\x07" * 32)
OTHER_KEY = p2p.PrivateKey.from_bytes(b"\x08" * 32)
OWN_KEY = p2p.PrivateKey.from_bytes(b"\x09" * 32)
PORT = 30303


def interface(*addresses: str, name: str = "eth0", index: int = 2) -> Interface:
    return Interface(name, index, tuple(map(ip_interface, addresses)))


ETH0 = interface("192.168.1.5/24", "fd00::5/64")


def record(key: p2p.PrivateKey = KEY, seq: int = 1, **entries: Any) -> Record:
    return Record.sign(key, seq, {"ip": "192.168.1.6", "tcp": PORT, "udp": PORT, **entries})


def announcement(record: Record, *ips: str, port: int = PORT) -> Announcement:
    return Announcement(txt_of(record), port, tuple(map(ip_address, ips)))


def checks(net_restrict: str | None = None, own_networks: str = "") -> Checks:
    restrict = None if net_restrict is None else Netlist.parse(net_restrict)
    own_id = NodeID.from_public_key(OWN_KEY.public_key)
    return Checks(own_id, OwnNetworks(Netlist.parse(own_networks)), restrict)


@contextmanager
def announced(*given: tuple[bytes, str], port: int = PORT) -> Iterator[None]:
    """Another host of the network, by zeroconf alone: a TXT record and an address of each name."""
    other = zeroconf.Zeroconf(interfaces=["127.0.0.1"])
    try:
        for number, (txt, ip) in enumerate(given):
            info = zeroconf.ServiceInfo(
                link.SERVICE_TYPE,
                f"evil{number}.{link.SERVICE_TYPE}",
                port=port,
                properties=txt,
                server=f"evil{number}.local.",
                addresses=[ip_address(ip).packed],
            )
            other.registry.async_add(info)
            other.send(other.generate_service_broadcast(info, None))
        yield
    finally:
        other.close()
