"""Detection of a wrong wall clock by answers that are expired on arrival.

Pure. A pong carries the hash of our ping, so it was made after the ping; if it is expired, its
sender's clock or ours is wrong. Packets are valid for 20 s, so the expiration gives the difference.
Only a clock of ours that is ahead is found like this: if it is behind, no node answers at all.
``docs/design/clock-skew.md`` has the reasons for these rules.

Each network (a /24, with IPv6 a /48) has one vote, and so has each bootnode: its last answer of
two minutes. Our clock is taken as wrong when there have been votes for that for 10 s, and

- three of them agree on the difference, and more than two thirds of all votes say that our clock is
  ahead; or
- a bootnode is one of them, and no answer at all was in time.

One remote, with any number of keys, has one vote in one network, and can cause neither.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from p2p.discover.event import ClockAhead
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from p2p.netutil import IPAddress, Network, network_of

#: Votes needed without a bootnode.
MIN_VOTES = 3
#: Largest difference of votes that agree, in seconds: the expiration is in whole seconds, and the
#: other clocks are not exact either.
AGREEMENT_S = 5.0
#: Seconds that a vote counts.
WINDOW_S = 120.0
#: Seconds between the first vote and the decision: the answers in time may be the slower ones.
MIN_TIME_S = 10.0
#: Seconds until the same is reported again.
REPEAT_S = 3600.0
#: Most votes that are kept.
MAX_VOTES = 256

_Voter: TypeAlias = Network | NodeID


class _Vote(NamedTuple):
    ahead_s: float | None  # None: the answer was in time
    since: float  # time of the voter's first vote of this kind, monotonic
    at: float


class SkewWatch:
    """The votes; ``is_bootnode`` tells whether a bootnode has an ID and an address."""

    def __init__(self, is_bootnode: Callable[[NodeID, IPAddress], bool]) -> None:
        self._is_bootnode = is_bootnode
        # the latest last
        self._votes: OrderedDict[_Voter, _Vote] = OrderedDict()
        self._quiet_until = -math.inf
        self._reports: list[ClockAhead] = []

    def poll_reports(self) -> list[ClockAhead]:
        """Return the reports since the last call."""
        reports, self._reports = self._reports, []
        return reports

    def receive_pong(
        self, node_id: NodeID, ip: IPAddress, ahead_s: float | None, now: Now
    ) -> None:
        """Count an awaited pong from ``ip`` as a vote.

        ``ahead_s`` is the number of seconds by which our wall clock is ahead of its sender's, None
        if the pong is not expired.
        """
        voter: _Voter = node_id if self._is_bootnode(node_id, ip) else network_of(ip)
        before = self._votes.pop(voter, None)
        repeats = before is not None and (before.ahead_s is None) == (ahead_s is None)
        since = before.since if before is not None and repeats else now.monotonic
        self._votes[voter] = _Vote(ahead_s, since, now.monotonic)
        self._drop_old(now)
        if ahead_s is not None:
            self._judge(now)

    def _drop_old(self, now: Now) -> None:
        oldest = now.monotonic - WINDOW_S
        while len(self._votes) > MAX_VOTES or self._first().at < oldest:
            self._votes.popitem(last=False)

    def _first(self) -> _Vote:
        return next(iter(self._votes.values()))

    def _judge(self, now: Now) -> None:
        ahead = {voter: vote for voter, vote in self._votes.items() if vote.ahead_s is not None}
        first = min(vote.since for vote in ahead.values())
        if now.monotonic < max(first + MIN_TIME_S, self._quiet_until):
            return
        differences = sorted(vote.ahead_s for vote in ahead.values() if vote.ahead_s is not None)
        middle = differences[len(differences) // 2]
        agreeing = [
            voter
            for voter, vote in ahead.items()
            if vote.ahead_s is not None and abs(vote.ahead_s - middle) <= AGREEMENT_S
        ]
        bootnodes = tuple(voter for voter in agreeing if isinstance(voter, NodeID))
        in_time = len(self._votes) - len(ahead)
        if len(agreeing) >= MIN_VOTES and len(ahead) > 2 * in_time or bootnodes and not in_time:
            self._quiet_until = now.monotonic + REPEAT_S
            self._reports.append(ClockAhead(middle, len(agreeing), bootnodes))
