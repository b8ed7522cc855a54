"""Estimates of how much a peer delivers in a second, to size the next request.

A request that is too large keeps its peer busy for long and is lost whole with it; one that is too
small costs a round trip for little. :class:`RateEstimator` learns from the replies of one peer how
many items it delivers in a second, for each message code; :class:`PeerRates` compares the peers. A
program chooses the unit, such as blocks, keys or bytes. The place of go-ethereum's package
``p2p/msgrate``; the differences are in ``docs/design/requests.md``.

Any thread may use these. Each has a lock of its own; nothing waits.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable, Iterable, Mapping, Sequence

from p2p.arguments import NUMBER, check_int, check_type, wrong

#: Weight of a new measurement in an estimate: a tenth, so that one hiccup does not decide.
WEIGHT = 0.1
#: Factor by which a request exceeds the estimate, or a peer's true rate would never be found.
OVERESTIMATE = 1.01
#: Largest number of items that is asked for at once: that of an int of 32 bits, as in go-ethereum.
MAX_ITEMS = 2**31 - 1
#: Range in seconds of the round trip to size requests for. The least leaves a peer time to look the
#: items up; the most keeps a lost peer from blocking its items for long.
LEAST_TARGET_S, MOST_TARGET_S = 2.0, 20.0
#: Aim at somewhat less than the usual round trip: requests shrink to the size that still pays.
TARGET_FACTOR = 0.9
#: Timeout of a request as a multiple of the usual round trip, and its limit in seconds.
TIMEOUT_FACTOR, MOST_TIMEOUT_S = 3.0, 60.0

_SECONDS = "a number of seconds from 0 up"


class RateEstimator:
    """The rates of one peer, by message code, and its usual round trip. Any thread.

    ``rates`` are items a second to begin with, by code; by default nothing is known and the first
    request is for one item. ``round_trip_s`` is the round trip to begin with. Raises ArgumentError
    for other values.
    """

    def __init__(
        self, rates: Mapping[int, float] | None = None, round_trip_s: float = MOST_TARGET_S
    ) -> None:
        check_type("rates", rates, (Mapping, type(None)), "a mapping of codes to numbers, or None")
        # guarded by _lock
        self._lock = threading.Lock()
        self._rates = dict(rates or {})
        self._round_trip_s = _checked_seconds("round_trip_s", round_trip_s)

    @property
    def rates(self) -> dict[int, float]:
        """Items a second, by code; 0 after a request that brought none."""
        with self._lock:
            return dict(self._rates)

    @property
    def round_trip_s(self) -> float:
        """Seconds from request to reply, as an average in which new ones count more."""
        return self._round_trip_s

    def update(self, code: int, items: int, elapsed_s: float) -> None:
        """Learn from a request of ``code`` that brought ``items`` after ``elapsed_s`` seconds.

        No items, as after a timeout, set the rate to 0: the next request is for one item. The
        measurement after that counts in full. :class:`Requests` calls this for its requests. Raises
        ArgumentError for other values.
        """
        check_type("code", code, int, "an int")
        check_int("items", items, 0, math.inf, "an int from 0 up")
        elapsed_s = max(_checked_seconds("elapsed_s", elapsed_s), 1e-9)
        with self._lock:
            if items == 0:
                self._rates[code] = 0.0
                return
            measured = items / elapsed_s
            known = self._rates.get(code) or measured
            self._rates[code] = known + WEIGHT * (measured - known)
            self._round_trip_s += WEIGHT * (elapsed_s - self._round_trip_s)

    def capacity(self, code: int, target_s: float) -> int:
        """Return the number of items to ask for, so that the reply takes ``target_s`` seconds.

        At least 1, and a little more than the estimate. Raises ArgumentError for a time that is
        not a number from 0 up.
        """
        target_s = _checked_seconds("target_s", target_s)
        with self._lock:
            rate = self._rates.get(code, 0.0)
        return math.ceil(min(1 + OVERESTIMATE * rate * target_s, MAX_ITEMS)) if rate else 1

    def __repr__(self) -> str:
        known = ", ".join(f"{code}: {rate:g}/s" for code, rate in sorted(self.rates.items()))
        return f"<RateEstimator, round trip {self._round_trip_s:g} s, {known or 'no rates'}>"


class PeerRates:
    """The estimators of several peers: what one may expect of a peer. Any thread.

    ``target_s`` is the round trip to size requests for, ``timeout_s`` the time after which a reply
    is not to be expected any more, both in seconds and from the usual round trip of the better
    peers::

        rates = p2p.requests.PeerRates()
        requests = p2p.requests.Requests(rw, rates=rates.add(peer.id))
        count = requests.rates.capacity(GET_BLOCKS, rates.target_s)
        blocks = requests.ask(GET_BLOCKS, first, count, timeout=rates.timeout_s)
    """

    def __init__(self) -> None:
        # guarded by _lock
        self._lock = threading.Lock()
        self._estimators: dict[Hashable, RateEstimator] = {}

    def add(self, key: Hashable) -> RateEstimator:
        """Return a new estimator for the peer ``key``, in place of an earlier one.

        It begins with the mean rates and the usual round trip of the others, which a new peer is
        expected to have. Raises ArgumentTypeError for a key that cannot be one of a dict.
        """
        check_type("key", key, Hashable, "a hashable key, such as peer.id")
        with self._lock:
            self._estimators.pop(key, None)
            others = list(self._estimators.values())
            made = self._estimators[key] = RateEstimator(_mean(others), _usual_s(others))
        return made

    def remove(self, key: Hashable) -> None:
        """Remove the peer ``key``. Does nothing if it is not there. Raises as :meth:`add` does."""
        check_type("key", key, Hashable, "a hashable key, such as peer.id")
        with self._lock:
            self._estimators.pop(key, None)

    @property
    def target_s(self) -> float:
        """Round trip in seconds to size requests for."""
        return TARGET_FACTOR * self._usual_s()

    @property
    def timeout_s(self) -> float:
        """Seconds to wait for a reply."""
        return min(TIMEOUT_FACTOR * self._usual_s(), MOST_TIMEOUT_S)

    def _usual_s(self) -> float:
        with self._lock:
            return _usual_s(self._estimators.values())

    def __len__(self) -> int:
        return len(self._estimators)

    def __repr__(self) -> str:
        return f"<PeerRates, {len(self)} peers, target {self.target_s:g} s>"


def _usual_s(estimators: Iterable[RateEstimator]) -> float:
    """Return the round trip of the better peers, in the range of a target.

    Of n peers it is that of rank sqrt(n): slow peers must not slow the others down.
    """
    ordered = sorted(estimator.round_trip_s for estimator in estimators)
    if not ordered:
        return MOST_TARGET_S
    usual_s = ordered[min(math.isqrt(len(ordered)), len(ordered) - 1)]
    return min(max(usual_s, LEAST_TARGET_S), MOST_TARGET_S)


def _mean(estimators: Sequence[RateEstimator]) -> dict[int, float]:
    """Return the mean rate by code; a peer without a rate counts as 0."""
    sums: dict[int, float] = {}
    for estimator in estimators:
        for code, rate in estimator.rates.items():
            sums[code] = sums.get(code, 0.0) + rate
    return {code: total / len(estimators) for code, total in sums.items()}


def _checked_seconds(name: str, value: float) -> float:
    check_type(name, value, NUMBER, _SECONDS)
    if not 0 <= value < math.inf:
        raise wrong(name, value, _SECONDS)
    return value
