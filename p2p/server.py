"""The server: a node of the network, as a program starts, asks and stops it.

Every public method may be called from any thread. The server starts the I/O thread ``p2p-io``,
which owns the listener, the peer set (:mod:`p2p.peerset`) and the dials (:mod:`p2p.dialing`), and
the launcher of workers (:mod:`p2p.worker`); it posts its commands and touches nothing of theirs
itself. :mod:`p2p.shutdown` knows the order in which all of it ends.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Sequence
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Any

from p2p.attempts import DialAttempt
from p2p.clock import Clock, SystemClock, checked_timeout, finite_timeout
from p2p.config import DEFAULT_MAX_PENDING_PEERS, Config, Dialer, check_has_key
from p2p.crypto import PrivateKey
from p2p.dial import DialScheduler
from p2p.dialing import Dialing
from p2p.dialtask import DIAL_TIMEOUT_S
from p2p.discover.service import UDPv4
from p2p.enode import Node
from p2p.errors import (
    ConfigError,
    DiscReason,
    LoopCrashed,
    ReadTimeout,
    ServerStateError,
    ServerStopped,
)
from p2p.events import DEFAULT_CAPACITY, Feed, PeerEvent, Subscription
from p2p.finder import Finder
from p2p.net import Listener, Loop, format_address
from p2p.netutil import Netlist
from p2p.peer import Peer
from p2p.peerset import PeerSet
from p2p.protocol import Protocol
from p2p.shutdown import Shutdown
from p2p.worker import Launcher

#: How long ``stop`` waits for connections and handlers to end.
STOP_TIMEOUT_S = 5.0
#: Threads that a warning names at most.
MOST_NAMED = 10


class _State(Enum):
    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Server:
    """A node. Options are those of :class:`p2p.config.Config`, by keyword only.

    Raises ConfigError for an option that is wrong or missing. Use it in a ``with`` block, or call
    :meth:`start` and :meth:`stop`; a stopped server cannot be started again.
    """

    def __init__(
        self,
        *,
        private_key: PrivateKey,
        name: str,
        max_peers: int,
        max_pending_peers: int = DEFAULT_MAX_PENDING_PEERS,
        dial_ratio: int = 0,
        static_nodes: Sequence[Node] = (),
        trusted_nodes: Sequence[Node] = (),
        net_restrict: Netlist | str | None = None,
        protocols: Sequence[Protocol] = (),
        listen_addr: str | None = None,
        discovery_v4: bool | None = None,
        no_discovery: bool = False,
        bootstrap_nodes: Sequence[Node] = (),
        node_database: str | os.PathLike[str] | None = None,
        disc_addr: str | None = None,
        discovery_version: int = 4,
        dialer: Dialer | None = None,
        no_dial: bool = False,
        enable_msg_events: bool = False,
        logger: logging.Logger | None = None,
        clock: Clock | None = None,
        accept_pre_eip8: bool = False,
    ) -> None:
        # fixed after __init__
        self.config = Config(
            private_key=private_key,
            name=name,
            max_peers=max_peers,
            max_pending_peers=max_pending_peers,
            dial_ratio=dial_ratio,
            static_nodes=static_nodes,
            trusted_nodes=trusted_nodes,
            net_restrict=net_restrict,
            protocols=protocols,
            listen_addr=listen_addr,
            discovery_v4=discovery_v4,
            no_discovery=no_discovery,
            bootstrap_nodes=bootstrap_nodes,
            node_database=node_database,
            disc_addr=disc_addr,
            discovery_version=discovery_version,
            dialer=dialer,
            no_dial=no_dial,
            enable_msg_events=enable_msg_events,
            logger=logger,
            clock=SystemClock() if clock is None else clock,
            accept_pre_eip8=accept_pre_eip8,
        )
        config = self.config
        logger = config.logger or logging.getLogger("p2p")
        self._log = logger.getChild("server")
        self._events: Feed[PeerEvent] = Feed()
        self._loop = Loop("p2p-io", config.clock, self._loop_ended)
        self._launcher = Launcher()
        scheduler: DialScheduler[Node] = DialScheduler(
            Node.from_parts(config.private_key.public_key).id,
            config.max_dialed_conns,
            config.max_pending_peers,
            config.netlist,
            random=random.Random(),
        )
        self._peer_set = PeerSet(
            config, self._loop, scheduler, self._launcher, self._events, logger
        )
        self._dialing = Dialing(
            config, self._loop, self._peer_set, scheduler, self._launcher, logger
        )
        self._peer_set.on_change = self._dialing.schedule
        self._scheduler = scheduler
        self._logger = logger
        self._stopped = threading.Event()
        # guarded by _lock
        self._lock = threading.Lock()
        self._state = _State.NEW
        # fixed after start()
        self._finder: Finder | None = None
        self._listener: Listener | None = None

    # life

    def start(self) -> None:
        """Begin to listen and to dial.

        Looks up host names, and so may take a while. Raises ServerStateError if it was started
        before; OSError if an address cannot be listened on or the process has no descriptors left,
        NodeDBError if the node database cannot be used, and what a protocol's ``dial_candidates``
        raise (the server can then be started again); RuntimeError if the system has no more
        threads, and ServerStopped if another thread has called ``stop`` (it is stopped then).
        """
        with self._lock:
            if self._state is not _State.NEW:
                raise ServerStateError(f"cannot start: the server is {self._state.value}")
            self._state = _State.STARTING
        deliver = partial(self._loop.post, self._dialing.try_candidate)
        finder = Finder(self.config, self._logger, deliver)
        try:
            self._open(finder)
        except BaseException:
            self._abandon_start(finder)
            raise

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> list[str]:
        """Disconnect all peers, wait for their handlers to return, and end all threads.

        Takes at most about ``timeout`` seconds; returns the names of threads that have not ended
        by then (they are logged, with the lines at which they stand). Harmless when not running.
        May be called from a handler, whose own thread is not waited for. A Ctrl-C cuts the waiting
        short.
        """
        timeout = finite_timeout(timeout)
        with self._lock:
            before = self._state
            if before is not _State.STOPPED:
                self._state = _State.STOPPING
        if before in (_State.NEW, _State.RUNNING):
            return self._end(time.monotonic() + timeout)
        # Another thread is at it, or in start(), which then does it.
        if not self._is_own_thread():
            self._stopped.wait(max(0.0, timeout))
        return []

    def wait(self) -> None:
        """Wait until the server is stopped, or until Ctrl-C is pressed in the main thread.

        Raises LoopCrashed if the I/O thread dies.
        """
        try:
            self._stopped.wait()
        except KeyboardInterrupt:
            return
        self._raise_crash()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # peers

    def peers(self) -> list[Peer]:
        """All connected peers."""
        return list(self._peer_set.peers())

    def peer_count(self) -> int:
        """How many peers are connected."""
        return len(self._peer_set.peers())

    def add_peer(self, node: Node) -> None:
        """Make ``node`` a static node: dialed until it is a peer, and again when it leaves."""
        self._check_node(node)
        check_has_key("node", node)
        self._post(self._dialing.add_static, node)

    def remove_peer(self, node: Node, timeout: float | None = None) -> None:
        """Make ``node`` static no more and disconnect it.

        Waits until its handlers have returned, at most ``timeout`` seconds (ReadTimeout). Raises
        ServerStopped or LoopCrashed if the server ends meanwhile. Handlers call
        ``Peer.disconnect`` instead.
        """
        self._check_node(node)
        timeout = checked_timeout(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._events.subscribe(capacity=1) as events:
            peer = self._loop.call(self._remove_static, node)
            # Each event is a reason to look again; in a flood of them any one may get lost.
            while peer in self._peer_set.peers():
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise ReadTimeout(f"handlers of {peer} have not returned within {timeout:g} s")
                try:
                    events.get(left)
                except ReadTimeout:
                    continue
                except ServerStopped:
                    self._raise_crash()
                    raise
        self._raise_crash()  # it leaves no peers either

    def add_trusted_peer(self, node: Node) -> None:
        """Let ``node`` connect even beyond ``max_peers``. It is not dialed for that."""
        self._check_node(node)
        self._post(self._peer_set.set_trusted, node.id, True)

    def remove_trusted_peer(self, node: Node) -> None:
        """Trust ``node`` no more; a connection there is stays."""
        self._check_node(node)
        self._post(self._peer_set.set_trusted, node.id, False)

    def connect(self, node: Node, timeout: float = DIAL_TIMEOUT_S) -> Peer:
        """Dial ``node`` now and return the running peer.

        Raises the ConnectError that says precisely why it did not become one, ServerStopped, or
        LoopCrashed. ``timeout`` is in seconds from 0 up, for all steps together. When the node
        dials us at the same time, its connection may take the place of the peer a moment later.
        """
        self._check_node(node)
        check_has_key("node", node)
        timeout = finite_timeout(timeout)
        if timeout < 0:
            raise ConfigError(f"timeout: wanted at least 0 seconds, not {timeout:g}")
        waiter = self._dialing.ask(node, timeout)
        try:
            return waiter.result()
        except ServerStopped:
            self._raise_crash()
            raise

    def dial_attempts(self, node: Node) -> list[DialAttempt]:
        """The last attempts to dial ``node``, oldest first: when, how far, with what outcome."""
        self._check_node(node)
        return self._loop.call(self._dialing.attempts.of, node.id)

    def subscribe_events(self, capacity: int = DEFAULT_CAPACITY) -> Subscription[PeerEvent]:
        """Hear of peers that come and go, and of messages with ``enable_msg_events``."""
        return self._events.subscribe(capacity)

    # what we are

    @property
    def listen_addr(self) -> str | None:
        """Where the server listens, with the real port once it is started; None if it does not."""
        if self._listener is None:
            return self.config.listen_addr
        return format_address(self._listener.address)

    def self(self) -> Node:
        """Our own node, as others may dial it."""
        if self._finder is None:
            return Node.from_parts(self.config.private_key.public_key, "0.0.0.0")
        return self._finder.node()

    @property
    def discovery(self) -> UDPv4 | None:
        """Discovery: what it knows of the network, and calls to ask it. None if it does not run."""
        return None if self._finder is None else self._finder.discovery

    def max_dialed_conns(self) -> int:
        """How many peers may be ones that the server found and dialed by itself."""
        return self.config.max_dialed_conns

    def max_inbound_conns(self) -> int:
        """How many peers may be ones that dialed us."""
        return self.config.max_inbound_conns

    def node_info(self) -> dict[str, Any]:
        """What we are, under the keys of go-ethereum's ``NodeInfo``."""
        node = self.self()
        protocols: dict[str, Any] = {}
        for protocol in self.config.protocols:
            if protocol.name not in protocols:
                info = protocol.node_info
                protocols[protocol.name] = "unknown" if info is None else info()
        return {
            "id": str(node.id),
            "name": self.config.name,
            "enode": node.url,
            "enr": str(node),
            "ip": str(node.ip),
            "ports": {"discovery": node.udp, "listener": node.tcp},
            "listenAddr": self.listen_addr or "",
            "protocols": protocols,
        }

    def peers_info(self) -> list[dict[str, Any]]:
        """``Peer.info()`` of all peers, sorted by id."""
        return sorted((peer.info() for peer in self.peers()), key=lambda info: str(info["id"]))

    # inside

    def _open(self, finder: Finder) -> None:
        """Open everything, in its order."""
        if self.config.no_dial and self.config.listen_addr is None:
            self._log.warning("server is of no use: it neither dials nor listens")
        if self.config.bootstrap_nodes and not self.config.discovers:
            self._log.warning("bootstrap_nodes are of no use: discovery is off")
        sock = finder.start()
        try:
            self._loop.start()
            self._finder = finder  # before the feed: sources of candidates may ask discovery
            self._launcher.start()
            finder.start_feed()
            self._loop.call(self._begin, finder, sock)
        except BaseException:
            if sock is not None and self._listener is None:
                sock.close()
            raise
        self._log.info("started as %s", finder.node().url)

    def _begin(self, finder: Finder, sock: socket.socket | None) -> None:
        """On ``p2p-io``: from here on the server runs, unless it was stopped while it started."""
        if sock is not None:
            self._listener = Listener(self._loop, sock, self._peer_set.accept)
        with self._lock:
            if self._state is not _State.STARTING:
                raise ServerStopped("the server was stopped while it started")
            self._state = _State.RUNNING
        self._loop.post(self._begin_dialing, finder)

    def _abandon_start(self, finder: Finder) -> None:
        """Close what is open; what has not come to the I/O thread can be tried again."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        if self._loop.can_start:
            finder.stop(deadline)
            with self._lock:
                if self._state is _State.STARTING:
                    self._state = _State.NEW
                    return
        else:
            self._finder = finder  # _open sets it only after the loop's start
        self._end(deadline)

    def _begin_dialing(self, finder: Finder) -> None:
        self._dialing.use(finder)
        for node in self.config.trusted_nodes:
            self._peer_set.set_trusted(node.id, True)
        for node in self.config.static_nodes:
            self._scheduler.add_static(node)
        self._dialing.schedule()

    def _remove_static(self, node: Node) -> Peer | None:
        self._dialing.remove_static(node.id)
        self._peer_set.disconnect(node.id, DiscReason.REQUESTED)
        return next((peer for peer in self._peer_set.peers() if peer.id == node.id), None)

    def _check_node(self, node: Node) -> None:
        if not isinstance(node, Node):
            raise ConfigError(f"want a Node, not {node!r}; parse_node(text) makes one of a URL")
        with self._lock:
            state = self._state
        # The program's own code may run, and ask for something, before the start is complete.
        is_ready = state is _State.STARTING and not self._loop.can_start
        if state is not _State.RUNNING and not is_ready:
            raise ServerStateError(f"the server is {state.value}")

    def _raise_crash(self) -> None:
        crash = self._loop.crash
        if crash is not None:
            raise LoopCrashed(f"the I/O thread died: {crash!r}") from crash

    def _post(self, fn: Any, *args: object) -> None:
        if not self._loop.post(fn, *args):
            self._raise_crash()
            raise ServerStopped("the server stopped")

    # the end

    def _end(self, deadline: float) -> list[str]:
        """Take everything down, and be stopped however that goes (Ctrl-C)."""
        try:
            left = self._shutdown().run(deadline)
            if left:
                named = left[:MOST_NAMED]
                places = [f"{name} (at {self._launcher.place_of(name)})" for name in named]
                rest = f" and {len(left) - len(named)} more" if len(left) > len(named) else ""
                self._log.warning("threads that did not end: %s%s", ", ".join(places), rest)
        finally:
            with self._lock:
                self._state = _State.STOPPED
            self._events.close(self._loop.crash)
            self._stopped.set()
        self._log.info("stopped")
        return left

    def _loop_ended(self, cause: BaseException | None) -> None:
        """Last call on ``p2p-io``; with a cause, it is dying of it."""
        if cause is not None:
            self._shutdown().crash(cause, partial(self._events.close, cause), self._stopped.set)

    def _shutdown(self) -> Shutdown:
        return Shutdown(
            self._loop, self._launcher, self._peer_set, self._dialing, self._finder, self._listener
        )

    def _is_own_thread(self) -> bool:
        return self._loop.is_current() or self._launcher.is_current()
