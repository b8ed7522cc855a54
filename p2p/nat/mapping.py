"""A port mapping as it is asked for and as it is granted, and the error of a refusal. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from p2p.errors import P2PError
from p2p.netutil import IPAddress


class NatError(P2PError):
    """A router refuses a request, answers wrongly, or not at all; or there is no way to it."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """A wanted mapping of an external port to a port of ours.

    ``protocol`` is "tcp" or "udp", ``external_port`` a suggestion, ``lifetime_s`` in seconds.
    """

    protocol: str
    internal_port: int
    external_port: int
    lifetime_s: int


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping as the router granted it; ``external_ip`` where its answer has one (PCP)."""

    external_port: int
    lifetime_s: int
    external_ip: IPAddress | None = None
