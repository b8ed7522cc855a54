"""Dialing: carries out what the scheduler decides and what ``connect`` asks for.

Owned by ``p2p-io``. It begins dials (:mod:`p2p.dialtask`) for static nodes when they are due, for
candidates when there are free slots, and for callers of ``connect`` at once. However a dial ends,
the attempt is logged, the scheduler is told, and whoever waits gets the peer or the precise error.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future

from p2p.attempts import AttemptLog, DialAttempt
from p2p.config import Config, Dialer
from p2p.dial import DialScheduler, ResolveBackoff
from p2p.dialerror import session_error
from p2p.dialtask import Dial, address_text, fail
from p2p.enode import Node
from p2p.errors import (
    ConnectError,
    DialStep,
    DialTimeout,
    RecentlyDialed,
    ServerStopped,
    Throttled,
)
from p2p.finder import Finder
from p2p.net import Loop, Timer
from p2p.netutil import IPAddress, is_lan
from p2p.peer import Peer
from p2p.peerset import PeerSet
from p2p.session import Session

#: How often "looking for peers" is said, and below how many dialed peers.
SEARCH_REPORT_INTERVAL_S = 10.0
SEARCH_REPORT_PEERS = 3


class Dialing:
    """All dials of a server, and their history."""

    def __init__(
        self,
        config: Config,
        loop: Loop,
        peer_set: PeerSet,
        scheduler: DialScheduler[Node],
        logger: logging.Logger,
    ) -> None:
        # fixed after __init__
        self.loop = loop
        self.log = logger.getChild("server")
        self._config = config
        self._peer_set = peer_set
        self._scheduler = scheduler
        # owned by p2p-io
        self.attempts = AttemptLog()
        self._dials: dict[bytes, Dial] = {}
        self._backoff = ResolveBackoff()
        self._finder: Finder | None = None
        self._timer: Timer | None = None
        self._report_timer: Timer | None = None
        self._stopped = False
        self._threads: list[threading.Thread] = []
        # since the last report
        self._tried = 0
        self._refused: Counter[str] = Counter()

    def use(self, finder: Finder) -> None:
        """Take candidates and addresses from ``finder`` from now on."""
        self._finder = finder
        self._scheduler.can_resolve = finder.can_resolve
        if finder.is_searching:
            self._report_timer = self.loop.call_later(SEARCH_REPORT_INTERVAL_S, self._report)

    def schedule(self) -> None:
        """Begin what is due, ask for a candidate if there is room, wake up for what will be."""
        if self._stopped or self._config.no_dial:
            return
        now = self.loop.now()
        for node in self._scheduler.poll(now):
            self._begin(node, static=True)
        if self._finder is not None:
            self._finder.want(self._scheduler.free_slots() > 0)
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._scheduler.next_deadline(now)
        self._timer = None if deadline is None else self.loop.call_at(deadline, self.schedule)

    def try_candidate(self, node: Node) -> None:
        """Dial a node that a source has come up with, if it may be."""
        if self._stopped:
            return
        now = self.loop.now()
        error = self._scheduler.check_dial(node, now)
        if error is not None:
            self._refused[str(error.__class__.__name__)] += 1
        elif self._scheduler.free_slots() > 0:
            self._scheduler.begin(node, now)
            self._begin(node, static=False)
        self.schedule()

    def connect(self, node: Node, timeout_s: float, waiter: Future[Peer]) -> None:
        """Dial ``node`` now, or join the dial under way; the outcome goes to ``waiter``."""
        dial = self._dials.get(node.id)
        if dial is None:
            error = self._check(node)
            if error is not None:
                self.attempts.add(node.id, self._attempt(node, error.step, error))
                fail(waiter, error)
                return
            self._scheduler.begin(node, self.loop.now())
            dial = self._begin(node, static=self._scheduler.is_static(node.id))
        dial.waiters.append(waiter)
        timer = self.loop.call_later(timeout_s, self._give_up, dial, waiter, timeout_s)
        waiter.add_done_callback(lambda _: self.loop.post(timer.cancel))

    def stop(self) -> list[threading.Thread]:
        """Give up all dials; returns the threads that may still be at work."""
        self._stopped = True
        for timer in (self._timer, self._report_timer):
            if timer is not None:
                timer.cancel()
        for dial in list(self._dials.values()):
            dial.cancel(ServerStopped("the server stopped"))
        self._dials.clear()
        return self._threads

    def _check(self, node: Node) -> ConnectError | None:
        if self._stopped:
            return ConnectError("the server is stopping")
        can_resolve = self._scheduler.can_resolve
        error = self._scheduler.check_dial(node, self.loop.now(), resolvable=can_resolve)
        if not isinstance(error, RecentlyDialed):
            return error
        if node.ip is not None and is_lan(node.ip):
            return self._scheduler.check_room(node.id)
        return Throttled(
            f"{error}: nodes close a second connection from one address within 30 s",
            error.retry_in_s,
        )

    def _begin(self, node: Node, static: bool) -> Dial:
        self.log.debug("dialing %s at %s", node.id.short, address_text(node))
        dial = Dial(self, node, static)
        self._dials[node.id] = dial
        dial.start()
        return dial

    def _attempt(self, node: Node, step: DialStep, error: ConnectError | None) -> DialAttempt:
        return DialAttempt(self._config.clock.time_unix(), address_text(node), step, error)

    def _give_up(self, dial: Dial, waiter: Future[Peer], timeout_s: float) -> None:
        """A caller of ``connect`` has no more time. A dial of a static node goes on without it."""
        error = DialTimeout(f"no {dial.step} within {timeout_s:g} s", dial.step)
        fail(waiter, error)
        if not dial.static and all(other.done() for other in dial.waiters):
            dial.cancel(error)
            self.finished(dial, error)

    def _report(self) -> None:
        """Tell a user whose node has hardly any peers what it is doing about it."""
        self._report_timer = self.loop.call_later(SEARCH_REPORT_INTERVAL_S, self._report)
        scheduler = self._scheduler
        if scheduler.dialed_peers < SEARCH_REPORT_PEERS and scheduler.wants_more:
            refused = ", ".join(f"{name} {count}" for name, count in sorted(self._refused.items()))
            self.log.info(
                "looking for peers: %d connected, %d tried, %d static; candidates refused: %s",
                len(self._peer_set.peers()),
                self._tried,
                scheduler.static_count,
                refused or "none",
            )
        self._tried = 0
        self._refused.clear()

    # calls of the dials (DialOwner)

    @property
    def dialer(self) -> Dialer | None:
        return self._config.dialer

    def check_address(self, ip: IPAddress) -> ConnectError | None:
        return self._scheduler.check_address(ip)

    def may_resolve(self, node: Node) -> bool:
        return self._scheduler.can_resolve and self._backoff.may_ask(node.id, self.loop.now())

    def resolve(self, node: Node) -> Node | None:
        return None if self._finder is None else self._finder.resolve(node)

    def resolved(self, node: Node, found: Node | None) -> None:
        self._backoff.asked(node.id, found is not None, self.loop.now())
        if found is not None and self._scheduler.is_static(node.id):
            self._scheduler.add_static(found)

    def run_blocking(self, name: str, job: Callable[[], None]) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=job, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def open_session(
        self, sock: socket.socket, dial: Dial, on_settled: Callable[[Session], None]
    ) -> Session:
        return self._peer_set.dialed(sock, dial.node, dial.static, on_settled)

    def session_error(self, session: Session) -> ConnectError:
        return session_error(session, self._config)

    def finished(self, dial: Dial, outcome: Peer | ConnectError) -> None:
        node = dial.node
        self._dials.pop(node.id, None)
        self._tried += 1
        error = outcome if isinstance(outcome, ConnectError) else None
        step = DialStep.CONNECTED if error is None else error.step
        attempt = self._attempt(node, step, error)
        self.attempts.add(node.id, attempt)
        self.log.debug("dial of %s: %s", node.id.short, attempt.outcome)
        for waiter in dial.waiters:
            if isinstance(outcome, ConnectError):
                fail(waiter, outcome)
            elif not waiter.done():
                waiter.set_result(outcome)
        self._scheduler.dial_done(node.id)
        self.schedule()
