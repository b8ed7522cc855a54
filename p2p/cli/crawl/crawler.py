"""The run of a crawl: threads that ask, and the main thread that takes what is finished.

:mod:`p2p.cli.crawl.schedule` decides; here are the threads ``p2p-crawl-N``, one for each request
under way, and the lock. The fronts and the greeter belong to the caller.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping

import p2p
from p2p import discover
from p2p.cli.crawl.greeter import Greeter
from p2p.cli.crawl.schedule import Crawl, Kind, Task, Visit
from p2p.cli.crawl.targets import Targets
from p2p.cli.discovery.ownnode import Front
from p2p.cli.failure import text_of

#: Seconds for an answer; the retransmissions of discovery are shorter.
ANSWER_S = 5.0
#: Seconds between two reports on the progress.
TICK_S = 0.5


class Crawler:
    """Carries out ``crawl`` with a front for each protocol, and a greeter for hellos."""

    def __init__(
        self, crawl: Crawl, fronts: Mapping[str, Front], greeter: Greeter | None = None
    ) -> None:
        # fixed after __init__
        self._fronts = fronts
        self._greeter = greeter
        self._threads = [
            threading.Thread(target=self._work, name=f"p2p-crawl-{number}", daemon=True)
            for number in range(crawl.limits.parallel)
        ]
        # guarded by _changed
        self._changed = threading.Condition()
        self._crawl = crawl
        self._stopped = False
        self._failure: BaseException | None = None
        # guarded by _targets_lock
        self._targets_lock = threading.Lock()
        self._targets = Targets()

    def run(
        self,
        timeout_s: float,
        on_finished: Callable[[Visit], object],
        on_tick: Callable[[], object],
    ) -> bool:
        """Crawl until all nodes were visited, or for ``timeout_s`` seconds; return which of them.

        ``on_finished`` and ``on_tick`` are called by this thread. Ctrl-C stops the crawl, and then
        raises KeyboardInterrupt.
        """
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.start()
        try:
            while not self._take(deadline, on_finished, on_tick):
                pass
        finally:
            self._stop()
            self._take(-math.inf, on_finished, on_tick)
        return self._crawl.is_over

    def pending(self) -> list[Visit]:
        """Return the visits that are not over. Any thread."""
        with self._changed:
            return [visit for visit in self._crawl.visits.values() if not visit.is_over]

    def counts(self) -> tuple[int, int]:
        """Return the numbers of nodes named so far, and of those that wait. Any thread."""
        with self._changed:
            return len(self._crawl.visits), self._crawl.waiting

    def _take(
        self,
        deadline: float,
        on_finished: Callable[[Visit], object],
        on_tick: Callable[[], object],
    ) -> bool:
        """Wait for a moment, pass on what is finished, and return whether the crawl is to end."""
        with self._changed:
            left_s = deadline - time.monotonic()
            if left_s > 0 and not self._crawl.is_over and self._failure is None:
                self._changed.wait(min(TICK_S, left_s))
            finished, is_over = self._crawl.poll_finished(), self._crawl.is_over
            failure = self._failure
        for visit in finished:
            on_finished(visit)
        on_tick()
        if failure is not None:
            raise failure
        return is_over or time.monotonic() >= deadline

    def _stop(self) -> None:
        """End all threads: their requests end when the fronts and the greeter stop."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            hurry = self._crawl.in_flight > 0
        if hurry:
            for front in self._fronts.values():
                front.stop()
            if self._greeter is not None:
                self._greeter.stop()
        for thread in self._threads:
            thread.join()

    # the threads p2p-crawl-N

    def _work(self) -> None:
        try:
            while (task := self._next()) is not None:
                self._carry_out(task)
        except BaseException as error:  # the top of a thread
            with self._changed:
                self._failure = self._failure or error
                self._changed.notify_all()

    def _next(self) -> Task | None:
        with self._changed:
            while not (self._stopped or self._crawl.is_over):
                now = time.monotonic()
                task = self._crawl.next_task(now)
                if task is not None:
                    return task
                wake_at = self._crawl.wake_at()
                self._changed.wait(None if wake_at == math.inf else max(0.0, wake_at - now))
        return None

    def _carry_out(self, task: Task) -> None:
        result, failure = None, ""
        try:
            result = self._ask(task)
        except p2p.ServerStopped:
            return  # the crawl stops; the visit is not over
        except (p2p.P2PError, OSError) as error:
            failure = text_of(error)
        with self._changed:
            _RECEIVERS[task.kind](self._crawl, task, result, failure, time.monotonic())
            self._changed.notify_all()

    def _ask(self, task: Task) -> object:
        node = task.visit.asked
        if task.kind is Kind.HELLO:
            assert self._greeter is not None
            return self._greeter.greet(node)
        front = self._fronts[task.protocol]
        if task.kind is Kind.RECORD:
            return front.request_enr(node, ANSWER_S)
        if isinstance(front, discover.UDPv5):
            return front.find_node(node, task.distances, ANSWER_S)
        with self._targets_lock:
            target = self._targets.at(node.id, task.distances[0])
        return front.find_node(node, target, ANSWER_S)


#: The method of a crawl that takes the answer to each kind of question.
_RECEIVERS: dict[Kind, Callable[..., None]] = {
    Kind.RECORD: Crawl.receive_record,
    Kind.FIND: Crawl.receive_nodes,
    Kind.HELLO: Crawl.receive_hello,
}
