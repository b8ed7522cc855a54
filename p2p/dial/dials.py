"""All dials of a server: those that the scheduler decides on, and those of ``connect``.

Owned by ``p2p-io``, except for :meth:`Dials.ask`. It begins dials (:mod:`p2p.dial.dial`) for static
nodes when they are due, for candidates when there are free slots, and for callers of ``connect`` at
once. At the end of a dial the attempt is logged, the scheduler is informed, and the waiting callers
get the peer or the precise error. Only this module reports events to the scheduler.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial

from p2p.config import Config
from p2p.dial.attempts import AttemptLog, DialAttempt
from p2p.dial.candidatefilter import Ask
from p2p.dial.dial import Dial, Resolve, address_text, answer, fail
from p2p.dial.endpoints import at_first_endpoint
from p2p.dial.failures import kind_of_failure, timeout_error
from p2p.dial.limits import DIAL_TIMEOUT_S, ResolveBackoff
from p2p.dial.scheduler import DialScheduler
from p2p.dial.searchreport import SearchReport
from p2p.enode import Node, NodeID
from p2p.errors import (
    ConnectError,
    DialStep,
    DialTimeout,
    DiscReason,
    RecentlyDialed,
    ServerStopped,
)
from p2p.net import Loop, NameLookups, StreamSocket, Timer
from p2p.observe import Observer
from p2p.observerguard import ObserverGuard
from p2p.peers.peer import Peer
from p2p.peers.peerset import PeerSet
from p2p.peers.session import Session
from p2p.threads import Launcher

#: Candidates refused in a row before a pause is made between requests. A source that repeats the
#: same few nodes, as in a small network, must not keep the process busy.
REFUSALS_IN_A_ROW = 32
REFUSAL_PAUSE_S = 0.1


class Dials:
    """All dials of a server, and their history."""

    def __init__(
        self,
        config: Config,
        loop: Loop,
        peer_set: PeerSet,
        launcher: Launcher,
        lookups: NameLookups,
        logger: logging.Logger,
        observers: Iterable[Observer] = (),
    ) -> None:
        scheduler = _make_scheduler(config)
        # fixed after __init__
        self._loop = loop
        self._log = logger.getChild("server")
        self._config = config
        self._peer_set = peer_set
        peer_set.watcher = self
        self._make_dial = partial(
            Dial,
            config=config,
            loop=loop,
            launcher=launcher,
            lookups=lookups,
            log=self._log,
            admit_found=scheduler.admit_found,
            open_session=self._open_session,
            on_searched=self._searched,
            on_done=self._done,
        )
        guard = ObserverGuard(config.clock, self._log)
        self._observers = [guard.guard(observer) for observer in observers]
        # owned by p2p-io
        self._scheduler = scheduler
        self._search_report = SearchReport(loop, peer_set, scheduler, self._log)
        self.attempts = AttemptLog()
        self._dials: dict[bytes, Dial] = {}
        self._waiter_timers: dict[Future[Peer], Timer] = {}
        self._backoff = ResolveBackoff()
        self._in_use = False
        self._ask_source: Ask | None = None
        self._resolve: Resolve | None = None
        self._timer: Timer | None = None
        self._stopped = False
        # candidates: at most one request is pending, at most one node waits for a free slot
        self._asked = False
        self._candidate: Node | None = None
        self._refused_in_a_row = 0
        self._pause: Timer | None = None

    # any thread

    def ask(self, node: Node, timeout_s: float) -> Future[Peer]:
        """Have :meth:`connect` called on ``p2p-io``; return the future without waiting.

        A call of ``connect`` costs one switch of threads there and one back. The future gets an
        outcome even if the I/O thread stops or dies.
        """
        waiter: Future[Peer] = Future()
        begun = self._loop.submit(self.connect, node, timeout_s, waiter)
        begun.add_done_callback(partial(_pass_on_error, waiter))
        return waiter

    @property
    def under_way(self) -> int:
        """Number of dials under way."""
        return len(self._dials)

    def candidate_found(self, node: Node) -> None:
        """Accept the node that a source was asked for."""
        self._loop.post(self._try_candidate, node)

    # p2p-io

    def use(self, ask: Ask | None, resolve: Resolve | None) -> None:
        """Begin to dial.

        ``ask`` requests a candidate, ``resolve`` searches for a node's address; None if there is no
        such source.
        """
        self._in_use = True
        self._ask_source, self._resolve = ask, resolve
        self._scheduler.can_resolve = resolve is not None
        for node in self._config.trusted_nodes:
            self._scheduler.set_trusted(node.id, True)
        for node in self._config.static_nodes:
            self._scheduler.add_static(self._at_first_endpoint(node))
        if ask is not None:
            self._search_report.start()
        self.schedule()

    def schedule(self) -> None:
        """Begin the dials that are due, ask for a candidate if a slot is free, and set the timer.

        Nothing is due before :meth:`use`, which says whether addresses can be found.
        """
        if self._stopped or self._config.no_dial or not self._in_use:
            return
        now = self._loop.now()
        for node in self._scheduler.poll(now):
            self._begin(node, static=True)
        for node, error in self._scheduler.poll_refusals():
            self._note(node, self._attempt(node, error.step, error))
            self._log.warning("static node %s cannot be dialed: %s", node.id.short, error)
        self._fill_slots()
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._scheduler.next_deadline(now)
        self._timer = None if deadline is None else self._loop.call_at(deadline, self.schedule)

    def add_static(self, node: Node) -> None:
        """Keep ``node`` connected from now on."""
        self._backoff.drop(node.id)
        self._scheduler.add_static(self._at_first_endpoint(node))
        self.schedule()

    def remove_static(self, node_id: bytes) -> None:
        """Do not dial the node again."""
        self._backoff.drop(node_id)
        self._scheduler.remove_static(node_id)

    def set_trusted(self, node_id: NodeID, trusted: bool) -> None:
        """Set whether a node may connect beyond ``max_peers``."""
        self._peer_set.set_trusted(node_id, trusted)
        self._scheduler.set_trusted(node_id, trusted)
        self.schedule()

    def connect(self, node: Node, timeout_s: float, waiter: Future[Peer]) -> None:
        """Dial ``node`` now, or join the dial under way; the outcome goes to ``waiter``."""
        dial = self._dials.get(node.id)
        if dial is None:
            node = self._at_first_endpoint(node)
            error = self._check(node)
            if error is not None:
                self._peer_set.dials.refused[type(error).__name__] += 1
                self._note(node, self._attempt(node, error.step, error))
                fail(waiter, error)
                return
            self._scheduler.begin(node, self._loop.now())
            dial = self._begin(node, self._scheduler.is_static(node.id), timeout_s)
        dial.waiters.append(waiter)
        timer = self._loop.call_later(timeout_s, self._give_up, dial, waiter, timeout_s)
        self._waiter_timers[waiter] = timer

    def candidate_filtered(self, node: Node, reason: str) -> None:
        """Count a node that was found and does not become a candidate."""
        self._count_refused(reason)
        self._log.debug("candidate %s refused: %s", node.id.short, reason)

    def stop(self) -> None:
        """Give up all dials."""
        self._stopped = True
        self._search_report.stop()
        for timer in (self._timer, self._pause):
            if timer is not None:
                timer.cancel()
        for timer in self._waiter_timers.values():
            timer.cancel()
        for waiter in self._waiter_timers:
            fail(waiter, ServerStopped("the server stopped"))
        self._waiter_timers.clear()
        for dial in list(self._dials.values()):
            dial.cancel(ServerStopped("the server stopped"), DiscReason.QUITTING)
        self._dials.clear()

    def _check(self, node: Node) -> ConnectError | None:
        if self._stopped:
            return ConnectError("the server is stopping")
        can_resolve = self._scheduler.can_resolve
        now = self._loop.now()
        error = self._scheduler.check_dial(node, now, resolvable=can_resolve)
        if not isinstance(error, RecentlyDialed):
            return error
        # The address of a host name is looked up first; see admit_found.
        ip = None if node.hostname else node.ip
        throttled = None if ip is None else self._scheduler.check_throttle(node.id, ip, now)
        return throttled or self._scheduler.check_room(node.id)

    def _fill_slots(self) -> None:
        """Dial the waiting candidate, and ask for the next one, while slots are free."""
        if self._ask_source is None or not self._has_slots():
            return
        node, self._candidate = self._candidate, None
        if node is not None:
            self._dial_candidate(node)
        if self._has_slots() and not self._asked:
            self._asked = True
            self._ask_source(self.candidate_found)

    def _try_candidate(self, node: Node) -> None:
        """Take a candidate, to be dialed when a slot is free and if the checks allow it."""
        self._asked = False
        self._candidate = node
        self.schedule()

    def _has_slots(self) -> bool:
        scheduler = self._scheduler
        return self._pause is None and scheduler.free_slots() > 0 and not scheduler.is_full

    def _dial_candidate(self, node: Node) -> None:
        now = self._loop.now()
        node = self._at_first_endpoint(node)
        error = self._scheduler.check_candidate(node, now)
        if error is None:
            self._refused_in_a_row = 0
            self._scheduler.begin_candidate(node, now)
            self._begin(node, static=False)
            return
        self._log.debug("candidate %s refused: %s", node.id.short, error)
        self._count_refused(type(error).__name__)
        self._refused_in_a_row += 1
        if self._refused_in_a_row > REFUSALS_IN_A_ROW:
            self._pause = self._loop.call_later(REFUSAL_PAUSE_S, self._end_pause)

    def _count_refused(self, reason: str) -> None:
        self._search_report.candidate_refused(reason)
        self._peer_set.dials.refused[reason] += 1

    def _end_pause(self) -> None:
        self._pause = None
        self.schedule()

    def _begin(self, node: Node, static: bool, wanted_s: float = DIAL_TIMEOUT_S) -> Dial:
        resolve = self._resolve if self._may_resolve(node) else None
        dial = self._make_dial(node, static, resolve, wanted_s)
        self._dials[node.id] = dial
        self._peer_set.dials.begun += 1
        for observer in self._observers:
            observer.dial_begun(node)
        dial.start()
        # Log last: a logging handler that raises must not leave the dial half started.
        if self._log.isEnabledFor(logging.DEBUG):
            self._log.debug("dialing %s at %s", node.id.short, address_text(node))
        return dial

    def _at_first_endpoint(self, node: Node) -> Node:
        return at_first_endpoint(node, self._config.netlist)

    def _may_resolve(self, node: Node) -> bool:
        """Whether discovery may be asked for a node now; for static nodes the backoff decides."""
        # A caller of connect() waits for the answer; static nodes are dialed again and again.
        is_static = self._scheduler.is_static(node.id)
        return not is_static or self._backoff.may_ask(node.id, self._loop.now())

    def _attempt(self, node: Node, step: DialStep, error: ConnectError | None) -> DialAttempt:
        return DialAttempt(self._config.clock.time_unix(), node.tcp_endpoint, step, error)

    def _note(self, node: Node, attempt: DialAttempt) -> None:
        self.attempts.add(node.id, attempt)
        for observer in self._observers:
            observer.dial_ended(node, attempt)

    def _give_up(self, dial: Dial, waiter: Future[Peer], timeout_s: float) -> None:
        """End the wait of a caller whose timeout has passed; a dial of a static node continues."""
        del self._waiter_timers[waiter]
        is_over, error = dial.is_over, timeout_error(dial.step, timeout_s)
        if is_over:
            text = "handlers of the previous connection have not returned"
            error = DialTimeout(f"{text} within {timeout_s:g} s", dial.step)
        fail(waiter, error)
        if not dial.static and all(other.done() for other in dial.waiters):
            dial.cancel(error, DiscReason.REQUESTED)
            if not is_over:
                self._done(dial, error)

    def _answer(self, waiters: Sequence[Future[Peer]], outcome: Peer | ConnectError) -> None:
        """Give callers of ``connect`` the peer or the error.

        The last handler of a peer to begin gives it to them, on its own thread.
        """
        for waiter in waiters:
            is_late = isinstance(outcome, Peer) and self._peer_set.handlers_wait(outcome)
            if not is_late:
                self._cancel_timer(waiter)
            if isinstance(outcome, Peer):
                outcome._is_taken |= not waiter.done()
                outcome._handlers_begun.when_open(partial(answer, waiter, outcome))
                if is_late:
                    outcome._handlers_begun.when_open(
                        partial(self._loop.post, self._cancel_timer, waiter)
                    )
            else:
                fail(waiter, outcome)

    def _cancel_timer(self, waiter: Future[Peer]) -> None:
        timer = self._waiter_timers.pop(waiter, None)
        if timer is not None:
            timer.cancel()

    # calls of the peer set (PeerWatcher)

    def is_static(self, node_id: NodeID) -> bool:
        return self._scheduler.is_static(node_id)

    def is_awaited(self, node_id: NodeID) -> bool:
        dial = self._dials.get(node_id)
        return dial is not None and not all(waiter.done() for waiter in dial.waiters)

    def peer_added(self, node_id: NodeID, dialed: bool) -> None:
        self._scheduler.peer_added(node_id, dialed)
        self._scheduler.set_full(self._peer_set.is_full)

    def peer_removed(self, node_id: NodeID, dialed: bool) -> None:
        self._scheduler.peer_removed(node_id, dialed)
        self._scheduler.set_full(self._peer_set.is_full)

    # calls of the dials

    def _open_session(
        self, sock: StreamSocket, node: Node, static: bool, on_settled: Callable[[Session], None]
    ) -> Session:
        if node.ip is not None:
            self._scheduler.connection_opened(node.id, node.ip, self._loop.now())
        return self._peer_set.dialed(sock, node, static, on_settled)

    def _searched(self, node: Node, found: Node | None) -> None:
        if not self._scheduler.is_static(node.id):
            return
        self._backoff.asked(node.id, found is not None, self._loop.now())
        # If it cannot or must not be dialed there, the address that the user gave is better.
        found = None if found is None else self._at_first_endpoint(found)
        endpoint = None if found is None else found.tcp_endpoint
        if found is None or endpoint is None:
            return
        if self._scheduler.check_address(endpoint.ip) is None:
            self._scheduler.add_static(found)

    def _done(self, dial: Dial, outcome: Peer | ConnectError) -> None:
        node = dial.node
        self._dials.pop(node.id, None)
        # Any peer of that ID counts: the node's own connection may have come first.
        peer = self._peer_set.peer_of(node.id)
        self._answer(dial.waiters, peer or outcome)
        if peer is not None:  # all waiters may have given up
            self._peer_set.offer(peer)
        self._search_report.dial_done()
        error = outcome if isinstance(outcome, ConnectError) else None
        step = DialStep.CONNECTED if error is None else error.step
        attempt = self._attempt(node, step, error)
        self._note(node, attempt)
        if error is not None:
            self._peer_set.dials.failed[kind_of_failure(error)] += 1
        if self._log.isEnabledFor(logging.DEBUG):
            self._log.debug("dial of %s: %s", node.id.short, attempt.outcome)
        self._scheduler.dial_done(node.id)
        self.schedule()


def _make_scheduler(config: Config) -> DialScheduler:
    scheduler = DialScheduler(
        NodeID.from_public_key(config.private_key.public_key),
        config.max_dialed_conns,
        config.max_pending_peers,
        config.netlist,
        own=config._own,
        redial_pause_s=config.redial_pause_s,
        looks_up_names=config.dialer is None,
        random=random.Random(),
    )
    scheduler.set_full(config.max_peers == 0)  # full before the first peer comes
    return scheduler


def _pass_on_error(waiter: Future[Peer], begun: Future[None]) -> None:
    error = begun.exception()
    if error is not None:
        fail(waiter, error)
