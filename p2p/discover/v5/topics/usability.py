"""Usability of registrars: nodes that do not answer requests about topics rest for a while.

Pure. A node may be good for discovery and fail at topics, so the node table does not know
(discv5-theory, "TopDisc Liveness and Temporary Exclusion"). The memory is bounded: the failures
that are longest ago are dropped.
"""

from __future__ import annotations

from collections import OrderedDict

from p2p.enode.nodeid import NodeID

#: Failures in a row after which a node rests. A request is sent twice before it has failed.
MAX_FAILS = 2
#: Duration of its rest, in seconds.
REST_S = 600.0
#: Nodes whose failures are kept.
MAX_NODES = 1024


class Usability:
    """The failures of nodes at requests about topics, for all topics together."""

    def __init__(self) -> None:
        # failures in a row, and the time of the last one; the last to fail last
        self._fails: OrderedDict[NodeID, tuple[int, float]] = OrderedDict()

    def failed(self, node_id: NodeID, now: float) -> None:
        """Note that a node has not answered, or not as it should; ``now`` is monotonic."""
        fails, since = self._fails.pop(node_id, (0, now))
        fails = 0 if now >= since + REST_S else fails
        self._fails[node_id] = fails + 1, now
        if len(self._fails) > MAX_NODES:
            self._fails.popitem(last=False)

    def answered(self, node_id: NodeID) -> None:
        """Note that a node has answered."""
        self._fails.pop(node_id, None)

    def is_usable(self, node_id: NodeID, now: float) -> bool:
        """Whether the node may be asked."""
        fails, since = self._fails.get(node_id, (0, now))
        return fails < MAX_FAILS or now >= since + REST_S

    def __len__(self) -> int:
        return len(self._fails)
