"""History of dials: which nodes were dialed lately, by us and as the remote counts it.

A node is not dialed again within the redial pause. A node that has taken a connection may also
refuse the next one from our address (:data:`~p2p.peers.admission.INBOUND_WINDOW_S`); that is its
throttle. The history does not own the decision: :mod:`p2p.dial.scheduler` asks it.

Pure; the server's I/O thread owns it. ``now`` is in monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from p2p.errors import RecentlyDialed, Throttled
from p2p.inputs import RandomSource
from p2p.netutil import IPAddress, OwnNetworks
from p2p.peers.admission import INBOUND_WINDOW_S

#: Seconds in which a remote may refuse another connection: its inbound throttle, and some more.
REMOTE_WINDOW_S = INBOUND_WINDOW_S + 5.0

#: Largest random part of the redial pause, as a share of it.
REDIAL_JITTER = 0.1

#: Most nodes in the history. Only a program that calls ``connect`` for more than 250
#: nodes a second reaches it; the oldest may then be dialed a little early.
MAX_HISTORY = 10_000


class _Dialed(NamedTuple):
    """The last dial of a node."""

    free_at: float  #: Time from which it may be dialed again.
    throttled_until: float  #: End of the remote's throttle; 0 if it has none.


class DialHistory:
    """Recent dials by node ID.

    ``redial_pause_s`` is the pause in seconds, and ``random`` draws the random part of each. Nodes
    in the ``own`` networks do not throttle us.
    """

    def __init__(self, redial_pause_s: float, own: OwnNetworks, random: RandomSource) -> None:
        # fixed after __init__
        self._redial_pause_s = redial_pause_s
        self._own = own
        self._random = random
        # the dials, ordered by free_at
        self._dials: OrderedDict[bytes, _Dialed] = OrderedDict()

    # input

    def dial_begun(self, node_id: bytes, now: float) -> list[bytes]:
        """Note a dial of the node. Returns the nodes whose pause ends with it, for want of room."""
        known = self._dials.get(node_id)
        return self._note(node_id, now, 0.0 if known is None else known.throttled_until)

    def connection_opened(self, node_id: bytes, ip: IPAddress, now: float) -> list[bytes]:
        """Note that a dial has opened a connection: the remote's throttle counts from now."""
        window_s = min(self._redial_pause_s, REMOTE_WINDOW_S)
        throttled_until = 0.0 if self._own.contains(ip) else now + window_s
        known = self._dials.get(node_id)
        if known is not None:
            throttled_until = max(throttled_until, known.throttled_until)
        return self._note(node_id, now, throttled_until)

    def expire(self, now: float) -> list[bytes]:
        """Drop the nodes whose pause has ended at ``now``, and return them."""
        free: list[bytes] = []
        while self._dials and next(iter(self._dials.values())).free_at <= now:
            free.append(self._dials.popitem(last=False)[0])
        return free

    # output

    def check(self, node_id: bytes, now: float) -> RecentlyDialed | None:
        """Return :class:`RecentlyDialed` within the pause of the node, else None."""
        known = self._dials.get(node_id)
        if known is None or known.free_at <= now:
            return None
        retry_in_s = known.free_at - now
        return RecentlyDialed(_recently(retry_in_s), retry_in_s)

    def check_throttle(self, node_id: bytes, ip: IPAddress, now: float) -> Throttled | None:
        """Return :class:`Throttled` if the node would close a connection to ``ip``, else None.

        Nodes take one connection in 30 s from an address outside their own networks. A dial that
        opened no connection does not count.
        """
        known = self._dials.get(node_id)
        retry_in_s = 0.0 if known is None else known.throttled_until - now
        if retry_in_s <= 0 or self._own.contains(ip):
            return None
        text = f"{_recently(retry_in_s)}: nodes close a second connection from one address"
        return Throttled(f"{text} within {INBOUND_WINDOW_S:.0f} s", retry_in_s)

    @property
    def next_free_at(self) -> float | None:
        """Time at which the next pause ends; None if there is none."""
        return next(iter(self._dials.values())).free_at if self._dials else None

    # inside

    def _note(self, node_id: bytes, now: float, throttled_until: float) -> list[bytes]:
        # Two nodes that failed to connect to each other must not dial at the same time again.
        jitter_s = self._redial_pause_s * REDIAL_JITTER * self._random.random()
        free_at = now + self._redial_pause_s + jitter_s
        if self._dials:  # keep it ordered by free_at
            free_at = max(free_at, next(reversed(self._dials.values())).free_at)
        self._dials[node_id] = _Dialed(free_at, throttled_until)
        self._dials.move_to_end(node_id)
        return [self._dials.popitem(last=False)[0]] if len(self._dials) > MAX_HISTORY else []


def _recently(retry_in_s: float) -> str:
    return f"the node was dialed a short time ago, retry in {retry_in_s:.1f} s"
