"""Dialing: carries out what the scheduler decides and what ``connect`` asks for.

Owned by ``p2p-io``, but for :meth:`Dialing.ask`. It begins dials (:mod:`p2p.dialtask`) for static
nodes when they are due, for candidates when there are free slots, and for callers of ``connect`` at
once. However a dial ends, the attempt is logged, the scheduler is told, and whoever waits gets the
peer or the precise error.
"""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future

from p2p.attempts import AttemptLog, DialAttempt
from p2p.backoff import ResolveBackoff
from p2p.config import Config, Dialer
from p2p.dial import DialScheduler
from p2p.dialerror import session_error
from p2p.dialtask import Dial, address_text, fail
from p2p.enode import Node
from p2p.errors import (
    ConnectError,
    DialStep,
    DialTimeout,
    DiscReason,
    InvalidNode,
    RecentlyDialed,
    ServerStopped,
    Throttled,
)
from p2p.finder import Finder
from p2p.net import Loop, Request, Timer
from p2p.netutil import IPAddress, is_lan
from p2p.peer import Peer
from p2p.peerset import PeerSet
from p2p.session import Session
from p2p.worker import Launcher

#: How often "looking for peers" is said, and below how many dialed peers.
SEARCH_REPORT_INTERVAL_S = 10.0
SEARCH_REPORT_PEERS = 3

#: Candidates refused in a row before the next one is asked for only after a pause. A source that
#: says the same few over and over, as in a small network, is not to keep the process busy.
REFUSALS_IN_A_ROW = 32
REFUSAL_PAUSE_S = 0.1


class _Connect(Request):
    """A call of :meth:`Dialing.connect` from another thread."""

    def __init__(self, dialing: Dialing, node: Node, timeout_s: float) -> None:
        self.waiter: Future[Peer] = Future()
        self._dialing = dialing
        self._node = node
        self._timeout_s = timeout_s

    def run(self) -> None:
        try:
            self._dialing.connect(self._node, self._timeout_s, self.waiter)
        except BaseException as error:  # whatever it is, it is the caller's
            fail(self.waiter, error)

    def abandon(self) -> None:
        fail(self.waiter, ServerStopped("the server stopped"))


