"""The laboratory: a network of real servers in one process, which a program starts and changes.

:class:`Lab` is the front. It owns the nodes (:mod:`p2p.lab.node`), the edges (:mod:`p2p.lab.edges`)
and the events (:mod:`p2p.lab.reports`); the servers are like those of any program. Any thread may
call it; calls that start, stop, connect or wait block their thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from inspect import signature
from typing import Any

from p2p.arguments import check_function, check_int, check_type, wrong
from p2p.clock import SYSTEM_CLOCK, Clock, nonnegative_timeout
from p2p.crypto import PrivateKey
from p2p.errors import ServerStateError, Timeout
from p2p.feed import Subscription
from p2p.lab.descriptors import ensure, needed
from p2p.lab.edges import edge_of
from p2p.lab.event import LabEvent
from p2p.lab.faults import Faults
from p2p.lab.network import NO_DELAY, new_network
from p2p.lab.node import LabNode
from p2p.lab.nodes import NodeKey, Nodes
from p2p.lab.operations import Operations, Pair
from p2p.lab.pace import new_pace
from p2p.lab.page import LabPage
from p2p.lab.reports import CAPACITY, Reports
from p2p.lab.restoring import arguments_of, restore, snapshot_of
from p2p.lab.scripts import Script, ScriptRun, Scripts
from p2p.lab.settings import OptionsOf, Protocols, Settings
from p2p.lab.snapshot import Snapshot
from p2p.lab.topology import MAX_NODES, Edge, edges_of
from p2p.sim.link import Link

#: Limit on the wait for a connection, in seconds of the lab's time.
CONNECT_TIMEOUT_S = 15.0


class Lab:
    """A network of servers in this process: a ``with`` block starts and stops it.

    ::

        with Lab(nodes=20, topology="small-world", protocols=protocols_of) as lab:
            lab[0].note("begin")
            lab.stop_node(7)
            lab.wait_until(lambda: len(lab.edges) < 40, timeout=10)

    ``nodes``
        Number of nodes, which are called n0, n1 and so on.
    ``protocols``
        The protocols of all nodes, or a function ``(node) -> protocols`` that makes those of one,
        so that its handlers know their :class:`LabNode`. It is called at each start of the node.
    ``topology``
        Edges to connect at the start: "ring", "star", "random", "small-world", "full", "none", or
        pairs of indexes. The functions of the same names make edges with other parameters.
    ``join``
        "memory": bytes go from server to server in memory, and each node has a network (/24) of
        its own. "loopback": by TCP and UDP over loopback, for programs that look at packets.
    ``link``
        The link between all nodes, a :class:`Link`; :meth:`set_link` changes it. By default there
        is no latency, no loss and no limit on bandwidth.
    ``seed``
        The nodes' keys and addresses and all random choices of the lab come from it.
    ``clock``
        The clock of all servers: that of the system, or a :class:`LabClock`. Its time is simulated,
        and passes only in calls of the lab that wait, from one event to the next.
    ``discovery``
        Whether the nodes run discovery; n0 is the bootnode of the others. They search some at a
        time, and dial the nodes that they find, unless ``no_dial`` is set.
    ``message_events``
        Share of the messages to report as events: 0.0 none, 1.0 all. None, the default: all with
        ``monitor_addr``, else none.
    ``scripts``
        Scripts to run while the lab runs, such as :class:`Churn`; see :meth:`run_script`.
    ``monitor_addr``
        Host and port of a live page of the lab, such as "127.0.0.1:0"; see :attr:`monitor_url`.
        Edges light up for messages that are events. Needs websockets
        (``pip install 'p2p-blocking[monitor]'``).
    ``monitor_public``
        Whether ``monitor_addr`` may be an address other than loopback.
    ``raise_limit``
        Whether to raise the limit of this process on file descriptors, if the lab needs it.
    ``node_options``
        Function ``(node) -> options`` for options of :class:`p2p.Server` of one node.
    ``server_options``
        Options of :class:`p2p.Server` for all nodes. ``max_peers`` is by default 50, or twice the
        number of nodes if that is more.

    Raises ArgumentError for wrong arguments.
    """

    def __init__(
        self,
        nodes: int = 50,
        *,
        protocols: Protocols = (),
        topology: str | Iterable[Edge] = "ring",
        join: str = "memory",
        link: Link = NO_DELAY,
        seed: int = 1,
        clock: Clock = SYSTEM_CLOCK,
        discovery: bool = False,
        message_events: float | None = None,
        scripts: Iterable[Script] = (),
        monitor_addr: str | None = None,
        monitor_public: bool = False,
        raise_limit: bool = False,
        node_options: OptionsOf | None = None,
        **server_options: Any,
    ) -> None:
        if message_events is None:
            message_events = 0.0 if monitor_addr is None else 1.0
        check_int("nodes", nodes, 0, MAX_NODES, f"an int from 0 to {MAX_NODES}")
        self._settings = settings = Settings(
            protocols,
            join,
            link,
            seed,
            clock,
            discovery,
            message_events,
            scripts,
            raise_limit,
            node_options,
            server_options,
        )
        edges = edges_of(topology, nodes, seed)
        # fixed after __init__
        logger = server_options.get("logger")
        self._page = LabPage(monitor_addr, monitor_public, logger)
        self._reports = Reports(clock)
        self._network = new_network(join, seed, link, clock, logger)
        self._nodes = Nodes(self, settings, self._reports, self._network)
        self._edges = self._nodes.edges
        self._faults = Faults(self._network, self._reports)
        self._scripts = Scripts(self, self._reports)
        self._pace = new_pace(self._reports, clock, self._scripts)
        self._operations = Operations(self._nodes, self._faults, self._reports, self._pace)
        # guarded by _lock
        self._lock = threading.Lock()
        self._state = "new"
        self._nodes.add(nodes)
        self._edges.want(edges)

    # start and stop

    def start(self) -> None:
        """Start all nodes and connect the edges. Raises LabError, with what failed; all is stopped.

        Raises ServerStateError if it was started before.
        """
        with self._lock:
            if self._state != "new":
                raise ServerStateError(f"cannot start: the lab is {self._state}")
            self._state = "running"
        self._reports.begin()
        try:
            self._ensure_descriptors()
            parts = self._nodes, self._faults, self._network, self._reports
            self._page.start(f"lab of {len(self)} nodes", *parts)
            self._operations.start([node for node in self.nodes if node._starts])
            self._operations.connect(self._edges.first, CONNECT_TIMEOUT_S)
            for script in self._settings.scripts:
                self.run_script(script)
            self._pace.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> list[str]:
        """Stop all nodes, and end all subscriptions. A lab cannot be started again.

        Returns the names of threads that have not ended, such as those of handlers.
        """
        with self._lock:
            self._state = "stopped"
        self._scripts.stop()
        self._nodes.close()
        left: list[str] = []
        try:
            left += self._operations.stop(self.nodes)
        finally:
            left += self._page.stop()
            self._reports.close()
            self._network.close()
        return left + self._scripts.join(CONNECT_TIMEOUT_S)

    def __enter__(self) -> Lab:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        if exception[:1] == (None,):
            self._scripts.check()

    # nodes

    @property
    def seed(self) -> int:
        """The seed of all random choices."""
        return self._settings.seed

    @property
    def nodes(self) -> list[LabNode]:
        """All nodes by index, stopped ones included."""
        return self._nodes.all

    @property
    def running(self) -> list[LabNode]:
        """The nodes that run."""
        return [node for node in self.nodes if node.is_running]

    def __getitem__(self, key: NodeKey) -> LabNode:
        """Return a node by its index or its name, ``lab[3]`` or ``lab["n3"]``.

        Raises ArgumentError if there is none.
        """
        return self._nodes.find(key)

    def __iter__(self) -> Iterator[LabNode]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def add(
        self,
        name: str | None = None,
        *,
        neighbors: Iterable[NodeKey] = (),
        private_key: PrivateKey | None = None,
        start: bool = True,
    ) -> LabNode:
        """Add a node; start it, unless ``start`` is False, and connect it with ``neighbors``.

        Without a ``name`` it gets the next number. Its key is derived from its name and the seed,
        unless one is given. Raises ArgumentError if name or key are taken, and LabError if it
        cannot be started or connected; then it is in the lab all the same.
        """
        others = [self._nodes.find(other) for other in neighbors]
        node = self._nodes.add_one(name, private_key)
        self._edges.want(edge_of(node.index, other.index) for other in others)
        if start:
            self.start_node(node)
        return node

    def remove(self, node: NodeKey) -> list[str]:
        """Stop a node and remove it, with its edges. Returns threads left, as :meth:`stop` does."""
        node = self._nodes.find(node)
        self._edges.unwant_all_of(node.index)
        left = self.stop_node(node)
        self._nodes.remove(node)
        return left

    def start_node(self, node: NodeKey, timeout: float = CONNECT_TIMEOUT_S) -> None:
        """Start a node, with its key and address, and connect its edges to nodes that run.

        Does nothing if it runs. Raises LabError if it cannot be started, or an edge not be
        connected within ``timeout`` seconds; ServerStateError unless the lab runs.
        """
        node, timeout = self._nodes.find(node), nonnegative_timeout(timeout)
        self._check_running()
        self._operations.start([node])
        missing = [edge for edge in self._edges.missing() if node.index in edge]
        self._operations.connect(missing, timeout)

    def stop_node(self, node: NodeKey) -> list[str]:
        """Stop a node. Does nothing if it does not run. Its edges are kept, for its next start.

        Returns the names of threads that have not ended within 5 s.
        """
        return self._operations.stop([self._nodes.find(node)])

    # edges

    @property
    def edges(self) -> list[Pair]:
        """The pairs of nodes that are connected at this moment, also by discovery, in order."""
        return self._operations.pairs(self._edges.connected)

    @property
    def wanted_edges(self) -> list[Pair]:
        """The edges that the lab connects at a start and at :meth:`reconnect`, in order.

        They are those of the topology and of :meth:`connect`.
        """
        return self._operations.pairs(self._edges.wanted)

    def is_connected(self, one: NodeKey, other: NodeKey) -> bool:
        """Whether two nodes are connected."""
        ends = self._nodes.find(one).index, self._nodes.find(other).index
        return self._edges.is_connected(edge_of(*ends))

    def connect(
        self,
        one: NodeKey,
        other: NodeKey,
        timeout: float = CONNECT_TIMEOUT_S,
    ) -> None:
        """Have ``one`` dial ``other``, and wait until both have the connection. Keeps the edge.

        Returns at once if they are connected. Raises LabError with the cause, such as that one of
        them is stopped.
        """
        one, other = self._nodes.find(one), self._nodes.find(other)
        if one is other:
            raise wrong("other", other.name, "another node than the first")
        edge, timeout = edge_of(one.index, other.index), nonnegative_timeout(timeout)
        self._edges.want([edge])
        self._operations.join([(one, other)], timeout)

    def disconnect(
        self, one: NodeKey, other: NodeKey, timeout: float = CONNECT_TIMEOUT_S
    ) -> None:
        """End the connection of two nodes, if there is one, and keep the edge no more.

        On return it has ended at both. Raises Timeout after ``timeout`` seconds.
        """
        one, other = self._nodes.find(one), self._nodes.find(other)
        edge, timeout = edge_of(one.index, other.index), nonnegative_timeout(timeout)
        self._edges.unwant(edge)
        for node, peer_id in ((one, other.id), (other, one.id)):
            for peer in node.peers:
                if peer.id == peer_id:
                    peer.disconnect()
        what = f"{one.name} and {other.name} are disconnected"
        self._wait_until(lambda: not self._edges.has_ends(edge), timeout, what)

    def reconnect(self, timeout: float = CONNECT_TIMEOUT_S) -> None:
        """Connect all wanted edges between nodes that run and are not connected.

        Raises LabError with each edge that could not be connected, and its error.
        """
        self._check_running()
        self._operations.connect(self._edges.missing(), nonnegative_timeout(timeout))

    # the network

    def link_of(self, one: NodeKey, other: NodeKey) -> Link:
        """Return the link from one node to another."""
        ends = self._nodes.find(one), self._nodes.find(other)
        return self._network.link_of(*(node._host for node in ends))

    def set_link(
        self,
        one: NodeKey | None = None,
        other: NodeKey | None = None,
        *,
        one_way: bool = False,
        **changes: Any,
    ) -> None:
        """Change the link between two nodes, or of all nodes that have none of their own.

        ``changes`` are fields of :class:`Link`: ``set_link(0, 1, latency_s=0.1, loss=0.01)``.
        With ``one_way`` only that from the first node to the second is changed. What is under way
        arrives as before. Raises ArgumentError for values out of range, TypeError for unknown ones.
        """
        if one is None or other is None:
            if one is not other or one_way:
                raise wrong("other", other, "two nodes, or none for the links of all")
            self._faults.set_links(changes)
            return
        self._faults.set_link(self._nodes.find(one), self._nodes.find(other), changes, one_way)

    def partition(self, *sides: Iterable[NodeKey]) -> None:
        """Partition the network: nothing passes between the sides; all other nodes are one more.

        Connections between them stay open until an end misses its answers. Until :meth:`heal`, the
        edges between them are not connected again. A partition replaces the one before.
        """
        self._faults.partition([[self._nodes.find(node) for node in side] for side in sides])

    def heal(self) -> None:
        """End the partition. :meth:`reconnect` connects the edges that have ended meanwhile."""
        self._faults.heal()

    # time and events

    @property
    def monitor_url(self) -> str | None:
        """Address of the live page, with its token; None before the start, or without a page."""
        return self._page.url

    @property
    def time_s(self) -> float:
        """Seconds since the lab was made, by its clock; events have this time."""
        return self._reports.time_s

    def wait_until(
        self, condition: Callable[[], object], timeout: float = 60.0, what: str | None = None
    ) -> None:
        """Wait until ``condition()`` is true.

        It is called in this thread, after each event and at least every 20 ms. Raises Timeout, with
        ``what`` was awaited, after ``timeout`` seconds of the lab's time, and LabError if a script
        fails.
        """
        check_function("condition", condition)
        self._wait_until(condition, nonnegative_timeout(timeout), what or "the condition holds")

    def run_for(self, seconds: float) -> None:
        """Let time pass. Raises LabError, at once, if a script fails."""
        self._wait(lambda: False, nonnegative_timeout(seconds, "seconds"))

    def subscribe_events(self, capacity: int = CAPACITY) -> Subscription[LabEvent]:
        """Subscribe to all events from now on; ``capacity`` of them are kept for the subscriber."""
        return self._reports.subscribe(capacity)

    def note(self, text: str, node: NodeKey | None = None, **data: Any) -> None:
        """Report an event "note" with a text and ``data``, which JSON must be able to express.

        Any thread, such as that of a handler, which calls it by its node.
        """
        check_type("text", text, str, "text")
        name = "" if node is None else self._nodes.find(node).name
        self._reports.report("note", node=name, text=text, data=data or None)

    def run_script(self, script: Script) -> ScriptRun:
        """Run a script: a function ``(lab, random)`` that makes a generator::

            def swap(lab, random):
                while True:
                    yield 2.0  # seconds until the next step
                    lab.disconnect(*random.choice(lab.edges))

            lab.run_script(swap)

        :class:`Churn`, :class:`Partitions` and :class:`LinkNoise` make such functions. ``random``
        is a random source from the seed of the lab and the number of the script. All scripts share
        one thread, so a step that waits delays the others. An error of a script ends it, and is
        reported as an event "failed"; calls that wait, and the end of a ``with`` block, raise it
        as a LabError. It ends with the lab. Raises ArgumentTypeError for anything else, and
        ServerStateError unless the lab runs.
        """
        self._check_running()
        return self._scripts.add(script, self.seed)

    def __repr__(self) -> str:
        nodes = f"{len(self.running)} of {len(self)} nodes"
        return f"<Lab, {self._state}, {nodes}, {len(self._edges.connected)} edges>"

    # snapshots

    def snapshot(self) -> Snapshot:
        """Return the state of the lab, to go on later, with the private keys of all nodes.

        It has the nodes with their addresses, and whether they run; the nodes in their discovery
        tables; the edges, and which of them are connected; links and partition; the options that
        JSON can express. It has no state of handlers, no messages under way, and no scripts. The
        parts are taken one after the other, so what changes meanwhile may be in some of them.
        """
        return snapshot_of(self._settings, self._nodes, self._edges, self._faults, self.time_s)

    @classmethod
    def from_snapshot(
        cls, snapshot: Snapshot | str | os.PathLike[str], **arguments: Any
    ) -> Lab:
        """Return a lab that begins where another one ended, for a ``with`` block.

        ``snapshot`` is a :class:`Snapshot` or the path of its file. ``arguments`` are those of
        :class:`Lab`, ``protocols`` first of all, except ``nodes`` and ``topology``; given ones
        replace those of the snapshot. The nodes that ran are started, the edges that were
        connected or are to be kept are connected, and each node has those in its tables that were
        there. Time begins at 0. Raises OSError and ArgumentError.
        """
        if not isinstance(snapshot, Snapshot):
            snapshot = Snapshot.load(snapshot)
        own = signature(Lab.__init__).parameters
        lab = cls(0, topology="none", **arguments_of(snapshot, arguments, own))
        restore(snapshot, lab._nodes, lab._edges, lab._faults)
        return lab

    # inside

    def _ensure_descriptors(self) -> None:
        settings, edges = self._settings, len(self._edges.first)
        nodes = sum(node._starts for node in self.nodes)
        is_in_memory = settings.join == "memory"
        count = needed(nodes, edges, discovers=settings.discovery, in_memory=is_in_memory)
        ensure(count, f"a lab of {nodes} nodes and {edges} edges", settings.raise_limit)

    def _neighbors(self, node: LabNode) -> list[LabNode]:
        return [self._nodes.find(index) for index in self._edges.neighbors(node.index)]

    def _wait(self, condition: Callable[[], object], timeout_s: float) -> bool:
        failed = self._scripts
        is_over = self._pace.wait_until(lambda: failed.has_failures or condition(), timeout_s)
        failed.check()
        return is_over

    def _wait_until(self, condition: Callable[[], object], timeout_s: float, what: str) -> None:
        if not self._wait(condition, timeout_s):
            raise Timeout(f"not within {timeout_s:g} s: {what}")

    def _check_running(self) -> None:
        with self._lock:
            if self._state != "running":
                raise ServerStateError(f"the lab is {self._state}")
