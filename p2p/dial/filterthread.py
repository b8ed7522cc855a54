"""The thread ``p2p-filter``, which runs the program's ``candidate_filter``.

It owns its queue. The function may block: no thread waits for it, the verdict is passed to a
callback.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue

from p2p import forks
from p2p.arguments import check_has_run
from p2p.clock import Clock
from p2p.enode import Node
from p2p.loglimit import LogLimit, log_limited
from p2p.usercode import where_raised


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
        # the nodes that are under check, and the end
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
        process = forks.here
        while (node := self._queue.get()) is not None and not self._stopped:
            passes = False
            try:
                passes = self._judge(node)
            except BaseException:  # raised by the program's log; the thread must go on
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self.thread)))
            finally:
                self._on_judged(node, passes)
            if not process.is_here:
                return  # the filter has forked, and this is the child

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
        text = "candidate_filter failed at %s for node %s, which is not dialed"
        where = where_raised(error)
        log_limited(self._log, logging.ERROR, left_out, text, where, node.id.short, error=error)
