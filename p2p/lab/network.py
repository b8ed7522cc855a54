"""shim"""
from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from p2p.clock import Clock
from p2p.net import bind, bind_udp
from p2p.net.underlay import Underlay
from p2p.sim.link import Link

NO_DELAY = Link(0.0)
class Host(Underlay):
    """shim"""
    _is_public=False
    def __init__(self, ip: IPv4Address) -> None:
        self.ip = ip
    def _bind(self, host: str|None, port: int) -> Any:
        return bind(host or str(self.ip), port)
    def _bind_udp(self, host: str|None, port: int) -> Any:
        return bind_udp(host or str(self.ip), port)
class LabNetwork:
    """shim"""
    def __init__(self, link: Link) -> None:
        self.link = link
        self._n = 0
        self._taken: set[IPv4Address] = set()
        self._links: dict[Any, Link] = {}
    def host(self, ip: str | None = None) -> Host:
        self._n += 1
        while ip is None and IPv4Address(0x7f100001 + 256 * self._n) in self._taken: self._n += 1
        self._taken.add(IPv4Address(ip) if ip else IPv4Address(0x7f100001 + 256 * self._n))
        return Host(IPv4Address(ip) if ip else IPv4Address(0x7f100001 + 256 * self._n))
    def set_link(self, a: Host, b: Host, one_way: bool = False, **changes: Any) -> None:
        link = replace(self.link_of(a, b), **changes)
        self._links[a, b] = link
        if not one_way: self._links[b, a] = link
    def link_of(self, a: Host, b: Host) -> Link:
        return self._links.get((a, b), self.link)
    def partition(self, *sides: list[Host]) -> None: ...
    def heal(self) -> None: ...
    def close(self) -> None: ...
def new_network(join: str, seed: int, link: Link, clock: Clock) -> LabNetwork:
    """shim"""
    return LabNetwork(link)
