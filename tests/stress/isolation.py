"""Faulty peers beside healthy ones: 20 of each at one server, all behind a fault-injecting proxy.

The healthy ones send numbered messages in bursts and await the answers, round after round. In one
round they are alone; in the next the other 20 send messages as well, without faults; in the third
these meet faults (delay, drip, reset, a flipped bit, a stall, a half-open connection), leave when
they hear nothing, and come back. Both ends of each connection have a chain in each direction
(chain.py), so a message that is lost, doubled, changed or out of order shows with the next one, and
at the end the counts of both ends are compared. No healthy peer's round trip may suffer: the median
p99 of the rounds with faults is compared with that of the others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from random import Random
from statistics import median

import p2p
from p2p.net import sockaddr_of
from tests.stress.chain import Chain, ChainBroken
from tests.stress.crowd import CAP, LENGTH, Crowd, Leave, Member, Stage
from tests.stress.faultlink import Fault, Plan
from tests.stress.faultproxy import Door, FaultProxy, no_faults
from tests.stress.figure import Figure, Scale
from tests.stress.talkers import DATA, Answerer, Bodies, Talker

HEALTHY = FAULTY = 20
SEED = 5
#: A faulty peer sends this many messages with each tick, unless the last ones still wait.
TICK_S = 0.02
FAULTY_MESSAGES = 2
#: How long a faulty peer bears with silence, and how soon it is back; from and to.
SILENCE_S = (0.3, 1.2)
BACK_S = (0.0, 0.1)
#: How much longer a round trip may be for the faults of others.
MOST_RATIO = 2.0
ROUND_TIMEOUT_S = 120.0
FAULTS = tuple(fault for fault in Fault if fault is not Fault.NONE)
#: Half-open connections stay peers until they time out.
MAX_PEERS = 400


class Kind(Enum):
    """What the 20 others do in a round."""

    ALONE = "alone"
    CALM = "without faults"
    ROUGH = "with faults"


@dataclass(frozen=True)
class Load:
    """How many rounds of each kind, in turn, and what each healthy peer sends in one.

    What else runs on the machine may make round trips of one kind longer by chance; then more
    rounds are played before the medians are compared.
    """

    messages: int
    least_rounds: int
    most_rounds: int

    @property
    def total(self) -> int:
        """All messages that the healthy peers send, at least."""
        return HEALTHY * len(Kind) * self.least_rounds * self.messages

    def wants_more(self, p99s: dict[Kind, list[float]]) -> bool:
        """Whether to play another round of each kind."""
        rounds = len(p99s[Kind.ROUGH])
        if rounds < self.least_rounds:
            return True
        return rounds < self.most_rounds and ratio(p99s, Kind.CALM) > MOST_RATIO


LOADS = {Scale.SHORT: Load(240, 3, 9), Scale.FULL: Load(2088, 8, 12)}


def ratio(p99s: dict[Kind, list[float]], kind: Kind) -> float:
    """The median p99 of the rounds with faults to that of this kind."""
    return median(p99s[Kind.ROUGH]) / median(p99s[kind])


class Faulty(Member):
    """One connection of a peer that meets faults. It leaves when it has heard nothing for long."""

    def __init__(self, crowd: Crowd, broken: list[str], chance: Random) -> None:
        self.said, self.heard, self._bodies = Chain(), Chain(), Bodies()
        self._broken = broken
        self._chance = chance
        self._patience_s = chance.uniform(*SILENCE_S)
        self._heard_at = time.monotonic()
        super().__init__(crowd)

    def received(self, code: int, payload: bytes) -> None:
        self._heard_at = time.monotonic()
        if self.stage is Stage.GONE:  # a message before was wrong
            return
        try:
            if self.heard.check(payload) != self._bodies.of(self.heard.count - 1):
                raise ChainBroken(f"answer {self.heard.count - 1} is another one's")
        except ChainBroken as error:
            self._broken.append(f"to a faulty peer: {error}")
            self.close()

    def on_ready(self, mask: int) -> None:
        try:
            super().on_ready(mask)
        except p2p.RemoteProtocolError:  # as a flipped bit makes the server look
            self.close()

    def tick(self, now: float) -> None:
        """Say something, or leave."""
        if now - self._heard_at > self._patience_s:
            if self.stage is Stage.LEAVING:
                self.close()
            else:
                self.leave(self._chance.choice(list(Leave)))
                self._heard_at = now
        elif self.stage is Stage.OPEN and not self.unsent:
            first = self.said.count
            more = range(first, first + FAULTY_MESSAGES)
            self.send([(DATA, self.said.next(self._bodies.of(number))) for number in more])


class Visits:
    """The connections of one faulty peer, one after the other."""

    def __init__(self, crowd: Crowd, broken: list[str], number: int) -> None:
        self._crowd = crowd
        self._broken = broken
        self._chance = Random(f"{SEED} {number}")
        self._back_at = 0.0
        self.current: Faulty | None = None

    def tick(self, now: float) -> None:
        """Go on, and come back after a while when the connection is over."""
        if self.current is None:
            if now >= self._back_at:
                self.current = Faulty(self._crowd, self._broken, self._chance)
            return
        if self.current.stage is not Stage.GONE:
            self.current.tick(now)
        if self.current.stage is Stage.GONE:
            self.current = None
            self._back_at = now + self._chance.uniform(*BACK_S)


class Play:
    """All remotes, driven by one thread."""

    def __init__(self, healthy: Crowd, faulty: Crowd, answerer: Answerer) -> None:
        self._crowds = healthy, faulty
        self.healthy = [Talker(healthy, answerer.broken) for _ in range(HEALTHY)]
        self.visits = [Visits(faulty, answerer.broken, number) for number in range(FAULTY)]
        self.alone = True
        self._next_tick = 0.0

    def until(self, happened: Callable[[], bool], what: str) -> None:
        """Drive everybody until something has happened."""
        deadline = time.monotonic() + ROUND_TIMEOUT_S
        healthy, faulty = self._crowds
        while not happened():
            now = time.monotonic()
            assert now < deadline, f"it took too long until {what}"
            if now >= self._next_tick and not self.alone:
                self._next_tick = now + TICK_S
                for visits in self.visits:
                    visits.tick(now)
            healthy.step(TICK_S / 4)
            faulty.step(0.0)

    def round(self, messages: int) -> list[float]:
        """Let the healthy peers send so many messages each; returns their round trips, sorted."""
        for member in self.healthy:
            member.begin(messages)
        self.until(self._round_is_over, "all messages of a round were answered")
        return sorted(took for member in self.healthy for took in member.round_trips)

    def compare(self) -> int:
        """Compare the counts of both ends; returns how many healthy peers were let down."""
        for member in self.healthy:
            member.ask_count()
        self.until(lambda: all(m.is_counted for m in self.healthy), "all have counted")
        return sum(not member.is_whole for member in self.healthy)

    def _round_is_over(self) -> bool:
        return all(member.is_idle for member in self.healthy)


def some_fault(number: int, chance: Random) -> Plan:
    """Each fault in turn; a third of them at once, a third soon, a third after many messages."""
    later = chance.choice((0, chance.randrange(1000), chance.randrange(100_000)))
    return Plan(FAULTS[number % len(FAULTS)], later)


def p99(values: list[float]) -> float:
    """The 99th percentile of sorted values."""
    assert values, "no healthy peer is left"
    return values[len(values) * 99 // 100]


def run(scale: Scale) -> Iterator[Figure]:
    """Do it, and yield what was measured."""
    answerer = Answerer()
    logger = logging.getLogger("p2p.stress.isolation")
    logger.setLevel(logging.CRITICAL)
    server = p2p.Server(
        private_key=p2p.generate_key(),
        name="isolation",
        max_peers=MAX_PEERS,
        no_dial=True,
        listen_addr="127.0.0.1:0",
        no_discovery=True,
        protocols=[p2p.Protocol(CAP.name, CAP.version, LENGTH, answerer.run)],
        logger=logger,
    )
    with server:
        assert server.listen_addr is not None
        with FaultProxy(sockaddr_of(server.listen_addr), SEED) as proxy:
            yield from measure(LOADS[scale], proxy, server.self.public_key, answerer)


def measure(
    load: Load, proxy: FaultProxy, key: p2p.PublicKey, answerer: Answerer
) -> Iterator[Figure]:
    """Play all rounds."""
    calm, rough = proxy.door(), proxy.door()
    with Crowd(calm.node(key)) as healthy, Crowd(rough.node(key)) as faulty:
        play = Play(healthy, faulty, answerer)
        p99s = play_rounds(load, play, rough)
        let_down = play.compare()
        sent = sum(member.said.count for member in play.healthy)
    yield Figure("messages of healthy peers", sent, "messages", least=load.total)
    yield Figure("healthy peers that lost one or were disconnected", let_down, "peers", most=0)
    broken = len(answerer.broken)
    yield Figure("broken chains: lost, doubled, changed, reordered", broken, "chains", most=0)
    delivered = sum(chain.count for chain in answerer.delivered) - sent
    yield Figure("messages of faulty peers that arrived", delivered, "messages", least=1)
    yield Figure("connections of faulty peers", rough.accepted, "connections", least=2 * FAULTY)
    rarest = min(rough.begun[fault] for fault in FAULTS)
    yield Figure("connections with each kind of fault, at least", rarest, "connections", least=1)
    for kind in Kind:
        yield Figure(f"p99 of a round trip {kind.value}", median(p99s[kind]) * 1000, "ms")
    worse = ratio(p99s, Kind.CALM)
    yield Figure("p99 with faults to p99 without", worse, "", most=MOST_RATIO, timed=True)
    # Alone, the server has half as many peers, so this is no measure of what faults cost.
    yield Figure("p99 with faults to p99 alone", ratio(p99s, Kind.ALONE), "")


def play_rounds(load: Load, play: Play, rough: Door) -> dict[Kind, list[float]]:
    """The p99 of each round."""
    p99s: dict[Kind, list[float]] = {kind: [] for kind in Kind}
    members = play.healthy
    play.until(lambda: all(m.stage is Stage.OPEN for m in members), "all healthy are peers")
    while load.wants_more(p99s):
        for kind in Kind:
            play.alone = kind is Kind.ALONE
            rough.plan(some_fault if kind is Kind.ROUGH else no_faults)
            rough.cut()
            wanted = rough.accepted + (0 if play.alone else FAULTY)
            play.until(lambda least=wanted: rough.accepted >= least, "the others are back")
            p99s[kind].append(p99(play.round(load.messages)))
    return p99s
