"""Port mappings: the wanted one, the granted one, the answer of a router.

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
