"""The order of a crawl: whom to ask what, and when.

Pure: time is an argument. The owner asks for tasks, carries them out, and gives the answers back.

Each node is visited once. A visit goes through the protocols by which the node may be asked: first
for its record, which shows whether it answers, then for other nodes by the :data:`QUESTIONS` of the
protocol, from the far half of the network to the nearest nodes, until some answers in a row name no
new node. At last its hello is asked for, if wanted. Nodes are visited in the order in which they
were named.

A crawl is polite: a node gets one request at a time, a pause after each, and a bounded number; all
requests together keep to a rate; of the nodes at one address of the Internet only some are visited,
since one host can make any number of them.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from heapq import heappop, heappush
from typing import Any

import p2p
from p2p.cli.discovery.walk import may_name
from p2p.netutil import Scope, scope_of

#: The distances of each question for other nodes. An answer of v4 has the nodes next to a target,
#: of the whole table; one of v5 those at the distances and no others, of which half as many exist
#: at each step.
QUESTIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "v4": tuple((distance,) for distance in range(256, 244, -1)),
    "v5": (
        (256,), (255,), (254,), (253, 252), (251, 250, 249, 248), tuple(range(247, 239, -1))
    ),
}  # fmt: skip
#: Answers without a new node that end the questions to a node.
FRUITLESS = {"v4": 3, "v5": 6}
#: Most nodes that are taken from one answer.
MAX_NAMED = 16


class Kind(Enum):
    """A question to a node."""

    RECORD = "record"
    FIND = "find"
    HELLO = "hello"


@dataclass(frozen=True)
class Limits:
    """Bounds of a crawl.

    ``parallel`` requests are under way at a time, ``rate_per_s`` begin in a second. A node gets at
    most ``finds`` questions for other nodes by each protocol, ``pause_s`` seconds apart. Of one
    address of the Internet ``per_address`` nodes are visited, of all ``nodes``.
    """

    parallel: int = 16
    rate_per_s: float = 100.0
    finds: int = 10
    pause_s: float = 0.5
    per_address: int = 16
    nodes: int = 200_000


@dataclass
class Visit:
    """The visit of one node: its newest record in ``node``, and the answers.

    ``asked`` is the node at the address that questions go to: that of its record, unless this leads
    from the Internet into our own network. ``answered`` has the protocols by which it has answered,
    ``requests`` the number of requests, ``hello`` the facts of its hello; ``error`` and
    ``hello_error`` say why there is none.
    """

    node: p2p.Node
    asked: p2p.Node
    answered: list[str] = field(default_factory=list)
    requests: int = 0
    error: str = ""
    hello: dict[str, Any] | None = None
    hello_error: str = ""
    is_over: bool = False


@dataclass(frozen=True)
class Task:
    """A question: to ``visit.asked``, by ``protocol`` ("v4", "v5", "" for a hello)."""

    kind: Kind
    visit: Visit
    protocol: str = ""
    distances: tuple[int, ...] = ()


class Crawl:
    """The state of a crawl by some ``protocols``; ``hellos`` says whether to ask for hellos."""

    def __init__(self, protocols: Sequence[str], limits: Limits, hellos: bool = False) -> None:
        self.limits = limits
        #: Visits by node, also those that are over, in the order of their nodes' appearance.
        self.visits: dict[p2p.NodeID, Visit] = {}
        self.in_flight = 0
        self._left_out: set[p2p.NodeID] = set()
        self._protocols = tuple(protocols)
        self._hellos = hellos
        self._steps: dict[p2p.NodeID, _Steps] = {}
        self._ready: deque[Task] = deque()
        self._later: list[tuple[float, int, Task]] = []
        self._number = 0  # orders tasks of the same time
        self._not_before = -math.inf
        self._addresses: Counter[object] = Counter()
        self._finished: list[Visit] = []

    def add(self, node: p2p.Node, is_done: bool = False) -> bool:
        """Add a node, and return whether it is new. ``is_done``: it is not to be visited."""
        known = self.visits.get(node.id)
        if known is not None:
            if node.seq > known.node.seq and not known.is_over:
                known.node = known.asked = node
            return False
        if not is_done and not self._admit(node):
            if len(self._left_out) < self.limits.nodes:
                self._left_out.add(node.id)
            return False
        visit = self.visits[node.id] = Visit(node, node, is_over=is_done)
        if not is_done:
            steps = self._steps[node.id] = _Steps(deque(self._protocols))
            self._ready.append(Task(Kind.RECORD, visit, steps.protocols[0]))
        return True

    def next_task(self, now: float) -> Task | None:
        """Return what to do now, or None; then ask again at :meth:`wake_at`, or after an answer."""
        while self._later and self._later[0][0] <= now:
            self._ready.append(heappop(self._later)[2])
        if not self._ready or now < self._not_before or self.in_flight >= self.limits.parallel:
            return None
        self._not_before = max(now, self._not_before) + 1 / self.limits.rate_per_s
        self.in_flight += 1
        task = self._ready.popleft()
        task.visit.requests += 1
        return task

    def wake_at(self) -> float:
        """Return the time of the next task; infinity if there is none before an answer."""
        if self.in_flight >= self.limits.parallel:
            return math.inf
        if self._ready:
            return self._not_before
        return max(self._later[0][0], self._not_before) if self._later else math.inf

    @property
    def is_over(self) -> bool:
        """Whether all nodes have been visited."""
        return not (self._ready or self._later or self.in_flight)

    @property
    def left_out(self) -> int:
        """Number of nodes that are not visited because of the limits for an address and for all."""
        return len(self._left_out)

    @property
    def waiting(self) -> int:
        """Number of nodes whose visit is not over."""
        return len(self._steps)

    def poll_finished(self) -> list[Visit]:
        """Return the visits that are over since the last call."""
        finished, self._finished = self._finished, []
        return finished

    # answers

    def receive_record(self, task: Task, node: p2p.Node | None, error: str, now: float) -> None:
        """Take the record of a node, or the reason why there is none."""
        self.in_flight -= 1
        visit = task.visit
        if node is None:
            visit.error = error
            self._next_protocol(visit, now)
            return
        visit.answered.append(task.protocol)
        if node.seq >= visit.node.seq:
            visit.node = node
            visit.asked = node if may_name(visit.asked, node) else visit.asked
        self._find(visit, task.protocol, now)

    def receive_nodes(
        self, task: Task, nodes: Iterable[p2p.Node] | None, error: str, now: float
    ) -> None:
        """Take the nodes that a node has named, or the reason why there are none."""
        self.in_flight -= 1
        visit, steps = task.visit, self._steps[task.visit.node.id]
        named = [node for node in nodes or () if may_name(visit.asked, node)][:MAX_NAMED]
        new = sum([self.add(node) for node in named])
        steps.fruitless = 0 if new else steps.fruitless + 1
        most = min(self.limits.finds, len(QUESTIONS[task.protocol]))
        is_enough = steps.fruitless >= FRUITLESS[task.protocol] or steps.finds >= most
        if nodes is None or is_enough:
            self._next_protocol(visit, now)
        else:
            self._find(visit, task.protocol, now)

    def receive_hello(
        self, task: Task, facts: dict[str, Any] | None, error: str, now: float
    ) -> None:
        """Take the facts of a hello, or the reason why there is none."""
        self.in_flight -= 1
        task.visit.hello, task.visit.hello_error = facts, error
        self._finish(task.visit)

    # steps of a visit

    def _find(self, visit: Visit, protocol: str, now: float) -> None:
        steps = self._steps[visit.node.id]
        distances = QUESTIONS[protocol][steps.finds]
        steps.finds += 1
        self._later_task(Task(Kind.FIND, visit, protocol, distances), now)

    def _next_protocol(self, visit: Visit, now: float) -> None:
        steps = self._steps[visit.node.id]
        steps.protocols.popleft()
        steps.finds = steps.fruitless = 0
        if steps.protocols:
            self._later_task(Task(Kind.RECORD, visit, steps.protocols[0]), now)
        elif self._hellos and visit.answered and visit.asked.tcp_endpoint is not None:
            self._later_task(Task(Kind.HELLO, visit), now)
        else:
            self._finish(visit)

    def _later_task(self, task: Task, now: float) -> None:
        self._number += 1
        heappush(self._later, (now + self.limits.pause_s, self._number, task))

    def _finish(self, visit: Visit) -> None:
        visit.is_over = True
        del self._steps[visit.node.id]
        self._finished.append(visit)

    def _admit(self, node: p2p.Node) -> bool:
        if len(self.visits) >= self.limits.nodes:
            return False
        if node.ip is None or scope_of(node.ip) is not Scope.GLOBAL:
            return True
        self._addresses[node.ip] += 1
        return self._addresses[node.ip] <= self.limits.per_address


@dataclass
class _Steps:
    """The state of a visit: the protocols left, the present one first."""

    protocols: deque[str]
    finds: int = 0
    fruitless: int = 0
