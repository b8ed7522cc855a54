"""How soon a connection that is of no use any more is noticed, by each of its ends.

Two servers are connected through the fault-injecting proxy, or try to be; a fault begins, and each
case takes the time until the end it looks at has given the connection up and the thread that reads
or writes there has its error. A reset is always timed by the real clock. The others are timed by it
at full scale, all at once; at short scale by a simulated clock (pair.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import p2p
import p2p.testing
from tests.stress.crowd import Crowd
from tests.stress.faultlink import Fault, Plan
from tests.stress.figure import Figure, Scale
from tests.stress.pair import PATIENCE_S, Pair, await_full, await_session

#: What would take many minutes as a drip.
BIG_BYTES = 1_000_000

# the cases: each returns the seconds it took, for each end that it looks at

Seconds = dict[str, float]


def reset(clock: p2p.testing.Clock) -> Seconds:
    """Both ends read."""
    with Pair(clock).connect() as pair:
        for handler in pair.handlers.values():
            handler.read()
        return _timed(pair, Fault.RESET)


def reset_while_writing(clock: p2p.testing.Clock) -> Seconds:
    """One end does not read, so the other one stands in a write."""
    with Pair(clock).connect() as pair:
        pair.handlers["dialer"].write()
        await_full(pair, "dialer")
        took = _timed(pair, Fault.RESET, "dialer")
        pair.handlers["listener"].read()
        return took


def reset_while_not_reading(clock: p2p.testing.Clock) -> Seconds:
    """The handler that does not read its full inbox writes at last."""
    with Pair(clock).connect() as pair:
        pair.handlers["dialer"].write()
        await_full(pair, "dialer")
        begun = clock.monotonic()
        pair.door.inject(Fault.RESET)
        outbox = pair.sessions["listener"].outbox
        pair.wait(lambda: outbox.is_closed)
        pair.handlers["listener"].write()
        assert pair.handlers["listener"].ended.wait(PATIENCE_S)
        return {"listener": clock.monotonic() - begun}


def half_open(clock: p2p.testing.Clock) -> Seconds:
    """Nothing passes any more, and both ends only read."""
    with Pair(clock).connect() as pair:
        for handler in pair.handlers.values():
            handler.read()
        return _timed(pair, Fault.HALF_OPEN)


def half_open_while_writing(clock: p2p.testing.Clock) -> Seconds:
    """What one end writes is still taken, by something that does not pass it on."""
    with Pair(clock).connect() as pair:
        pair.door.inject(Fault.HALF_OPEN)
        begun = clock.monotonic()
        pair.handlers["dialer"].write_once(BIG_BYTES)
        return {"dialer": pair.time("dialer") - begun}


def lost_power(clock: p2p.testing.Clock) -> Seconds:
    """Not even the remote's kernel answers any more, and our end only reads."""
    with Pair(clock) as pair, Crowd(pair.listener.self) as crowd:
        pair.connect_member(crowd).vanish()
        begun = clock.monotonic()
        pair.handlers["listener"].read()
        return {"listener": pair.time("listener") - begun}


def lost_power_while_writing(clock: p2p.testing.Clock) -> Seconds:
    """The same, and our end writes until the kernel takes no more."""
    with Pair(clock) as pair, Crowd(pair.listener.self) as crowd:
        pair.connect_member(crowd).vanish()
        begun = clock.monotonic()
        pair.handlers["listener"].write()
        await_full(pair, "listener", answered=False)
        return {"listener": pair.time("listener") - begun}


def stalled_reader(clock: p2p.testing.Clock) -> Seconds:
    """Each end writes to one that does not read."""
    with Pair(clock).connect() as pair:
        pair.door.inject(Fault.STALL)
        begun = clock.monotonic()
        for handler in pair.handlers.values():
            handler.write()
        for name in pair.handlers:
            await_full(pair, name)
        return {name: pair.time(name) - begun for name in pair.handlers}


def drip_in_handshake(clock: p2p.testing.Clock) -> Seconds:
    """The bytes of the handshake come a few at a time, as fast as would take ten seconds."""
    with Pair(clock, Plan(Fault.DRIP)) as pair, ThreadPoolExecutor(1) as pool:
        begun = clock.monotonic()
        dial = pool.submit(pair.dialer.connect, pair.node, PATIENCE_S)
        servers = {"listener": pair.listener, "dialer": pair.dialer}
        sessions = {name: await_session(server) for name, server in servers.items()}
        took = {}
        for name, session in sessions.items():
            pair.wait(lambda one=session: one.ending is not None)
            took[name] = clock.monotonic() - begun
        error = dial.exception(PATIENCE_S)
        # Both ends give up at the same moment, and either may see the other's end first.
        assert isinstance(error, (p2p.errors.DialTimeout, p2p.errors.ConnectionLost)), repr(error)
        return took


def drip_in_frame(clock: p2p.testing.Clock) -> Seconds:
    """A frame has begun and its bytes come, but it would take many minutes to be complete."""
    with Pair(clock).connect() as pair:
        pair.door.inject(Fault.DRIP)
        begun = clock.monotonic()
        pair.handlers["dialer"].write_once(BIG_BYTES)
        pair.handlers["listener"].read()
        took = pair.time("listener") - begun
        error = pair.handlers["listener"].error
        assert error is not None and error.reason is p2p.DiscReason.READ_TIMEOUT, error
        return {"listener": took}


def _timed(pair: Pair, fault: Fault, *names: str) -> Seconds:
    """Let a fault begin, and time these ends, or both."""
    begun = pair.clock.monotonic()
    pair.door.inject(fault)
    return {name: pair.time(name) - begun for name in names or pair.handlers}


@dataclass(frozen=True)
class Case:
    """Something to be noticed, and within how many seconds."""

    what: str
    measure: Callable[[p2p.testing.Clock], Seconds]
    most_s: float
    always_real: bool = False


CASES = (
    Case("a reset", reset, 1.0, always_real=True),
    Case("a reset, while writing", reset_while_writing, 1.0, always_real=True),
    Case("a reset, with a full inbox", reset_while_not_reading, 1.0, always_real=True),
    Case("a half-open connection", half_open, 45.0),
    Case("a half-open connection that is written to", half_open_while_writing, 45.0),
    Case("a remote that has lost its power", lost_power, 45.0),
    Case("a remote that has lost its power and is written to", lost_power_while_writing, 45.0),
    Case("a reader that stalls", stalled_reader, 25.0),
    Case("a drip in the handshake", drip_in_handshake, 6.0),
    Case("a drip in a frame", drip_in_frame, 35.0),
)


def run(scale: Scale) -> Iterator[Figure]:
    """Do it, and yield what was measured."""

    def measure(case: Case) -> Seconds:
        real = case.always_real or scale is Scale.FULL
        return case.measure(p2p.testing.SystemClock() if real else p2p.testing.SimulatedClock())

    with ThreadPoolExecutor(len(CASES) if scale is Scale.FULL else 1) as pool:
        for case, took in zip(CASES, pool.map(measure, CASES), strict=True):
            for end, seconds in took.items():
                what = f"{case.what}, noticed by the {end}"
                timed = case.always_real
                yield Figure(what, seconds, "s", most=case.most_s, timed=timed)
