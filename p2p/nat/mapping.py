"""Port mappings: the wanted one, the granted one, the answer of a router, the status of all.

Pure. The protocols make them of their packets; :mod:`p2p.nat.leases` has the times.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.netutil import IPAddress


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A wanted mapping of an external port to a port of ours.

    ``protocol`` is "tcp" or "udp", ``external_port`` a suggestion, ``lifetime_s`` in seconds.
    """

    protocol: str
    internal_port: int
    external_port: int
    lifetime_s: int

    def __str__(self) -> str:
        return f"{self.protocol} port {self.internal_port}"


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping as the router granted it; ``external_ip`` where its answer has one (PCP)."""

    external_port: int
    lifetime_s: int
    external_ip: IPAddress | None = None


@dataclass(frozen=True, slots=True)
class MapAnswer:
    """The answer of NAT-PMP or PCP to a request for a mapping, with the epoch of the router."""

    mapped: Mapped
    epoch: int


@dataclass(frozen=True, slots=True)
class MappedPort:
    """A port of ours that a router is to map.

    ``protocol`` is "tcp" or "udp", ``internal_port`` the port that the server listens on.
    ``external_port`` is that of the router, None while it has not mapped the port;
    ``expires_in_s`` the seconds until the mapping ends unless it is renewed, which happens after
    half of its lifetime. ``error`` is why the last request failed, "" if it did not.
    """

    protocol: str
    internal_port: int
    external_port: int | None = None
    expires_in_s: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class NatStatus:
    """The state of the option ``nat`` of a server, at one moment; of :attr:`p2p.Server.nat`.

    ``router`` is the kind and the place of the router that was found, such as
    "NAT-PMP 192.168.1.1", "" if there is none yet. ``external_ip`` is the address that it tells,
    None if it tells none. ``ports`` are those to be mapped; none for a STUN server, which
    maps no ports. ``error`` is what is wrong besides the ports, with what to do, "" if nothing is
    known: no router answers, it tells no address, or one that is not public.
    """

    router: str
    external_ip: IPAddress | None
    ports: tuple[MappedPort, ...]
    error: str
