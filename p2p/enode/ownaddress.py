"""Our own endpoint, as far as we know it, in one address family.

An address comes from one of three sources. A *static* one, from the program or the router, has
precedence; it may come with ports, such as those that a router maps to ours. Otherwise an endpoint
that enough others state is used, with the port that they see. The *fallback*, usually the address
that was bound, is used until then.

Plain data: no lock, no clock; its owner is :class:`p2p.enode.localnode.LocalNode`. Times are
monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from p2p.netutil import Endpoint, IPAddress, IPTracker

#: Number of hosts that must agree on our endpoint, and the lifetime of the statement of one.
MIN_STATEMENTS = 10
STATEMENT_WINDOW_S = 5 * 60.0
#: Time for which a host that we have sent a packet to counts as contacted.
CONTACT_WINDOW_S = 10 * 60.0


@dataclass(slots=True)
class OwnAddress:
    """Our address and UDP port in IPv4, or in IPv6."""

    tracker: IPTracker = field(
        default_factory=lambda: IPTracker(STATEMENT_WINDOW_S, CONTACT_WINDOW_S, MIN_STATEMENTS)
    )
    static_ip: IPAddress | None = None
    #: Ports of the static address; 0: not known.
    static_udp: int = 0
    static_tcp: int = 0
    fallback_ip: IPAddress | None = None
    fallback_udp: int = 0
    _predicted: Endpoint | None = None

    @property
    def is_known(self) -> bool:
        """Whether the address is more than the fallback."""
        return self.static_ip is not None or self._predicted is not None

    def choose(self) -> tuple[IPAddress | None, int]:
        """Return the address and UDP port to publish; None and 0 if not known."""
        predicted = self._predicted
        if self.static_ip is not None and self.static_udp:
            return self.static_ip, self.static_udp
        if predicted is not None and self.static_ip in (None, predicted.ip):
            return predicted
        return self.static_ip or self.fallback_ip, self.fallback_udp

    def add_statement(self, from_ip: IPAddress, stated: Endpoint, now: float) -> bool:
        """Record a host's statement of our endpoint. Returns whether the choice has changed."""
        self.tracker.add_statement(from_ip, stated, now)
        return self._predict(now)

    def add_contact(self, host: IPAddress, now: float) -> bool:
        """Record that we send a packet to a host. Returns whether the choice has changed."""
        self.tracker.add_contact(host, now)
        return self._predict(now)

    def _predict(self, now: float) -> bool:
        before, self._predicted = self._predicted, self.tracker.predict_endpoint(now)
        return before != self._predicted and not self.static_udp
