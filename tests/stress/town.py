"""A crowd that stays as large as it is, while its members come, talk and leave at random.

A :class:`Talker` sends numbered messages with a running hash in bursts, the last one right before
it leaves, and checks the answers. The :class:`Town` makes them, has them leave, each in one of the
:data:`WAYS`, and compares in the end what each has said with what the server reports to have read.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence

import p2p
from tests.stress.chain import Chain
from tests.stress.crowd import Crowd, Leave, Member, Stage

TALK, GOODBYE = range(2)
SEED = 20
#: Handshakes at a time, as the crowd sees it. The server awaits the last word of a few more.
MAX_SHAKING = 16
#: The crowd rests between departures, so that what is measured is not how fast it can be.
DEPARTURES_PER_S = 150.0
MAX_BODY_BYTES = 1500
#: Bursts of members that stay, for each departure.
BURSTS = 3
#: How talkers leave; when one is asked to, it is the server's handler that ends.
WAYS = (*(leave.value for leave in Leave), "asked to")
#: What the server says of a peer: its id, how many messages were read, and what was wrong.
Report = tuple[str, int, str]


class Town:
    """The crowd of talkers: keeps it as large as it should be, and judges those that have left."""

    def __init__(self, node: p2p.Node, peers: int) -> None:
        self.crowd = Crowd(node)
        self.random = random.Random(SEED)
        self.faults: list[object] = []
        self.timed_out: list[object] = []
        self.left: Counter[str] = Counter()
        self.messages = 0
        self._peers = peers
        self._shaking = 0
        self._open: list[Talker] = []
        self._gone: dict[str, Talker] = {}  # of whom the server has not reported yet
        self._reports: list[Report] = []  # of those that have not quite left
        self._next_departure = time.monotonic()

    def live(self) -> None:
        """Some milliseconds of it: some come, some talk, at most one leaves."""
        self.crowd.step(0.005)
        while self._shaking < MAX_SHAKING and len(self._open) + self._shaking < self._peers:
            self._shaking += 1
            Talker(self)
        now = time.monotonic()
        if now >= self._next_departure and len(self._open) + MAX_SHAKING > self._peers:
            self._next_departure = max(self._next_departure + 1 / DEPARTURES_PER_S, now - 1)
            for talker in self.random.choices(self._open, k=BURSTS):
                talker.talk()
            self._depart()

    def fill(self) -> None:
        """Live until the crowd is as large as it should be."""
        self.crowd.until(lambda: self.is_full, "all have come", self.live)

    @property
    def is_full(self) -> bool:
        """Whether nobody who should be there is missing, but for those who are on their way."""
        return len(self._open) + MAX_SHAKING > self._peers

    def empty(self) -> None:
        """Have everybody leave, each in a way of its own."""

        def drive() -> None:
            self.crowd.step(0.005)
            while self._open:
                self._depart()

        self.crowd.until(lambda: not self.crowd.members, "all have left", drive)

    def judge(self, reports: Sequence[Report]) -> None:
        """Compare what the server has read of those that left with what they sent."""
        self._reports += reports
        reports, self._reports = self._reports, []
        for report in reports:
            name, read, fault = report
            talker = self._gone.get(name)
            if talker is not None and talker.stage is not Stage.GONE:
                self._reports.append(report)  # answers may still be on their way to it
                continue
            self.messages += read
            if fault or talker is None:
                self.faults.append(fault or f"{name[:8]}: its handler ended before it left")
            elif read > talker.asked.count or (talker.way != "reset" and not talker.is_whole(read)):
                self.faults.append(f"{read} read, {talker}")
            self._gone.pop(name, None)

    def missing(self) -> list[Talker]:
        """Those that left in good order and have no report, or not yet."""
        return [talker for talker in self._gone.values() if talker.way != "reset"]

    # calls of the talkers

    def came(self, talker: Talker) -> None:
        self._shaking -= 1
        self._open.append(talker)

    def went(self, talker: Talker, stage: Stage) -> None:
        self._shaking -= stage is Stage.SHAKING
        if not talker.way:
            timed_out = talker.reason is p2p.DiscReason.READ_TIMEOUT
            away = f"driven away, {stage.value} for {talker.age_s:.1f} s, {talker}"
            (self.timed_out if timed_out else self.faults).append(away)
            if stage is Stage.OPEN:
                self._open.remove(talker)

    def _depart(self) -> None:
        index = self.random.randrange(len(self._open))
        self._open[index], self._open[-1] = self._open[-1], self._open[index]
        talker = self._open.pop()
        self._gone[str(talker.id)] = talker
        self.left[talker.go(self.random.choice(WAYS))] += 1


class Talker(Member):
    """A remote that sends numbered messages, and checks the answers."""

    def __init__(self, town: Town) -> None:
        self.asked, self.answers = Chain(), Chain()
        self.way = ""
        self._town = town
        self._since = time.monotonic()
        super().__init__(town.crowd)

    @property
    def age_s(self) -> float:
        """Seconds since it was made, or is open."""
        return time.monotonic() - self._since

    def opened(self) -> None:
        self._since = time.monotonic()
        self._town.came(self)

    def received(self, code: int, payload: bytes) -> None:
        self.answers.check(payload)

    def ended(self, stage: Stage) -> None:
        self._town.went(self, stage)

    def talk(self) -> None:
        """Send a few messages."""
        self.send(self._burst())

    def go(self, way: str) -> str:
        """Send a few messages, and leave."""
        self.way = way
        messages = self._burst()
        if way == "asked to":
            messages.append((GOODBYE, b""))
        self.send(messages)
        if way != "asked to" and self.stage is Stage.OPEN:
            self.leave(Leave(way))
        return way

    def is_whole(self, read: int) -> bool:
        """Whether nothing is lost, when the server has read so many."""
        answered = self.way != "asked to" or self.answers.count == read
        return read == self.asked.count and answered

    def _burst(self) -> list[tuple[int, bytes]]:
        rng = self._town.random
        bodies = [rng.randbytes(rng.randrange(MAX_BODY_BYTES)) for _ in range(rng.randint(1, 4))]
        return [(TALK, self.asked.next(body)) for body in bodies]

    def __str__(self) -> str:
        way = self.way or "has not left"
        end = self.reason or self.error
        return f"{way}: {self.asked.count} sent, {self.answers.count} answers, {end}"
