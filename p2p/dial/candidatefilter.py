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
the program runs on a thread of its own (:mod:`p2p.dial.filterthread`), one call at a time: it may
block, and delays nothing but the dials of found nodes. :mod:`p2p.dial.verdicts` has the results.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from p2p.clock import Clock
from p2p.dial.filterthread import FilterThread
from p2p.dial.verdicts import Verdicts
from p2p.enode import Node, NodeID
from p2p.enode.iterator import OnNode
from p2p.errors import P2PError
from p2p.net import Loop

#: Nodes under check, and nodes that have passed and wait for a free slot; go-ethereum makes as many
#: record requests at a time.
MAX_CHECKS = 16

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

    @property
    def thread(self) -> threading.Thread:
        """The thread that calls the program's filter."""
        return self._judge.thread

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
