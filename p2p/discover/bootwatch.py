"""Bootnodes that do not answer, for a warning to the user.

Pure. A bootnode is silent when several pings in a row were lost, over half a minute, at any of its
endpoints. It is reported once, and again after a day; sooner only if it has answered in between. An
expired answer counts as an answer: it is the sign of a wrong clock (:mod:`p2p.discover.v4.skew`).
"""

from __future__ import annotations

import math

from p2p.discover.event import BootnodeSilent
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from p2p.netutil import IPAddress

#: Pings lost in a row: two attempts, each of which repeats a lost ping once.
SILENT_PINGS = 4
#: Seconds between the first of them and the last: time for a bootnode that starts together with us,
#: or restarts.
SILENT_S = 30.0
#: Seconds until a bootnode is reported again: if it stays silent, and if it has answered meanwhile.
REPEAT_S = 24 * 3600.0
REPEAT_AFTER_ANSWER_S = 3600.0


class _Silence:
    """The state of a bootnode. Times are monotonic seconds."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.lost = 0
        self.lost_since = 0.0
        self.reported_at = -math.inf
        self.answered = False  # since the last report


class BootnodeWatch:
    """Counter of the lost pings to each bootnode."""

    def __init__(self) -> None:
        self._silences: dict[tuple[NodeID, IPAddress | None], _Silence] = {}
        self._reports: list[BootnodeSilent] = []

    def move(self, old: Node | None, new: Node | None) -> None:
        """Watch a bootnode at ``new`` instead of ``old``; its silence goes on. None: at neither."""
        silence = None
        for key in [] if old is None else _keys_of(old):
            silence = self._silences.pop(key, silence)
        if new is not None:
            silence = silence or _Silence(new)
            silence.node = new
            self._silences.update(dict.fromkeys(_keys_of(new), silence))

    def poll_reports(self) -> list[BootnodeSilent]:
        """Return the reports since the last call."""
        reports, self._reports = self._reports, []
        return reports

    def receive_pong(self, node_id: NodeID, ip: IPAddress) -> None:
        """Note that the node at ``ip`` has answered a ping."""
        silence = self._silences.get((node_id, ip))
        if silence is not None:
            silence.lost = 0
            silence.answered = True

    def lose_ping(self, node_id: NodeID, ip: IPAddress, now: Now) -> None:
        """Note that a ping to the node at ``ip`` was not answered in time."""
        silence = self._silences.get((node_id, ip))
        if silence is None:
            return
        if not silence.lost:
            silence.lost_since = now.monotonic
        silence.lost += 1
        pause_s = REPEAT_AFTER_ANSWER_S if silence.answered else REPEAT_S
        if (
            silence.lost >= SILENT_PINGS
            and now.monotonic - silence.lost_since >= SILENT_S
            and now.monotonic - silence.reported_at >= pause_s
        ):
            silence.reported_at = now.monotonic
            silence.answered = False
            self._reports.append(BootnodeSilent(silence.node, silence.lost))


def _keys_of(node: Node) -> list[tuple[NodeID, IPAddress | None]]:
    return [(node.id, endpoint.ip) for endpoint in node.endpoints]
