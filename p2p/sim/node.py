"""One node of a simulated network: an engine with an address and a clock of its own.

A :class:`SimNode` runs its engine as the service's thread does, but on the network's time. It may
be stopped at any moment, as by a power cut, and restarted with or without its node database. Its
commands come in two forms: ``begin_lookup`` starts one and returns an
:class:`~p2p.sim.Operation`, ``lookup`` also lets simulated time pass until it has ended.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from p2p.crypto import PrivateKey, keccak256
from p2p.discover.counters import Counters
from p2p.discover.event import Event, NodeAdded, NodeRemoved, OperationDone
from p2p.discover.operations import Operations
from p2p.discover.ratelimit import Limits
from p2p.discover.store import NodeStore
from p2p.discover.table.snapshot import TableView, view_of
from p2p.discover.transport import Target
from p2p.discover.v4.engine import EngineV4
from p2p.discover.v5.engine import AnswerTopic, EngineV5
from p2p.discover.v5.operations import OperationsV5
from p2p.discover.v5.topics.registrar import Registrar
from p2p.discover.v5.topics.table import TOPICS_ENTRY, TOPICS_VERSION
from p2p.enode.db.memory import NodeMemory
from p2p.enode.localrecord import LocalRecord
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.errors import Closed, ServerStateError
from p2p.inputs import Now
from p2p.netutil import Endpoint, IPAddress, Netlist, OwnNetworks
from p2p.sim.address import SIMULATED
from p2p.sim.operation import COMMAND_LIMIT_S, Operation
from p2p.sim.router import Router

if TYPE_CHECKING:
    from p2p.sim.network import Network

class SimNode:
    """A node of a :class:`~p2p.sim.Network`, which makes it: see ``Network.add``.

    ``engine`` is None while the node is stopped. ``store`` is its node database.
    """

    def __init__(
        self,
        network: Network,
        name: str,
        private_key: PrivateKey,
        address: Endpoint,
        *,
        tcp: int,
        bootnodes: Sequence[Node],
        router: Router | None,
        store: NodeStore | None,
        net_restrict: Netlist | None,
        own_networks: Netlist,
        ping_version: int,
        limits: Limits | None,
        topics: bool,
    ) -> None:
        self.name = name
        self.private_key = private_key
        self.id = NodeID.from_public_key(private_key.public_key)
        self.address = address
        self.router = router
        self.tcp = tcp
        self.bootnodes = tuple(bootnodes)
        self.store: NodeStore = store or NodeMemory()
        self._engine: EngineV4 | EngineV5 | None = None
        #: Counters of each run of the node, the last run last.
        self.run_counters: list[Counters] = []
        #: Called with each change of the table, if set.
        self.on_table_change: Callable[[NodeAdded | NodeRemoved], object] | None = None
        self._network = network
        self._net_restrict = net_restrict
        self._own = OwnNetworks(own_networks, SIMULATED)
        self._ping_version = ping_version
        self._limits = limits
        self._topics = topics
        self._clock_ahead_s = 0.0
        self._wake_at = math.inf
        self._operations: dict[int, Operation] = {}
        self._local = LocalRecord(private_key)
        self._local.set_fallback_ip(address.ip)
        self._local.set_fallback_udp(address.port)
        self._local.set("tcp", tcp)
        if topics:
            self._local.set(TOPICS_ENTRY, TOPICS_VERSION)
        self._searches = 0

    # state

    @property
    def node(self) -> Node:
        """The node with its outer endpoint, for a list of bootnodes; with its record in v5."""
        ip, udp = self.address
        if self.router is not None:
            ip, udp = self.router.outside(self.address, self._network.time) or (self.router.ip, udp)
        if self._network.protocol == "v5":
            return Node.from_record(self._local.record).with_endpoint(ip, self.tcp, udp)
        return Node.from_parts(self.private_key.public_key, ip, self.tcp, udp)

    @property
    def public_ip(self) -> IPAddress:
        """Source IP address of its datagrams, as others see it."""
        return self.address[0] if self.router is None else self.router.ip

    @property
    def is_running(self) -> bool:
        """Whether the node is running."""
        return self._engine is not None

    @property
    def now(self) -> Now:
        """Current time on its two clocks."""
        time = self._network.time
        return Now(time, self._network.start_unix + time + self._clock_ahead_s)

    @property
    def counters(self) -> Counters:
        """Counters of its engine since it was last started."""
        return self.run_counters[-1]

    def table(self) -> TableView:
        """Return its table; ``str()`` formats it. Raises ServerStateError while stopped."""
        return view_of(self._running().table, self.now)

    def known(self) -> list[Node]:
        """Return the nodes in its table. Raises ServerStateError while stopped."""
        return self._running().table.nodes()

    def knows(self, other: SimNode) -> bool:
        """Whether another node is in its table. Raises ServerStateError while stopped."""
        return other.id in self._running().table

    # start and stop

    def start(self) -> None:
        """Start the node; does nothing if it is running."""
        if self._engine is not None:
            return
        seed = f"{self._network.seed} {self.name} {len(self.run_counters)}"
        source = random.Random(seed)
        shared: dict[str, Any] = {
            "bootnodes": self.bootnodes,
            "net_restrict": self._net_restrict,
            "own_networks": self._own,
            "entropy": source.randbytes,
            "random": source,
            "now": self.now,
            "limits": self._limits,
        }
        if self._network.protocol == "v5":
            self._engine = self._make_v5(shared)
        else:
            self._engine = self._make_v4(shared)
        self.run_counters.append(self._engine.counters)
        self._network.attach(self.name, self.address, self._receive, self.router)
        self._trace("starts")
        self._after_input()

    def stop(self) -> None:
        """Stop the node as by a power cut: no packet is sent. Does nothing if it is stopped.

        Operations that are under way end with Closed.
        """
        if self._engine is None:
            return
        self._engine = None
        self._wake_at = math.inf
        self._network.detach(self.address)
        operations, self._operations = self._operations, {}
        for operation in operations.values():
            operation.end(None, Closed("the node was stopped"))
        self._trace("stops")

    def restart(
        self, *, keep_store: bool = True, bootnodes: Sequence[Node] | None = None
    ) -> None:
        """Stop the node if it runs, and start it again, with or without its node database.

        ``bootnodes`` replaces its bootnodes; None keeps them.
        """
        self.stop()
        if not keep_store:
            self.store = NodeMemory()
        if bootnodes is not None:
            self.bootnodes = tuple(bootnodes)
        self.start()

    def jump_clock(self, seconds: float) -> None:
        """Set its wall clock forward by ``seconds``, or back, but not its monotonic clock."""
        self._clock_ahead_s += seconds
        self._trace(f"sets its clock by {seconds:+.0f} s")

    # commands

    def begin_ping(self, other: SimNode | Node) -> Operation:
        """Ping a node. The result is the sequence number of its record, None if it gives none."""
        return self._begin(lambda operations: operations.ping(_node(other), self.now))

    def begin_lookup(self, target: bytes | None = None) -> Operation:
        """Look up the nodes nearest to a target, 64 bytes; None for a random one.

        The result is the list of nodes.
        """
        if target is None:
            return self._begin(lambda operations: operations.random_lookup(self.now))
        goal = Target.of_key(target)
        return self._begin(lambda operations: operations.lookup(goal, self.now))

    def begin_resolve(self, other: SimNode | Node) -> Operation:
        """Find the current endpoint of a node. The result is the node, from its own record."""
        return self._begin(lambda operations: operations.resolve(_node(other), self.now))

    def begin_request_enr(self, other: SimNode | Node) -> Operation:
        """Ask a node for its record. The result is the node."""
        return self._begin(lambda operations: operations.request_enr(_node(other), self.now))

    def begin_find_node(
        self, other: SimNode | Node, target: bytes | Sequence[int]
    ) -> Operation:
        """Ask a node for others that it knows. The result is a list of nodes.

        ``target`` is 64 bytes, for the nodes next to it; or, in a network of v5, distances from
        ``other``. Raises ServerStateError for distances in a network of v4.
        """
        if isinstance(target, bytes):
            goal = Target.of_key(target)
            return self._begin(lambda each: each.find_near(_node(other), goal, self.now))
        operations = self._running_v5().operations
        assert isinstance(operations, OperationsV5)
        return self._begin(lambda _: operations.find_node(_node(other), target, self.now))

    def ping(self, other: SimNode | Node, limit: float = COMMAND_LIMIT_S) -> int | None:
        """Run :meth:`begin_ping` to its end, at most ``limit`` simulated seconds.

        Raises the error of the operation, and Timeout at the limit.
        """
        seq: int | None = self.begin_ping(other).wait(limit)
        return seq

    def lookup(self, target: bytes | None = None, limit: float = COMMAND_LIMIT_S) -> list[Node]:
        """Run :meth:`begin_lookup` to its end. Raises Timeout after ``limit`` seconds."""
        found: list[Node] = self.begin_lookup(target).wait(limit)
        return found

    def resolve(self, other: SimNode | Node, limit: float = COMMAND_LIMIT_S) -> Node:
        """Run :meth:`begin_resolve` to its end. Raises as :meth:`ping` does."""
        found: Node = self.begin_resolve(other).wait(limit)
        return found

    def request_enr(self, other: SimNode | Node, limit: float = COMMAND_LIMIT_S) -> Node:
        """Run :meth:`begin_request_enr` to its end. Raises as :meth:`ping` does."""
        found: Node = self.begin_request_enr(other).wait(limit)
        return found

    def __repr__(self) -> str:
        state = "" if self.is_running else ", stopped"
        return f"SimNode({self.name}, {self.id.short}… at {self.address[0]}{state})"

    # topics

    def advertise(self, topic: bytes) -> None:
        """Begin to advertise a topic, 32 bytes. Raises ServerStateError if topics are off."""
        self._running_v5().advertise(topic, self.now)
        self._after_input()

    def withdraw(self, topic: bytes) -> None:
        """Advertise a topic no more; its ads expire."""
        self._running_v5().withdraw(topic, self.now)

    def registrars(self, topic: bytes) -> list[Node]:
        """Return the nodes that have its ad of a topic, as far as it knows."""
        return self._running_v5().topics.registrars(topic, self.now)

    @property
    def registrar(self) -> Registrar:
        """Its registrar, with the ads of others. Raises ServerStateError if topics are off."""
        return self._running_v5().topics.registrar

    def answer_topics(self, answer: AnswerTopic) -> None:
        """Have requests of others about topics answered by ``answer``, until it is restarted."""
        self._running_v5().answer_topic = answer

    def new_search(self) -> int:
        """Return the number of a new search for :meth:`begin_find`."""
        self._searches += 1
        return self._searches

    def begin_find(self, topic: bytes, search: int) -> Operation:
        """Go on with a search. The result is a list of nodes, empty at the end of a pass."""
        operations = self._running_v5().operations
        assert isinstance(operations, OperationsV5)
        return self._begin(lambda _: operations.find_topic(topic, search, self.now))

    # private

    def _make_v4(self, shared: dict[str, Any]) -> EngineV4:
        wire = self._network.wire
        return EngineV4(
            self.private_key,
            self._local,
            self.store,
            ping_version=self._ping_version,
            encode=wire.encode,
            decode=wire.decode,
            **shared,
        )

    def _make_v5(self, shared: dict[str, Any]) -> EngineV5:
        return EngineV5(self.private_key, self._local, self.store, topics=self._topics, **shared)

    def _running_v5(self) -> EngineV5:
        engine = self._running()
        if not isinstance(engine, EngineV5):
            raise ServerStateError("this network speaks discovery v4, which does not have this")
        return engine

    def _running(self) -> EngineV4 | EngineV5:
        if self._engine is None:
            raise ServerStateError(f"{self.name} is stopped")
        return self._engine

    def _begin(self, start: Callable[[Operations], int]) -> Operation:
        number = start(self._running().operations)
        operation = self._operations[number] = Operation(self._network)
        self._after_input()
        return operation

    def _receive(self, data: bytes, source: Endpoint) -> None:
        if self._engine is not None:
            self._engine.receive_datagram(data, source, self.now)
            self._after_input()

    def _on_timer(self) -> None:
        engine, now = self._engine, self.now
        if engine is None or now.monotonic < self._wake_at:
            return  # the deadline has moved, or the timer belongs to an earlier run
        self._wake_at = math.inf
        if now.monotonic >= engine.deadline:
            engine.handle_timeout(now)
        self._after_input()

    def _after_input(self) -> None:
        engine, network = self._engine, self._network
        assert engine is not None
        for data, to in engine.datagrams_to_send():
            network.send(self.address, to, data)
        for event in engine.poll_events():
            self._handle(event)
        deadline = engine.deadline
        # A timer that is too early costs one call; moving it each time would cost more.
        if deadline < self._wake_at:
            self._wake_at = max(deadline, network.time)
            network.at(self._wake_at, self._on_timer)

    def _handle(self, event: Event) -> None:
        trace = self._network.trace
        if trace is not None:
            trace.event(self._network.time, self.name, event, self._network.name_of_id)
        if isinstance(event, OperationDone):
            operation = self._operations.pop(event.operation, None)
            if operation is not None:
                operation.end(event.result, event.error)
        elif isinstance(event, (NodeAdded, NodeRemoved)) and self.on_table_change is not None:
            self.on_table_change(event)

    def _trace(self, what: str) -> None:
        if self._network.trace is not None:
            self._network.trace.happened(self._network.time, self.name, what)


def key_of(seed: int, name: str) -> PrivateKey:
    """Return the key of the node of that name in a network of that seed."""
    digest = keccak256(f"simulated node {name} of network {seed}".encode())
    return PrivateKey.generate(lambda size: digest[:size])


def _node(other: SimNode | Node) -> Node:
    return other.node if isinstance(other, SimNode) else other
