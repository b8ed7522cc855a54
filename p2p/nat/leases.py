"""The port mappings that a server wants, and when to ask for each.

Pure. A mapping is renewed after half of its lifetime, and asked for again after a pause if that
fails. Whatever a router grants, the pauses between requests have a lower and an upper limit. Times
are monotonic seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from p2p.nat.mapping import Mapped, MappedPort, PortMapping

#: Lifetime to ask for, in seconds; as in go-ethereum.
LIFETIME_S = 600
#: Limit on the lifetime that is counted on, whatever the router says (RFC 6887, section 15).
MAX_LIFETIME_S = 86_400
#: Pause before a mapping is asked for again, at least (RFC 6887, section 11.2.1, has 4 s).
MIN_PAUSE_S = 5.0
#: Pause after a refusal.
RETRY_S = 60.0


@dataclass
class _Lease:
    protocol: str
    port: int
    granted: Mapped | None = None
    due: float = -math.inf
    ends: float = math.inf  # of the granted mapping
    is_unsure: bool = False  # the router may have made it without our knowledge


class Leases:
    """A mapping for each of ``ports``: protocol ("tcp", "udp") and port."""

    def __init__(self, ports: Iterable[tuple[str, int]]) -> None:
        self._leases = {protocol: _Lease(protocol, port) for protocol, port in ports}
        self._restarted = -math.inf

    @property
    def deadline(self) -> float:
        """The time when a mapping is due or ends; infinity if there are none."""
        times = [min(lease.due, lease.ends) for lease in self._leases.values()]
        return min(times, default=math.inf)

    @property
    def granted(self) -> list[PortMapping]:
        """The mappings that the router has granted."""
        return [_wanted(lease) for lease in self._leases.values() if lease.granted is not None]

    @property
    def deletions(self) -> list[PortMapping]:
        """The mappings to delete at the end: those granted, and those that may have been."""
        leases = self._leases.values()
        return [_wanted(lease) for lease in leases if lease.granted is not None or lease.is_unsure]

    def due(self, now: float) -> list[PortMapping]:
        """Return the mappings to ask for now."""
        return [_wanted(lease) for lease in self._leases.values() if lease.due <= now]

    def external_port(self, protocol: str) -> int | None:
        """Return the external port of a granted mapping, or else None."""
        lease = self._leases.get(protocol)
        return None if lease is None or lease.granted is None else lease.granted.external_port

    def status(self, errors: Mapping[str, str], now: float) -> tuple[MappedPort, ...]:
        """Return the state of each port; ``errors`` are the last ones, by the mapping as text."""
        leases = self._leases.values()
        return tuple(_status(lease, errors.get(str(_wanted(lease)), ""), now) for lease in leases)

    def grant(self, mapping: PortMapping, mapped: Mapped, now: float) -> bool:
        """Record that the router has granted a mapping. Returns whether its port is new."""
        lease = self._leases[mapping.protocol]
        before, lease.granted = lease.granted, mapped
        lifetime_s = min(mapped.lifetime_s, MAX_LIFETIME_S)
        # A shorter one is renewed no more often, and does not come and go in our record.
        lease.ends = now + max(2 * MIN_PAUSE_S, lifetime_s)
        lease.due = now + max(MIN_PAUSE_S, lifetime_s / 2)
        return before is None or before.external_port != mapped.external_port

    def refuse(self, mapping: PortMapping, now: float) -> None:
        """Record that a mapping could not be had; one that was granted stays until its end."""
        lease = self._leases[mapping.protocol]
        left_s = RETRY_S if lease.granted is None else (lease.ends - now) / 2
        lease.due = now + max(MIN_PAUSE_S, min(RETRY_S, left_s))

    def interrupt(self, mapping: PortMapping) -> None:
        """Record that the request for a mapping was sent and its answer not waited for."""
        self._leases[mapping.protocol].is_unsure = True

    def restart(self, now: float) -> None:
        """Make all mappings due, since the router has lost them: at once, or after a pause.

        The pause is for a router that pretends to restart with each answer.
        """
        if now >= self._restarted:  # otherwise it is planned already
            self._restarted = max(now, self._restarted + MIN_PAUSE_S)
        for lease in self._leases.values():
            lease.due = min(lease.due, self._restarted)

    def end_old(self, now: float) -> list[PortMapping]:
        """Drop the mappings whose time is over, and return them."""
        ended = [lease for lease in self._leases.values() if lease.ends <= now]
        lost = [_wanted(lease) for lease in ended]
        for lease in ended:
            lease.granted, lease.ends = None, math.inf
        return lost


def _wanted(lease: _Lease) -> PortMapping:
    external = lease.port if lease.granted is None else lease.granted.external_port
    return PortMapping(lease.protocol, lease.port, external, LIFETIME_S)


def _status(lease: _Lease, error: str, now: float) -> MappedPort:
    granted, ends = lease.granted, lease.ends
    if granted is None:
        return MappedPort(lease.protocol, lease.port, error=error)
    left_s = max(0.0, ends - now) if math.isfinite(ends) else None
    return MappedPort(lease.protocol, lease.port, granted.external_port, left_s, error)
