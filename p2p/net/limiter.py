"""A limit on the bytes of all channels of a loop, in one direction, with turns by a timer.

The rules are in :mod:`p2p.net.shares`. Here is the time: a :class:`Limiter` belongs to its loop's
thread, and calls the channels when their turn comes. :class:`Flow` is the end that a channel uses.
"""

from __future__ import annotations

from collections.abc import Callable

from p2p.net.loop import Loop
from p2p.net.shares import FairShares
from p2p.net.timer import Timer


class Limiter:
    """Lets ``rate`` bytes a second pass, of each flow at most ``rate_each``; None is no limit."""

    def __init__(self, loop: Loop, rate: float | None, rate_each: float | None) -> None:
        self._loop = loop
        self._shares = FairShares(rate, rate_each, loop.now())
        self._timer: Timer | None = None

    def join(self, on_turn: Callable[[], object]) -> Flow:
        """Return a new flow. ``on_turn`` is called when its wait is over: it moves its bytes."""
        return Flow(self._loop, self._shares, on_turn, self._wait)

    def _wait(self) -> None:
        """Set the timer for the next turn."""
        deadline = self._shares.deadline
        if self._timer is not None and deadline is not None and self._timer.when <= deadline:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._turn)

    def _turn(self) -> None:
        self._timer = None
        for member in self._shares.poll(self._loop.now()):
            if member.granted:  # else an earlier one has ended its connection
                member.on_turn()
        self._wait()


class Flow:
    """The bytes of one channel in one direction. Loop thread only.

    Before it moves bytes, the channel asks; with 0, it waits until its function is called. After
    that it settles the number of bytes that it has moved, perhaps 0.
    """

    def __init__(
        self,
        loop: Loop,
        shares: FairShares,
        on_turn: Callable[[], object],
        wait: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._shares = shares
        self._member = shares.add(on_turn, loop.now())
        self._wait = wait

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for its turn."""
        return self._member.is_waiting

    def ask(self) -> int:
        """Return the number of bytes that may pass; 0 if it has to wait."""
        size = self._shares.ask(self._member, self._loop.now())
        if not size:
            self._wait()
        return size

    def settle(self, used: int) -> None:
        """State that ``used`` bytes have passed."""
        self._shares.settle(self._member, used)

    def leave(self) -> None:
        """End; nothing is called any more."""
        self._shares.remove(self._member)

    def take_waited(self) -> bool:
        """Return whether it waits, or has waited since the last call."""
        return self._member.take_waited()
