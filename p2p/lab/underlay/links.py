"""The quality of each direction between two hosts, and the partition between groups of them.

The model is :class:`p2p.sim.Link`, and for datagrams the rules are those of :mod:`p2p.sim.link`.
Streams have their own, simpler than TCP:

* A stream is cut into segments. Each arrives after its transmission (its size by the bandwidth, and
  behind what the direction is busy with), its latency and jitter, and never before an earlier one.
* Each packet of a segment, of ``PACKET_BYTES``, is lost with the probability of the link. A loss
  costs no data, but a retransmission time: four latencies, at least ``MIN_RETRANSMISSION_S``, then
  twice as much if it is lost again.
* There is no congestion window, and no loss of acknowledgements: what the remote has read makes
  room at once.

Between the sides of a partition, and where the loss is 1, nothing arrives: datagrams vanish, and
segments wait, those under way as well, until the end of that.

Random numbers come from the seed, by a sequence for each direction, so that what one pair of hosts
does is independent of the threads of the others. Any thread.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

from p2p.netutil import IPAddress
from p2p.sim.link import MAX_QUEUE_S, Link, Transmission, base_latency, delays_of, place_of

#: Bytes of a packet: what fits into one of Ethernet.
PACKET_BYTES = 1460
#: Shortest time until a lost packet is sent again, in seconds; Linux has the same.
MIN_RETRANSMISSION_S = 0.2
#: Limit on the losses of one segment, so that its time has an end.
MAX_LOSSES = 12

#: A link without any effect.
IDEAL = Link(0.0, jitter=0.0)

_MASK = (1 << 64) - 1
_Pair = tuple[IPAddress, IPAddress]


class _Direction:
    """One direction between two hosts: its random numbers, and what it is busy with."""

    __slots__ = ("_state", "place", "transmission")

    def __init__(self, pair: _Pair, salt: int) -> None:
        a, b = int(pair[0]), int(pair[1])
        self.place = place_of(a, b, salt)
        self.transmission = Transmission()
        self._state = (a * 0x9E3779B97F4A7C15 ^ b * 0xD6E8FEB86659FD93 ^ salt) & _MASK

    def draw(self) -> float:
        """Return the next random number from 0 to 1 (splitmix64)."""
        self._state = state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        return ((state ^ state >> 31) >> 11) / (1 << 53)


class Links:
    """The links of one network. ``link`` is the quality of all that have none of their own."""

    def __init__(self, seed: int, link: Link) -> None:
        # fixed after __init__
        self._salt = random.Random(f"lab {seed}").getrandbits(64)
        # guarded by _lock
        self._lock = threading.Lock()
        self._link = link
        self._own: dict[_Pair, Link] = {}
        self._sides: dict[IPAddress, int] = {}
        self._directions: dict[_Pair, _Direction] = {}
        self._waiting: dict[Callable[[], object], _Pair] = {}  # to be called when no longer cut
        #: Whether no link has any effect; may be read without the lock.
        self.are_ideal = link == IDEAL

    @property
    def link(self) -> Link:
        """The quality of all links that have none of their own."""
        return self._link

    @link.setter
    def link(self, link: Link) -> None:
        with self._lock:
            self._link = link
        self._changed()

    def between(self, a: IPAddress, b: IPAddress) -> Link:
        """Return the quality from ``a`` to ``b``."""
        return self._own.get((a, b), self._link)

    def change(self, pairs: Iterable[_Pair], changes: dict[str, Any]) -> None:
        """Give directions a quality of their own: the present one with ``changes``."""
        changed = {pair: replace(self.between(*pair), **changes) for pair in pairs}
        with self._lock:
            self._own.update(changed)
        self._changed()

    def split(self, sides: Sequence[Iterable[IPAddress]]) -> None:
        """Partition the hosts into groups; all others are one more. No groups end a partition."""
        with self._lock:
            self._sides = {ip: number for number, side in enumerate(sides, 1) for ip in side}
        self._changed()

    def is_cut(self, a: IPAddress, b: IPAddress) -> bool:
        """Whether nothing arrives at ``b`` from ``a``."""
        return not self.are_ideal and self._is_cut((a, b))

    def wait_if_cut(self, a: IPAddress, b: IPAddress, resume: Callable[[], object]) -> bool:
        """Return whether nothing arrives; then ``resume`` is called when something does again."""
        if self.are_ideal:
            return False
        with self._lock:
            is_cut = self._is_cut((a, b))
            if is_cut:
                self._waiting[resume] = a, b
        return is_cut

    def datagram(self, a: IPAddress, b: IPAddress, size_bytes: int, now: float) -> list[float]:
        """Return the latencies of a datagram: none if it is lost, two if it is doubled."""
        if self.are_ideal:
            return [0.0]
        with self._lock:
            link, direction = self.between(a, b), self._direction_locked((a, b))
            sending_s = 0.0
            if link.bandwidth is not None:
                if direction.transmission.wait(now) > MAX_QUEUE_S:
                    return []
                sending_s = direction.transmission.send(size_bytes, link.bandwidth, now)
            base = base_latency(link, lambda: direction.place)
            return [sending_s + delay for delay in delays_of(link, base, direction.draw)]

    def segment(self, a: IPAddress, b: IPAddress, size_bytes: int, now: float) -> float:
        """Return the seconds until a segment of a stream arrives."""
        if self.are_ideal:
            return 0.0
        with self._lock:
            link, direction = self.between(a, b), self._direction_locked((a, b))
            base = base_latency(link, lambda: direction.place)
            delay = base * (1 + link.jitter * direction.draw()) if link.jitter else base
            if link.bandwidth is not None:
                delay += direction.transmission.send(size_bytes, link.bandwidth, now)
            if 0 < link.loss < 1:
                delay += _retransmission_s(link.loss, size_bytes, base, direction.draw)
        return delay

    def _changed(self) -> None:
        """Look at what the change of a link or of the partition has brought."""
        with self._lock:
            self.are_ideal = not self._sides and all(
                link == IDEAL for link in (self._link, *self._own.values())
            )
            resumed = [call for call, pair in self._waiting.items() if not self._is_cut(pair)]
            for call in resumed:
                del self._waiting[call]
        for call in resumed:
            call()

    def _is_cut(self, pair: _Pair) -> bool:
        sides = self._sides
        if sides and sides.get(pair[0], 0) != sides.get(pair[1], 0):
            return True
        return self.between(*pair).loss >= 1

    def _direction_locked(self, pair: _Pair) -> _Direction:
        direction = self._directions.get(pair)
        if direction is None:
            direction = self._directions[pair] = _Direction(pair, self._salt)
        return direction


def _retransmission_s(
    loss: float, size_bytes: int, base_s: float, draw: Callable[[], float]
) -> float:
    """Return the time that the losses of a segment cost."""
    wait_s, total_s = max(MIN_RETRANSMISSION_S, 4 * base_s), 0.0
    packets = max(1, ceil(size_bytes / PACKET_BYTES))
    for _ in range(MAX_LOSSES):
        packets = sum(draw() < loss for _ in range(packets))
        if not packets:
            break
        total_s += wait_s
        wait_s *= 2
    return total_s
