"""The parts of a server: their construction, opening and shutdown in order.

A :class:`~p2p.server.Server` is a front, which a program may lose while its parts run: none of them
refers to it (:mod:`p2p.leaks`). They are stopped in this order:

::

    part                            reason for its place
    listener, dials, connections    messages written before are still sent, in half of the time
    sources of candidates           they are asked to end, and may do so while others end
    discovery and its database      it wakes the threads that wait for its answers
    handlers and blocking jobs      they know of the end; they get the other half of the time
    the I/O thread                  it has served all of them

The thread that stops the server does this, except that the first line happens on ``p2p-io``. A part
that has not ended in time is given up, and every shutdown, even one that fails, has asked the I/O
thread to end. When the I/O thread dies, it wakes all waiting threads itself; a shutdown may follow.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING
from weakref import ReferenceType

from p2p.clock import Deadline
from p2p.config import Config
from p2p.dial.candidates import Sources
from p2p.dial.dials import Dials
from p2p.discover.runner import Restored
from p2p.enode import LocalNode, NodeID
from p2p.errors import DiscReason, ServerStateError
from p2p.feed import Feed
from p2p.keylog.writer import KeyLog
from p2p.metrics import Metrics
from p2p.monitorservice import monitor_source
from p2p.net import Listener, Loop, NameLookups
from p2p.observe import Observer
from p2p.peers.event import PeerEvent
from p2p.peers.peer import Peer
from p2p.peers.peerset import PeerSet
from p2p.peers.session import LINGER_S
from p2p.services import Services
from p2p.threads import Launcher

if TYPE_CHECKING:
    from p2p.server import Server

#: Limit on the wait of ``stop`` for connections and handlers to end.
STOP_TIMEOUT_S = 5.0
#: Time for the I/O thread to end when the other parts have used up theirs.
LAST_MOMENT_S = 1.0
#: Limit on the threads that a warning names.
MOST_NAMED = 10


class Parts:
    """Everything that a server runs; a part is ``None`` if it was not opened.

    Threads of the program wait for ``events`` and ``stopped``.
    """

    def __init__(self, config: Config, logger: logging.Logger) -> None:
        # fixed after __init__
        self.loop = Loop("p2p-io", config.clock, self._loop_ended, logger)
        self.launcher = Launcher()
        self.lookups = NameLookups()
        self.events: Feed[PeerEvent] = Feed()
        self.key_log = None if config.key_log is None else KeyLog(config.key_log, logger)
        self.monitor_source = monitor_source(config)
        self.observers: tuple[Observer, ...] = (
            *config._observers,
            *filter(None, [self.key_log]),
            *([] if self.monitor_source is None else [self.monitor_source.observer]),
        )
        self.peer_set = PeerSet(
            config, self.loop, self.launcher, self.events, logger, self.observers
        )
        self.dials = Dials(
            config,
            self.loop,
            self.peer_set,
            self.launcher,
            self.lookups,
            logger,
            self.observers,
        )
        self.stopped = threading.Event()
        self._config = config
        self._logger = logger
        self._peers_ended = threading.Event()  # also set by a loop that died and cannot end them
        self._log = logger.getChild("server")
        # set before the start, by a laboratory: what discovery begins with
        self.restored: Restored | None = None
        # set once, while the server starts
        self.services: Services | None = None
        self.sources: Sources | None = None
        self.listener: Listener | None = None

    def new_services(self, metrics: Metrics, server: ReferenceType[Server]) -> Services:
        """Return the services of the server, for :meth:`open`."""
        if self.monitor_source is not None:
            self.monitor_source.attach(server, self._observe_again)
        return Services(
            self._config,
            self._logger,
            self.lookups,
            metrics,
            self.observers,
            self.key_log,
            self.monitor_source,
            self.restored,
        )

    def open(self, services: Services) -> None:
        """Start the services, the threads and the sources; call :meth:`begin` next.

        If it raises, call :meth:`abandon`.
        """
        sources = Sources(self._config, self.loop, self._logger, self.dials.candidate_filtered)
        services.start()
        self.loop.start()
        # before the sources are read: they may ask discovery
        self.services, self.sources = services, sources
        self.launcher.start()
        sources.start(
            services.discoveries, services.node_lists, services.find_topics(), services.lan_nodes
        )

    def begin(self, end_start: Callable[[], None]) -> None:
        """Listen and dial, on ``p2p-io``, unless ``end_start`` refuses."""
        services, sources = self.services, self.sources
        assert services is not None and sources is not None
        sock = services.sockets.tcp
        if sock is not None:
            self.listener = Listener(self.loop, sock, self.peer_set.accept)
            services.sockets.tcp = None  # the listener owns it
        end_start()
        resolve = services.resolve if services.discoveries else None
        self.loop.post(self.dials.use, sources.ask, resolve)

    def abandon(self, services: Services, deadline: Deadline) -> bool:
        """Close what :meth:`open` has opened, if it can be opened again.

        Otherwise, if the I/O thread was started, returns False: call :meth:`stop`.
        """
        if self.loop.can_start:
            services.stop(deadline)
            return True
        self.services = services  # open() sets it only after the loop's start
        return False

    def is_current(self) -> bool:
        """Whether the calling thread is one that a stop waits for, such as that of a handler."""
        if self.loop.is_current() or self.launcher.is_current():
            return True
        waited_for = [] if self.sources is None else self.sources.threads
        waited_for += [] if self.services is None else self.services.handler_threads
        return threading.current_thread() in waited_for

    def remove_static(self, node_id: NodeID) -> list[Peer]:
        """Dial a node no more, disconnect it, and return its peers. Called on ``p2p-io``."""
        self.dials.remove_static(node_id)
        return self.peer_set.disconnect(node_id, DiscReason.REQUESTED)

    def own_node(self) -> LocalNode:
        """Return our node, which signs its record. Raises ServerStateError before the start."""
        if self.services is None:
            raise ServerStateError("the server is not started")
        return self.services.local

    def stop(self, deadline: Deadline) -> list[str]:
        """Stop everything. Returns and logs the names of threads that still run at ``deadline``.

        May be interrupted, and may be called twice.
        """
        left: list[str] = []
        try:
            left += self._stop_all_but_loop(deadline)
        except BaseException:  # Ctrl-C: ask all parts to end, and wait for none
            self._stop_all_but_loop(Deadline(0.0))
            raise
        finally:
            try:
                self.loop.post(self.peer_set.abort)
            finally:
                self.loop.stop()
        left += self._join_loop(deadline)
        if left:
            self._log_left(left)
        return left

    def join(self, deadline: Deadline) -> list[str]:
        """Wait for all threads to end, after a stop. Returns the names of those still running."""
        left = [] if self.services is None else self.services.stop(deadline)
        return left + self._join_all_but_loop(deadline) + self._join_loop(deadline)

    def stop_leaked(self) -> None:
        """Stop the parts of a server that the program has lost."""
        try:
            self.stop(Deadline(STOP_TIMEOUT_S))
        finally:
            self.wake_waiters()

    def wake_waiters(self) -> None:
        """Wake the threads that wait for events, or for the end."""
        self.events.close(self.loop.crash)
        self.stopped.set()

    def _observe_again(self) -> None:
        self.loop.post(self.peer_set.observe_again)

    def _loop_ended(self, cause: BaseException | None) -> None:
        """Called last on ``p2p-io``, with the exception that ends it, if any."""
        self._peers_ended.set()
        if cause is not None:
            self._crash(cause)

    def _crash(self, cause: BaseException) -> None:
        """Wake all waiting threads, and close everything; called on ``p2p-io``, dying of ``cause``.

        Waiting threads come first. A step that fails does not stop the others; the last error is
        raised.
        """
        steps: list[Callable[[], object]] = [partial(self.peer_set.crash, cause)]
        steps += [partial(self.events.close, cause), self.stopped.set]
        steps += [self.dials.stop, self.launcher.stop, self.lookups.stop]
        if self.listener is not None:
            steps.append(self.listener.close)
        with ExitStack() as last_to_first:
            for step in reversed(steps):
                last_to_first.callback(step)

    def _log_left(self, left: list[str]) -> None:
        named = left[:MOST_NAMED]
        places = [f"{name} (at {self.launcher.place_of(name)})" for name in named]
        rest = f" and {len(left) - len(named)} more" if len(left) > len(named) else ""
        self._log.warning("threads that did not end: %s%s", ", ".join(places), rest)

    def _stop_all_but_loop(self, deadline: Deadline) -> list[str]:
        # A loop that was never started would accept the post, and never run it.
        if not self.loop.can_start and self.loop.post(self._begin_end, deadline):
            self._peers_ended.wait(deadline.left_at_least(0.0) / 2)
        self.launcher.stop()
        self.lookups.stop()
        if self.sources is not None:
            self.sources.close(deadline)
        left = [] if self.services is None else self.services.stop(deadline)
        return left + self._join_all_but_loop(deadline)

    def _join_all_but_loop(self, deadline: Deadline) -> list[str]:
        left = [] if self.sources is None else self.sources.join(deadline)
        return left + self.launcher.join(deadline)

    def _join_loop(self, deadline: Deadline) -> list[str]:
        has_ended = self.loop.join(deadline.left_at_least(LAST_MOMENT_S))
        return [] if has_ended else [self.loop.name]

    def _begin_end(self, deadline: Deadline) -> None:
        if self.listener is not None:
            self.listener.close()
        self.dials.stop()
        # Half of the time is for sending the messages written before, half for the handlers.
        linger_s = min(LINGER_S, deadline.left_at_least(0.0) / 2)
        self.peer_set.stop(linger_s, self._peers_ended.set)
