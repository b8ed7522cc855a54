"""Where we are, as far as we know: one address family of the local node.

An address comes from three sources. A *static* one, from the program or the router, ends the
question. Otherwise what enough others state of us is believed, with the port that they see. The
*fallback*, usually the address that was bound, serves until then.

Plain data: no lock, no clock; its owner is :class:`p2p.enode.localnode.LocalNode`. Times are
monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from p2p.enr import IPAddress

#: How many others must agree on our endpoint, and for how long a statement of one counts.
MIN_STATEMENTS = 10
STATEMENT_WINDOW_S = 5 * 60.0
#: How long a host that we have sent something to counts as contacted by us.
CONTACT_WINDOW_S = 10 * 60.0


class EndpointTracker(Protocol):
    """What predicts our endpoint; ``p2p.netutil.IPTracker`` does, of a later layer than this."""

    def add_statement(
        self, from_host: IPAddress, stated: tuple[IPAddress, int], now: float, /
    ) -> None:
        """A host says that our packets come from ``stated``."""

    def add_contact(self, host: IPAddress, now: float, /) -> None:
        """We send a packet to a host."""

    def predict_endpoint(self, now: float, /) -> tuple[IPAddress, int] | None:
        """The endpoint that enough hosts agree on, if there is one."""

    def predict_full_cone_nat(self, now: float, /) -> bool:
        """Whether hosts that we have not contacted can reach us."""


#: Makes a tracker of (statement window, contact window, least number of statements).
NewTracker = Callable[[float, float, int], EndpointTracker]


@dataclass(slots=True)
class OwnAddress:
    """Our address and UDP port in IPv4, or in IPv6. Without a tracker nothing is predicted."""

    tracker: EndpointTracker | None
    static_ip: IPAddress | None = None
    fallback_ip: IPAddress | None = None
    fallback_udp: int = 0
    _predicted: tuple[IPAddress, int] | None = None

    @classmethod
    def tracked(cls, new_tracker: NewTracker | None) -> OwnAddress:
        """One with a tracker of its own, if there is a way to make one."""
        if new_tracker is None:
            return cls(None)
        return cls(new_tracker(STATEMENT_WINDOW_S, CONTACT_WINDOW_S, MIN_STATEMENTS))

    def choose(self) -> tuple[IPAddress | None, int]:
        """The address and UDP port to publish; None and 0 where one is not known."""
        if self.static_ip is not None:
            return self.static_ip, self.fallback_udp
        if self._predicted is not None:
            return self._predicted
        return self.fallback_ip, self.fallback_udp

    def add_statement(self, from_ip: IPAddress, stated: tuple[IPAddress, int], now: float) -> bool:
        """A host states our endpoint. Returns whether the choice has changed."""
        if self.tracker is None:
            return False
        self.tracker.add_statement(from_ip, stated, now)
        return self._predict(now)

    def add_contact(self, host: IPAddress, now: float) -> bool:
        """We send something to a host. Returns whether the choice has changed."""
        if self.tracker is None:
            return False
        self.tracker.add_contact(host, now)
        return self._predict(now)

    def _predict(self, now: float) -> bool:
        assert self.tracker is not None
        before, self._predicted = self._predicted, self.tracker.predict_endpoint(now)
        return before != self._predicted and self.static_ip is None
