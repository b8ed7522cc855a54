"""The verdicts of the option ``candidate_filter``, kept for a while.

Pure. :mod:`p2p.dial.candidatefilter` asks for them before it has a node checked again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID

#: Time for which a verdict counts, unless the node has a newer record. In a small network discovery
#: finds the same nodes every few seconds.
VERDICT_S = 60.0
#: Verdicts that are kept, the newest.
MAX_VERDICTS = 1024


class Verdict(NamedTuple):
    """The result of a check: the node to dial, or the reason against it."""

    until: float
    node: Node
    refusal: str | None


class Verdicts:
    """The latest verdicts, by node. ``now`` is in monotonic seconds."""

    def __init__(self) -> None:
        self._known: OrderedDict[NodeID, Verdict] = OrderedDict()

    def get(self, node: Node, now: float) -> Verdict | None:
        """Return the verdict that still counts for ``node``, if there is one."""
        verdict = self._known.get(node.id)
        if verdict is None or now >= verdict.until or _is_newer(node, verdict.node):
            return None
        return verdict

    def add(self, node: Node, refusal: str | None, now: float) -> None:
        """Keep a verdict about ``node`` for VERDICT_S."""
        self._known[node.id] = Verdict(now + VERDICT_S, node, refusal)
        self._known.move_to_end(node.id)
        if len(self._known) > MAX_VERDICTS:
            self._known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._known)


def _is_newer(node: Node, than: Node) -> bool:
    """Whether ``node`` has a record that ``than`` has not, or a newer one."""
    return node.record is not None and (than.record is None or node.seq > than.seq)
