"""The ad cache: the ads that a registrar has admitted.

Pure. Specification: discv5-theory, "Ad Cache". At most ``capacity`` ads, one for each advertiser
and service. All have the same lifetime, so the order of admission is that of expiry. No operation
looks through the ads: adding, removing and counting take constant time, a choice of ads time for
these only.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import RandomSource
from p2p.netutil import IPAddress


@dataclass(slots=True, eq=False)
class Ad:
    """An ad: ``node``, at ``ip``, offers the service ``topic`` until ``expiry`` (monotonic)."""

    topic: bytes
    node: Node
    ip: IPAddress
    expiry: float
    #: Place in the list of its topic.
    place: int = 0


class AdCache:
    """The ads of a registrar, by advertiser and service, by service, and by expiry."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._ads: OrderedDict[tuple[bytes, NodeID], Ad] = OrderedDict()
        self._topics: dict[bytes, list[Ad]] = {}

    def __len__(self) -> int:
        return len(self._ads)

    @property
    def topics(self) -> int:
        """The number of services with an ad."""
        return len(self._topics)

    @property
    def next_expiry(self) -> float:
        """The monotonic time at which the next ad expires; infinity without ads."""
        return next(iter(self._ads.values())).expiry if self._ads else math.inf

    def get(self, topic: bytes, node_id: NodeID) -> Ad | None:
        """Return the ad of a node for a service, if there is one."""
        return self._ads.get((topic, node_id))

    def count(self, topic: bytes) -> int:
        """Return the number of ads for a service."""
        return len(self._topics.get(topic, ()))

    def add(self, ad: Ad) -> None:
        """Add an ad that expires no earlier than all others.

        Raises ValueError if the cache is full, or has an ad of that node for that service.
        """
        key = (ad.topic, ad.node.id)
        if len(self._ads) >= self.capacity or key in self._ads:
            raise ValueError("no place for the ad")
        self._ads[key] = ad
        same = self._topics.setdefault(ad.topic, [])
        ad.place = len(same)
        same.append(ad)

    def remove(self, ad: Ad) -> None:
        """Remove an ad that is in the cache."""
        del self._ads[ad.topic, ad.node.id]
        same = self._topics[ad.topic]
        last = same.pop()
        if last is not ad:
            same[ad.place] = last
            last.place = ad.place
        if not same:
            del self._topics[ad.topic]

    def expired(self, now: float) -> Ad | None:
        """Return an ad that has expired, if there is one."""
        return next(iter(self._ads.values())) if self.next_expiry <= now else None

    def choose(self, topic: bytes, limit: int, random: RandomSource) -> list[Node]:
        """Return up to ``limit`` advertisers of a service, each set of them as likely as another.

        Specification: discv5-theory, "Lookup Responses".
        """
        same = self._topics.get(topic, [])
        return [ad.node for ad in random.sample(same, min(limit, len(same)))]