class Dialing:
    """All dials of a server, and their history."""

    def __init__(
        self,
        config: Config,
        loop: Loop,
        peer_set: PeerSet,
        scheduler: DialScheduler[Node],
        launcher: Launcher,
        logger: logging.Logger,
    ) -> None:
        # fixed after __init__
        self.loop = loop
        self.log = logger.getChild("server")
        self._config = config
        self._peer_set = peer_set
        self._scheduler = scheduler
        self._launcher = launcher
        # owned by p2p-io
        self.attempts = AttemptLog()
        self._dials: dict[bytes, Dial] = {}
        self._backoff = ResolveBackoff()
        self._finder: Finder | None = None
        self._timer: Timer | None = None
        self._report_timer: Timer | None = None
        self._stopped = False
        # candidates: one at most is asked for, one at most waits for a free slot
        self._asked = False
        self._candidate: Node | None = None
        self._refused_in_a_row = 0
        self._pause: Timer | None = None
        # since the last report
        self._tried = 0
        self._refused: Counter[str] = Counter()

    # any thread

    def ask(self, node: Node, timeout_s: float) -> Future[Peer]:
        """Have :meth:`connect` called on ``p2p-io``; does not wait for that.

        One way there and one way back are what a call of ``connect`` costs. Whatever becomes of the
        I/O thread, the future gets an outcome.
        """
        request = _Connect(self, node, timeout_s)
        if not self.loop.post(request.run):
            request.abandon()
        return request.waiter

    # p2p-io

    def use(self, finder: Finder) -> None:
        """Take candidates and addresses from ``finder`` from now on."""
        self._finder = finder
        self._scheduler.can_resolve = finder.can_resolve
        if finder.is_searching:
            self._report_timer = self.loop.call_later(SEARCH_REPORT_INTERVAL_S, self._report)

    def schedule(self) -> None:
        """Begin what is due, ask for a candidate if there is room, wake up for what will be.

        Nothing is due before :meth:`use`, which tells whether addresses can be found.
        """
        if self._stopped or self._config.no_dial or self._finder is None:
            return
        now = self.loop.now()
        for node in self._scheduler.poll(now):
            self._begin(node, static=True)
        for node, error in self._scheduler.poll_refusals():
            self.attempts.add(node.id, self._attempt(node, error.step, error))
            self.log.warning("static node %s cannot be dialed: %s", node.id.short, error)
        self._fill_slots()
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._scheduler.next_deadline(now)
        self._timer = None if deadline is None else self.loop.call_at(deadline, self.schedule)

    def try_candidate(self, node: Node) -> None:
        """Dial a node that a source has come up with, when there is room and if it may be."""
        self._asked = False
        self._candidate = node
        self.schedule()

    def add_static(self, node: Node) -> None:
        """Keep ``node`` connected from now on."""
        self._backoff.forget(node.id)
        self._scheduler.add_static(node)
        self.schedule()

    def remove_static(self, node_id: bytes) -> None:
        """Do not dial the node again."""
        self._backoff.forget(node_id)
        self._scheduler.remove_static(node_id)

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
        waiter.add_done_callback(lambda _: timer.cancel())  # only p2p-io answers waiters

    def stop(self) -> None:
        """Give up all dials."""
        self._stopped = True
        for timer in (self._timer, self._report_timer, self._pause):
            if timer is not None:
                timer.cancel()
        for dial in list(self._dials.values()):
            dial.cancel(ServerStopped("the server stopped"), DiscReason.QUITTING)
        self._dials.clear()

    def _check(self, node: Node) -> ConnectError | None:
        if self._stopped:
            return ConnectError("the server is stopping")
        can_resolve = self._scheduler.can_resolve
        error = self._scheduler.check_dial(node, self.loop.now(), resolvable=can_resolve)
        if not isinstance(error, RecentlyDialed):
            return error
        if is_lan(node.ip) if node.ip is not None else not node.hostname:
            return self._scheduler.check_room(node.id)
        return Throttled(
            f"{error}: nodes close a second connection from one address within 30 s",
            error.retry_in_s,
        )

    def _fill_slots(self) -> None:
        """Dial the candidate there is, or ask for one, as long as there is room."""
        assert self._finder is not None
        if not self._has_slots():
            return
        node, self._candidate = self._candidate, None
        if node is not None:
            self._dial_candidate(node)
        if self._has_slots() and not self._asked:
            self._asked = True
            self._finder.want()

    def _has_slots(self) -> bool:
        scheduler = self._scheduler
        return self._pause is None and scheduler.free_slots() > 0 and not scheduler.is_full

    def _dial_candidate(self, node: Node) -> None:
        now = self.loop.now()
        error = self._check_key(node) or self._scheduler.check_candidate(node, now)
        if error is None:
            self._refused_in_a_row = 0
            self._scheduler.begin_candidate(node, now)
            self._begin(node, static=False)
            return
        self.log.debug("candidate %s refused: %s", node.id.short, error)
        self._refused[type(error).__name__] += 1
        self._refused_in_a_row += 1
        if self._refused_in_a_row > REFUSALS_IN_A_ROW:
            self._pause = self.loop.call_later(REFUSAL_PAUSE_S, self._end_pause)

    def _end_pause(self) -> None:
        self._pause = None
        self.schedule()

    def _check_key(self, node: Node) -> InvalidNode | None:
        try:
            _ = node.public_key
        except InvalidNode as error:
            return error
        return None

    def _begin(self, node: Node, static: bool) -> Dial:
        dial = Dial(self, node, static)
        self._dials[node.id] = dial
        dial.start()
        # Last: a handler of the user's that raises leaves a dial that ends like any other.
        if self.log.isEnabledFor(logging.DEBUG):
            self.log.debug("dialing %s at %s", node.id.short, address_text(node))
        return dial

    def _attempt(self, node: Node, step: DialStep, error: ConnectError | None) -> DialAttempt:
        return DialAttempt(self._config.clock.time_unix(), address_text(node), step, error)

    def _give_up(self, dial: Dial, waiter: Future[Peer], timeout_s: float) -> None:
        """A caller of ``connect`` has no more time. A dial of a static node goes on without it."""
        error = DialTimeout(f"no {dial.step} within {timeout_s:g} s", dial.step)
        fail(waiter, error)
        if not dial.static and all(other.done() for other in dial.waiters):
            dial.cancel(error, DiscReason.REQUESTED)
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
        # Who calls connect() wants to know now; static nodes are dialed again and again.
        if not self._scheduler.can_resolve or not self._scheduler.is_static(node.id):
            return self._scheduler.can_resolve
        return self._backoff.may_ask(node.id, self.loop.now())

    def resolve(self, node: Node) -> Node | None:
        return None if self._finder is None else self._finder.resolve(node)

    def resolved(self, node: Node, found: Node | None) -> None:
        if not self._scheduler.is_static(node.id):
            return
        self._backoff.asked(node.id, found is not None, self.loop.now())
        # Where it cannot be dialed, or must not be, the address that the user gave is the better.
        endpoint = None if found is None else found.tcp_endpoint
        if found is not None and endpoint is not None and self.check_address(endpoint.ip) is None:
            self._scheduler.add_static(found)

    def run_blocking(
        self, name: str, job: Callable[[], None], on_failed: Callable[[RuntimeError], None]
    ) -> None:
        self._launcher.run(name, job, on_failed)

    def open_session(
        self, sock: socket.socket, dial: Dial, on_settled: Callable[[Session], None]
    ) -> Session:
        return self._peer_set.dialed(sock, dial.node, dial.static, on_settled)

    def session_error(self, session: Session) -> ConnectError:
        return session_error(session, self._config)

    def finished(self, dial: Dial, outcome: Peer | ConnectError) -> None:
        node = dial.node
        self._dials.pop(node.id, None)
        for waiter in dial.waiters:  # first: nobody else knows them now
            if isinstance(outcome, ConnectError):
                fail(waiter, outcome)
            elif not waiter.done():
                waiter.set_result(outcome)
        self._tried += 1
        error = outcome if isinstance(outcome, ConnectError) else None
        step = DialStep.CONNECTED if error is None else error.step
        attempt = self._attempt(node, step, error)
        self.attempts.add(node.id, attempt)
        if self.log.isEnabledFor(logging.DEBUG):
            self.log.debug("dial of %s: %s", node.id.short, attempt.outcome)
        self._scheduler.dial_done(node.id)
        self.schedule()
