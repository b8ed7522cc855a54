"""The option ``candidate_filter``: the program's choice among found nodes, before they are dialed.

::

    p2p-io                     p2p-disc                        p2p-filter
    a node is found
    it has no record (v4)  ->  request its record
    it has a record        <-                                  candidate_filter(node)
                           ->                              ->
    dial it, or count why not  <--------------------------------------------

:class:`CandidateFilter` stands between the sources and the dials, on ``p2p-io``; nothing waits
there. It checks up to MAX_CHECKS nodes at a time, and none unless a node is wanted. The function of
the program runs on a thread of its own (:class:`FilterThread`), one call at a time: it may block,
and delays nothing but the dials of found nodes. :class:`Verdicts` is pure.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple, TypeAlias

from p2p.arguments import check_has_run
from p2p.clock import Clock
from p2p.enode import Node, NodeID
from p2p.enode.iterator import OnNode
from p2p.errors import P2PError
from p2p.loglimit import LogLimit
from p2p.net import Loop
from p2p.usercode import where_raised

#: Nodes under check, and nodes that have passed and wait for a free slot; go-ethereum makes as many
#: record requests at a time.
MAX_CHECKS = 16
#: Time for which a verdict counts, unless the node has a newer record. In a small network discovery
#: finds the same nodes every few seconds.
VERDICT_S = 60.0
#: Verdicts that are kept, the newest.
MAX_VERDICTS = 1024

#: Names of the reasons in the log line "looking for peers".
REFUSED = "candidate_filter"
NO_RECORD = "no_record"

#: Request for one node; does not wait for it.
Ask: TypeAlias = Callable[[OnNode], object]
#: Callback with a node and its record, or with None and the error; on any thread.
OnRecord: TypeAlias = Callable[[Node | None, P2PError | None], None]
#: Request for the record of a node; does not wait for it.
RequestRecord: TypeAlias = Callable[[Node, OnRecord], object]
#: Called with a refused node and the name of the reason.
OnRefused: TypeAlias = Callable[[Node, str], object]


class Verdict(NamedTuple):
    """The result of a check: the node to dial, or the reason against it."""

    until: float
    node: Node
    refusal: str | None


class Verdicts:
    """The latest verdicts, by node. Pure; ``now`` is in monotonic seconds."""

    def __init__(self) -> None:
        self._known: OrderedDict[NodeID, Verdict] = OrderedDict()

    def get(self, node: Node, now: float) -> Verdict | None:
        """Return the verdict that still counts for ``node``, if there is one."""
        verdict = self._known.get(node.id)
        if verdict is None or now >= verdict.until or _is_newer(node, verdict.node):
            return None
        return verdict

    def add(self, node: Node, refusal: str | None, now: float) -> None:
        """Keep a verdict about ``node`` for VERDICT_S."""
        self._known[node.id] = Verdict(now + VERDICT_S, node, refusal)
        self._known.move_to_end(node.id)
        if len(self._known) > MAX_VERDICTS:
            self._known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._known)


class FilterThread:
    """The thread ``p2p-filter``, which calls ``candidate_filter`` for one node after the other.

    ``on_judged`` is called there with the node and the verdict. A call that raises is a refusal,
    and is logged, at a limited rate.
    """

    def __init__(
        self,
        candidate_filter: Callable[[Node], bool],
        on_judged: Callable[[Node, bool], object],
        clock: Clock,
        log: logging.Logger,
    ) -> None:
        # fixed after __init__
        self.thread = threading.Thread(target=self._run, name="p2p-filter", daemon=True)
        self._filter = candidate_filter
        self._on_judged = on_judged
        self._log = log
        self._limit = LogLimit(clock)
        # at most MAX_CHECKS nodes, and the end
        self._queue: SimpleQueue[Node | None] = SimpleQueue()
        # set once, by any thread
        self._stopped = False

    # any thread

    def judge(self, node: Node) -> None:
        """Have the filter called for ``node``."""
        self._queue.put(node)

    def stop(self) -> None:
        """Ask the thread to end after the present call. Does not wait."""
        self._stopped = True
        self._queue.put(None)

    # p2p-filter

    def _run(self) -> None:
        while (node := self._queue.get()) is not None and not self._stopped:
            passes = False
            try:
                passes = self._judge(node)
            except BaseException:  # raised by the program's log; the thread must go on
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self.thread)))
            finally:
                self._on_judged(node, passes)

    def _judge(self, node: Node) -> bool:
        try:
            result = self._filter(node)
            check_has_run("candidate_filter", result)
            return bool(result)
        except BaseException as error:  # any error of the program: the thread must go on
            self._log_error(node, error)
            return False

    def _log_error(self, node: Node, error: BaseException) -> None:
        left_out = self._limit.admit(type(error).__name__, node.id)
        level = logging.DEBUG if left_out is None else logging.ERROR
        more = f" (and {left_out} more like this)" if left_out else ""
        text = "candidate_filter failed at %s for node %s, which is not dialed%s"
        self._log.log(level, text, where_raised(error), node.id.short, more, exc_info=error)


class CandidateFilter:
    """The nodes of ``ask`` that pass ``candidate_filter``.

    ``ask`` requests a node, and answers on ``p2p-io``; ``request_record`` asks a node for its
    record (None: no discovery runs). Nodes that are not passed on are reported to ``on_refused``.
    Call :meth:`start` first. Owned by ``p2p-io``, except for :meth:`start` and :meth:`stop`.
    """

    def __init__(
        self,
        candidate_filter: Callable[[Node], bool],
        ask: Ask,
        request_record: RequestRecord | None,
        on_refused: OnRefused,
        loop: Loop,
        clock: Clock,
        log: logging.Logger,
    ) -> None:
        # fixed after __init__
        self._ask = ask
        self._request_record = request_record
        self._on_refused = on_refused
        self._loop = loop
        judged = partial(loop.post, self._judged)
        self._judge = FilterThread(candidate_filter, judged, clock, log)
        # owned by p2p-io
        self._on_node: OnNode | None = None
        self._asked = False
        self._checking: set[NodeID] = set()
        self._passed: deque[Node] = deque()
        self._verdicts = Verdicts()

    # the threads that start and stop the server

    def start(self) -> None:
        """Start the thread. Raises RuntimeError if the system has no more threads."""
        self._judge.thread.start()

    def stop(self) -> threading.Thread:
        """Ask the thread to end, and return it. It ends late if the program's filter blocks."""
        self._judge.stop()
        return self._judge.thread

    # p2p-io

    def ask(self, on_node: OnNode) -> None:
        """Request a node that passes; one request at a time."""
        self._on_node = on_node
        self._go_on()

    def _go_on(self) -> None:
        if self._on_node is None:
            return
        if self._passed:
            on_node, self._on_node = self._on_node, None
            on_node(self._passed.popleft())
        elif not self._asked and len(self._checking) < MAX_CHECKS:
            self._asked = True
            self._ask(self._found)

    def _found(self, node: Node) -> None:
        self._asked = False
        known = self._verdicts.get(node, self._loop.now())
        if known is not None:
            self._apply(known.node, known.refusal)
        elif node.id not in self._checking:
            self._checking.add(node.id)
            self._begin(node)
        self._go_on()

    def _begin(self, node: Node) -> None:
        if node.record is not None:
            self._judge.judge(node)
        elif self._request_record is None:
            self._end(node, NO_RECORD)
        else:
            self._request_record(node, partial(self._recorded, node))

    def _answered(self, asked: Node, found: Node | None) -> None:
        if found is None or found.record is None:
            self._end(asked, NO_RECORD)
            self._go_on()
        else:
            self._judge.judge(found)

    def _judged(self, node: Node, passes: bool) -> None:
        self._end(node, None if passes else REFUSED)
        self._go_on()

    def _end(self, node: Node, refusal: str | None) -> None:
        self._checking.discard(node.id)
        self._verdicts.add(node, refusal, self._loop.now())
        self._apply(node, refusal)

    def _apply(self, node: Node, refusal: str | None) -> None:
        if refusal is None:
            self._passed.append(node)
        else:
            self._on_refused(node, refusal)

    # p2p-disc

    def _recorded(self, asked: Node, found: Node | None, error: P2PError | None) -> None:
        self._loop.post(self._answered, asked, found)


def _is_newer(node: Node, than: Node) -> bool:
    """Whether ``node`` has a record that ``than`` has not, or a newer one."""
    return node.record is not None and (than.record is None or node.seq > than.seq)
