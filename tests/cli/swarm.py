"""Discovery nodes on loopback, in one process, that know each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import p2p
from p2p import discover
from tests.kit.waiting import PATIENCE_S

HOST = "127.0.0.1"


@contextmanager
def swarm(protocol: str, count: int) -> Iterator[list[discover.UDPv4 | discover.UDPv5]]:
    """Run ``count`` nodes; when the block begins, the first knows all others."""
    kind = discover.UDPv4 if protocol == "v4" else discover.UDPv5
    with ExitStack() as stack:
        first = stack.enter_context(kind(p2p.generate_key(), f"{HOST}:0", ntp_server=None))
        events = stack.enter_context(first.subscribe_events())
        fronts = [first]
        for _ in range(count - 1):
            front = kind(p2p.generate_key(), f"{HOST}:0", bootnodes=[first.self], ntp_server=None)
            fronts.append(stack.enter_context(front))
        missing = {front.self.id for front in fronts[1:]}
        while missing:
            missing.discard(events.get(PATIENCE_S).node.id)
        yield fronts
