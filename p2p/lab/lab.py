"""The laboratory: a network of real servers in one process, which a program starts and changes.

:class:`Lab` is the front. It owns the nodes (:mod:`p2p.lab.node`), the edges (:mod:`p2p.lab.edges`)
and the events (:mod:`p2p.lab.reports`); the servers are like those of any program. Any thread may
call it; calls that start, stop, connect or wait block their thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from p2p.arguments import check_each, check_function, check_int, check_type, wrong
from p2p.clock import SYSTEM_CLOCK, Clock, nonnegative_timeout
from p2p.crypto import PrivateKey
from p2p.errors import ConfigError, ServerStateError, Timeout
from p2p.feed import Subscription
from p2p.lab.edges import edge_of
from p2p.lab.event import LabEvent
from p2p.lab.joining import Work, join, run_all
from p2p.lab.node import LabNode
from p2p.lab.nodes import OWN_OPTIONS, NodeKey, Nodes, OptionsOf, ProtocolsOf, Settings
from p2p.lab.numbers import INT, probability
from p2p.lab.pace import RealPace
from p2p.lab.reports import CAPACITY, Reports
from p2p.lab.scripts import Script, ScriptRun, Scripts, check_script
from p2p.lab.snapshot import Snapshot
from p2p.lab.topology import MAX_NODES, Edge, edges_of
from p2p.protocol import Protocol

#: Limit on the wait for a connection, in seconds of the lab's time.
CONNECT_TIMEOUT_S = 15.0

#: The protocols of all nodes, or a function that makes those of one.
Protocols = Sequence[Protocol] | ProtocolsOf
Pair = tuple[LabNode, LabNode]


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
    ``seed``
        The nodes' keys and addresses and all random choices of the lab come from it.
    ``clock``
        The clock of all servers.
    ``discovery``
        Whether the nodes run discovery; n0 is the bootnode of the others. They dial the nodes that
        they find, unless ``no_dial`` is set.
    ``message_events``
        Share of the messages to report as events: 0.0 none, 1.0 all.
    ``scripts``
        Scripts to run while the lab runs, such as :class:`Churn`; see :meth:`run_script`.
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
        seed: int = 1,
        clock: Clock = SYSTEM_CLOCK,
        discovery: bool = False,
        message_events: float = 0.0,
        scripts: Iterable[Script] = (),
        node_options: OptionsOf | None = None,
        **server_options: Any,
    ) -> None:
        check_int("nodes", nodes, 0, MAX_NODES, f"an int from 0 to {MAX_NODES}")
        check_int("seed", seed, *INT)
        check_type("discovery", discovery, bool, "True or False")
        # fixed after __init__
        self.seed = seed
        self._reports = Reports(clock)
        self._pace = RealPace(self._reports)
        self._settings = settings = Settings(
            seed,
            clock,
            _protocols_of(protocols),
            discovery,
            probability("message_events", message_events),
            _checked_options(server_options),
            _options_of(node_options),
        )
        self._nodes = Nodes(self, settings, self._reports)
        self._edges = self._nodes.edges
        self._scripts = Scripts(self, self._reports)
        self._given_scripts = _checked_scripts(scripts)
        # guarded by _lock
        self._lock = threading.Lock()
        self._state = "new"
        self._nodes.add(nodes)
        self._edges.want(edges_of(topology, nodes, seed))
        # of a snapshot: connected, and not among those to keep
        self._extra_edges: tuple[Edge, ...] = ()

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
            self._start_all([node for node in self.nodes if node._starts])
            self._connect_all(self._first_edges(), CONNECT_TIMEOUT_S)
            for script in self._given_scripts:
                self.run_script(script)
            self._scripts.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> list[str]:
        """Stop all nodes, and end all subscriptions. A lab cannot be started again.

        Returns the names of threads that have not ended, such as those of handlers.
        """
        with self._lock:
            self._state = "stopped"
        left: list[str] = []
        work = [(node.name, partial(self._stop_one, node, left)) for node in self.nodes]
        self._scripts.stop()
        self._nodes.close()
        try:
            run_all("stopped", work, self._pace.finish)
        finally:
            self._reports.close()
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
        self._start_all([node])
        self._connect_all([edge for edge in self._edges.missing() if node.index in edge], timeout)

    def stop_node(self, node: NodeKey) -> list[str]:
        """Stop a node. Does nothing if it does not run. Its edges are kept, for its next start.

        Returns the names of threads that have not ended within 5 s.
        """
        return self._nodes.stop(self._nodes.find(node))

    # edges

    @property
    def edges(self) -> list[tuple[LabNode, LabNode]]:
        """The pairs of nodes that are connected at this moment, also by discovery, in order."""
        return self._pairs(self._edges.connected)

    @property
    def wanted_edges(self) -> list[tuple[LabNode, LabNode]]:
        """The edges that the lab connects at a start and at :meth:`reconnect`, in order.

        They are those of the topology and of :meth:`connect`.
        """
        return self._pairs(self._edges.wanted)

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
        self._join_all([(one, other)], timeout)

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
        self._connect_all(self._edges.missing(), nonnegative_timeout(timeout))

    # time and events

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

        :class:`Churn` makes such a function. ``random`` is a random source from the seed of the
        lab and the number of the script. All scripts share one thread, so a step that waits delays
        the others. An error of a script ends it, and is reported as an event "failed"; calls that
        wait, and the end of a ``with`` block, raise it as a LabError. It ends with the lab. Raises
        ArgumentTypeError for anything else, and ServerStateError unless the lab runs.
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
        options = self._settings.options
        plain = {name: value for name, value in options.items() if _is_json(value)}
        return Snapshot(
            seed=self.seed,
            join="loopback",
            discovery=self._settings.discovers,
            nodes=self._nodes.states(),
            edges=tuple(self._edges.wanted),
            connected=tuple(self._edges.connected),
            options=plain,
            left_out=tuple(sorted(options.keys() - plain.keys())),
            message_events=self._settings.share,
            time_s=self.time_s,
        )

    @classmethod
    def from_snapshot(
        cls, snapshot: Snapshot | str | os.PathLike[str], **arguments: Any
    ) -> Lab:
        """Return a lab that begins where another one ended, for a ``with`` block.

        ``snapshot`` is a :class:`Snapshot` or the path of its file. ``arguments`` are those of
        :class:`Lab`, ``protocols`` first of all, except ``nodes`` and ``topology``; given ones
        replace those of the snapshot. The nodes that ran are started, the edges that were
        connected or are to be kept are connected, and each node knows those that were in its
        tables. Time begins at 0. Raises OSError and ArgumentError.
        """
        if not isinstance(snapshot, Snapshot):
            snapshot = Snapshot.load(snapshot)
        for name in ("nodes", "topology"):
            if name in arguments:
                raise wrong(name, arguments[name], "no argument: the snapshot has it")
        values: dict[str, Any] = {
            "seed": snapshot.seed,
            "discovery": snapshot.discovery,
            "message_events": snapshot.message_events,
            **snapshot.options,
            **arguments,
        }
        lab = cls(0, topology="none", **values)
        lab._nodes.restore(snapshot.nodes)
        lab._edges.want(snapshot.edges)
        lab._extra_edges = snapshot.connected
        return lab

    # inside

    def _first_edges(self) -> list[Edge]:
        return sorted({*self._edges.wanted, *self._extra_edges})

    def _start_all(self, nodes: Sequence[LabNode]) -> None:
        """Start nodes; the bootnode is the first."""
        first = nodes[:1] if self._nodes.has_bootnode else []
        for some in (first, nodes[len(first) :]):
            work = [(node.name, partial(self._nodes.start, node)) for node in some]
            run_all("started", work, self._pace.finish)

    def _stop_one(self, node: LabNode, left: list[str]) -> None:
        left += self._nodes.stop(node)

    def _connect_all(self, edges: Sequence[Edge], timeout_s: float) -> None:
        """Connect those of the edges whose ends run."""
        pairs = self._pairs(edges)
        running = [pair for pair in pairs if pair[0].is_running and pair[1].is_running]
        self._join_all(running, timeout_s)

    def _join_all(self, pairs: Sequence[Pair], timeout_s: float) -> None:
        work: list[Work] = []
        for one, other in pairs:
            call = partial(join, one, other, self._edges, self._reports, timeout_s)
            work.append((f"{one.name} - {other.name}", call))
        run_all("connected", work, self._pace.finish)

    def _pairs(self, edges: Iterable[Edge]) -> list[Pair]:
        return [(self._nodes.find(one), self._nodes.find(other)) for one, other in edges]

    def _neighbors(self, node: LabNode) -> list[LabNode]:
        return [self._nodes.find(index) for index in self._edges.neighbors(node.index)]

    def _wait_until(self, condition: Callable[[], object], timeout_s: float, what: str) -> None:
        if not self._wait(condition, timeout_s):
            raise Timeout(f"not within {timeout_s:g} s: {what}")

    def _wait(self, condition: Callable[[], object], timeout_s: float) -> bool:
        failed = self._scripts
        is_over = self._pace.wait_until(lambda: failed.has_failures or condition(), timeout_s)
        failed.check()
        return is_over

    def _check_running(self) -> None:
        with self._lock:
            if self._state != "running":
                raise ServerStateError(f"the lab is {self._state}")


def _protocols_of(protocols: Protocols) -> ProtocolsOf:
    """Return a function that makes the protocols of a node."""
    if callable(protocols):
        check_function("protocols", protocols, "node")
        return protocols
    check_each("protocols", protocols, Protocol, "a list of Protocol, or a function of a node")
    return lambda node: protocols


def _checked_scripts(scripts: Iterable[Script]) -> tuple[Script, ...]:
    check_type("scripts", scripts, Iterable, "a list of scripts")
    given = tuple(scripts)
    for script in given:
        check_script(script)
    return given


def _options_of(node_options: OptionsOf | None) -> OptionsOf:
    if node_options is None:
        return lambda node: {}
    check_function("node_options", node_options, "node")
    return node_options


def _checked_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    for option in OWN_OPTIONS:
        if option in options:
            raise ConfigError(f"{option}: wanted an option that the lab does not set itself")
    return options


def _is_json(value: object) -> bool:
    """Whether JSON expresses a value so that it is the same again."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    return value is None or isinstance(value, (bool, int, float, str))
