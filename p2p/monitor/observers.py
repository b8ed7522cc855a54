"""The observer that a server has for its page: messages and lookups, and dials.

``p2p-io`` and ``p2p-disc`` call it. Of what an observer may get it keeps no key and no secret.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from p2p.clock import Clock
from p2p.enode import Node
from p2p.monitor.dials import Dials
from p2p.monitor.sampling import ConnectionSampler, Sampler
from p2p.monitor.searches import Searches
from p2p.observe import ConnectionObserver, DiscoveryObserver, NewConnection, Observer

if TYPE_CHECKING:
    from p2p.dial.attempts import DialAttempt
    from p2p.peers.event import PeerEvent

#: Events of peers that wait for the page; the oldest ones are dropped.
MAX_EVENTS = 1000


class MonitorObserver(Observer):
    """Observer of a server; ``sampler``, ``dials`` and ``searches`` have what it got.

    While no page wants samples, and when a period has enough of them, open connections are not
    observed. Their handshakes are, so that the sampler of a connection knows what it shares.
    """

    def __init__(self, clock: Clock) -> None:
        # fixed after __init__
        self.sampler = Sampler(clock)
        self.dials = Dials(clock)
        self.searches = Searches(clock, self.sampler)
        self._clock = clock
        # added to by p2p-io, taken from by p2p-monitor
        self._peer_events: deque[tuple[float, PeerEvent]] = deque(maxlen=MAX_EVENTS)

    @property
    def _is_idle(self) -> bool:
        return self.sampler.looks <= 0

    def take_peer_events(self) -> list[tuple[float, PeerEvent]]:
        """Return the peers that came and went since the last call, with Unix times."""
        return [self._peer_events.popleft() for _ in range(len(self._peer_events))]

    def connection(self, new: NewConnection) -> ConnectionObserver:
        return ConnectionSampler(self.sampler, new.remote)

    def discovery(self, protocol: str) -> DiscoveryObserver:
        return self.searches.observer(protocol)

    def peer_event(self, event: PeerEvent) -> None:
        self._peer_events.append((self._clock.time_unix(), event))

    def dial_begun(self, node: Node) -> None:
        self.dials.report(node, None)

    def dial_ended(self, node: Node, attempt: DialAttempt) -> None:
        self.dials.report(node, attempt)
