"""Work on many nodes of a lab at a time, such as connecting them, with an error for each failure.

A dial has ended well when both servers have had the connection. The thread that calls waits;
other threads do the work, since a dial and a stop block.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from p2p.clock import Deadline
from p2p.errors import (
    AlreadyConnected,
    ConnectError,
    DiscReason,
    LabError,
    RefusedByPeer,
    Timeout,
)
from p2p.lab.edges import Edges, edge_of
from p2p.lab.node import LabNode
from p2p.lab.reports import Reports
from p2p.lab.topology import Edge
from p2p.peers.peer import Peer

#: Number of calls at a time. Most of their time is waiting, for latency or for other threads.
CALLS = 32
#: Real seconds until a dial is repeated if nothing is reported meanwhile.
LOOK_S = 0.02
#: Number of failures that the text of an error names.
MOST_NAMED = 5

#: A call, and the name of its node or edge.
Work = tuple[str, Callable[[], object]]
#: A wait for calls in other threads.
Finish = Callable[[Sequence[Future[object]]], object]


def run_all(doing: str, work: Sequence[Work], finish: Finish) -> None:
    """Run calls in threads, and wait for all. Raises LabError with the errors of those that failed.

    ``doing`` says what they do, such as "started". A thread that has no further call ends, since
    one that is idle would look busy to a simulated clock.
    """
    calls: list[Future[object]] = [Future() for _ in work]
    jobs = deque(zip((call for _, call in work), calls, strict=True))
    threads = [
        threading.Thread(target=_run, args=(jobs,), name=f"p2p-lab-{number}", daemon=True)
        for number in range(min(CALLS, len(work)))
    ]
    try:
        for thread in threads:
            thread.start()
        finish(calls)
    finally:
        jobs.clear()  # after Ctrl-C: those that have not begun need not
        for thread in threads:
            if thread.ident is not None:  # the system may have had none
                thread.join()
    errors = [(name, call.exception()) for (name, _), call in zip(work, calls, strict=True)]
    failures = [(name, error) for name, error in errors if isinstance(error, Exception)]
    if failures:
        raise lab_error(f"{len(failures)} of {len(work)} could not be {doing}", failures)


def _run(jobs: deque[tuple[Callable[[], object], Future[object]]]) -> None:
    while jobs:
        try:
            call, future = jobs.popleft()
        except IndexError:  # another thread has taken it
            return
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)
        except BaseException as error:  # such as SystemExit, of a program's own function
            future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))


@dataclass(frozen=True, slots=True)
class Join:
    """A dial from ``one`` to ``other``, for a thread of its own.

    ``timeout_s`` is in the time of the lab, ``patience_s`` the real time for all of it.
    """

    one: LabNode
    other: LabNode
    edges: Edges
    reports: Reports
    timeout_s: float
    patience_s: float

    @property
    def edge(self) -> Edge:
        """The edge of both."""
        return edge_of(self.one.index, self.other.index)

    def __call__(self) -> None:
        """Dial, and wait until both servers have the connection, or have had it.

        Returns at once if they are connected. An end may still have the connection to a server of
        the other that was stopped; then the dial is repeated when that has ended. Raises the
        ConnectError of the dial, the error of the connection's end if it ended before both had
        it, and Timeout.
        """
        made, deadline = self.edges.made(self.edge), Deadline(self.patience_s)
        end_s = self.reports.time_s + self.timeout_s
        while not self.edges.is_connected(self.edge) and self.edges.made(self.edge) == made:
            version = self.reports.version
            try:
                peer = self.one.server.connect(self.other.node, self.timeout_s)
            except (AlreadyConnected, RefusedByPeer) as error:
                if not _is_connected_still(error) or self.reports.time_s > end_s:
                    raise
                self.reports.wait(version, LOOK_S)
            else:
                self._await_other(made, peer, deadline)

    def _await_other(self, made: int, peer: Peer, deadline: Deadline) -> None:
        """Wait until the other end has, or had, the connection of ``peer``."""
        while True:
            version, ended = self.reports.version, peer.disconnect_reason
            if self.edges.made(self.edge) != made:
                return
            if ended is not None:
                raise ended
            if deadline.is_over:
                text = f"{self.other.name} does not have the connection"
                raise Timeout(f"{text} within {self.patience_s:g} s")
            self.reports.wait(version, deadline.left_at_least(0.0))


def _is_connected_still(error: ConnectError) -> bool:
    """Whether an end says that they are connected."""
    if isinstance(error, RefusedByPeer):
        return error.reason is DiscReason.ALREADY_CONNECTED
    return True


def lab_error(what: str, failures: Sequence[tuple[str, Exception]]) -> LabError:
    """Return the error for failures, with the first of them as text and as cause."""
    named = [f"{name}: {type(error).__name__}: {error}" for name, error in failures[:MOST_NAMED]]
    if len(failures) > MOST_NAMED:
        named.append(f"and {len(failures) - MOST_NAMED} more")
    error = LabError(f"{what}: {'; '.join(named)}", failures)
    error.__cause__ = failures[0][1]
    return error
