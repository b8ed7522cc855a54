"""One node of a simulated network: an engine with an address, a life and a clock of its own.

A :class:`SimNode` runs its engine as the service's thread does, but on the network's time. It may
be stopped at any moment, as by a power cut, and restarted with the memory of what it knew or
without. Its commands come in two forms: ``begin_lookup`` starts one and returns an
:class:`~p2p.sim.Operation`, ``lookup`` also lets simulated time pass until it has ended.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from p2p.crypto import PrivateKey, keccak256
from p2p.discover.engine import Engine
from p2p.discover.event import Counters, Event, NodeAdded, NodeRemoved, OperationDone
from p2p.discover.limits import Limits
from p2p.discover.local import FixedLocal, LocalView
from p2p.discover.now import Now
from p2p.discover.store import MemoryStore, NodeStore
from p2p.discover.v4wire import Endpoint
from p2p.discover.view import TableView
from p2p.enode.ids import NodeID
from p2p.enode.node import Node
from p2p.errors import ServerStateError, ServerStopped
from p2p.netutil import IPAddress, Netlist
from p2p.sim.local import LearningLocal
from p2p.sim.operation import COMMAND_LIMIT_S, Operation
from p2p.sim.router import Address, Router

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
        address: Address,
        *,
        tcp: int,
        bootnodes: Sequence[Node],
        router: Router | None,
        store: NodeStore | None,
        net_restrict: Netlist | None,
        ping_version: int,
        limits: Limits | None,
    ) -> None:
        self.name = name
        self.private_key = private_key
        self.id = NodeID.from_public_key(private_key.public_key)
        self.address = address
        self.router = router
        self.tcp = tcp
        self.bootnodes = tuple(bootnodes)
        self.store: NodeStore = store or MemoryStore()
        self.engine: Engine | None = None
        #: Counters of all engines that the node has had, the present one last.
        self.lives: list[Counters] = []
        #: Is told of each change of the table, if set.
        self.on_table_change: Callable[[NodeAdded | NodeRemoved], object] | None = None
        self._network = network
        self._net_restrict = net_restrict
        self._ping_version = ping_version
        self._limits = limits
        self._clock_ahead_s = 0.0
        self._wake_at = math.inf
        self._operations: dict[int, Operation] = {}
        here = Endpoint(*address, tcp)
        self.local: LocalView
        if router is None:
            self.local = FixedLocal(private_key, here)
        else:
            self.local = LearningLocal(private_key, here)

    # What it is.

    @property
    def node(self) -> Node:
        """The node as others know it, for a list of bootnodes."""
        ip, udp = self.address
        if self.router is not None:
            ip, udp = self.router.outside(self.address, self._network.time) or (self.router.ip, udp)
        return Node.from_parts(self.private_key.public_key, ip, self.tcp, udp)

    @property
    def public_ip(self) -> IPAddress:
        """Where its datagrams seem to come from."""
        return self.address[0] if self.router is None else self.router.ip

    @property
    def is_running(self) -> bool:
        """Whether it is switched on."""
        return self.engine is not None

    @property
    def now(self) -> Now:
        """What its two clocks show."""
        time = self._network.time
        return Now(time, self._network.start_unix + time + self._clock_ahead_s)

    @property
    def counters(self) -> Counters:
        """What its engine has counted since it was last started."""
        return self.lives[-1]

    def table(self) -> TableView:
        """Its table now; ``str()`` of it is a text. Raises ServerStateError while stopped."""
        return TableView.of(self._running().table, self.now)

    def known(self) -> list[Node]:
        """The nodes in its table."""
        return self._running().table.nodes()

    def knows(self, other: SimNode) -> bool:
        """Whether another node is in its table."""
        return other.id in self._running().table

    # Its life.

    def start(self) -> None:
        """Switch it on. Harmless when it is on."""
        if self.engine is not None:
            return
        seed = f"{self._network.seed} {self.name} {len(self.lives)}"
        chance = random.Random(seed)
        wire = self._network.wire
        self.engine = Engine(
            self.private_key,
            self.local,
            self.store,
            bootnodes=self.bootnodes,
            net_restrict=self._net_restrict,
            ping_version=self._ping_version,
            entropy=chance.randbytes,
            random=chance,
            now=self.now,
            limits=self._limits,
            encode=wire.encode,
            decode=wire.decode,
        )
        self.lives.append(self.engine.counters)
        self._network.attach(self.name, self.address, self._receive, self.router)
        self._tell("starts")
        self._after_input()

    def stop(self) -> None:
        """Switch it off, as by a power cut: nobody is told. Harmless when it is off.

        Operations that were under way end with ServerStopped.
        """
        if self.engine is None:
            return
        self.engine = None
        self._wake_at = math.inf
        self._network.detach(self.address)
        operations, self._operations = self._operations, {}
        for operation in operations.values():
            operation.end(None, ServerStopped("the node was stopped"))
        self._tell("stops")

    def restart(
        self, *, keep_store: bool = True, bootnodes: Sequence[Node] | None = None
    ) -> None:
        """Stop it if it runs, and start it again, with its memory or without.

        ``bootnodes`` takes the place of those that it has; None keeps them.
        """
        self.stop()
        if not keep_store:
            self.store = MemoryStore()
        if bootnodes is not None:
            self.bootnodes = tuple(bootnodes)
        self.start()

    def jump_clock(self, seconds: float) -> None:
        """Set its wall clock forward, or back. Its monotonic clock goes on."""
        self._clock_ahead_s += seconds
        self._tell(f"sets its clock by {seconds:+.0f} s")

    # Commands.

    def begin_ping(self, other: SimNode | Node) -> Operation:
        """Ping a node; comes to the sequence number of its record."""
        return self._begin(lambda engine: engine.start_ping(_node(other), self.now))

    def begin_lookup(self, target: bytes | None = None) -> Operation:
        """Look up the nodes nearest to a target, 64 bytes; None for a random one."""
        if target is None:
            return self._begin(lambda engine: engine.start_random_lookup(self.now))
        return self._begin(lambda engine: engine.start_lookup(target, self.now))

    def begin_resolve(self, other: SimNode | Node) -> Operation:
        """Find out where a node is; comes to the node."""
        return self._begin(lambda engine: engine.start_resolve(_node(other), self.now))

    def begin_request_enr(self, other: SimNode | Node) -> Operation:
        """Ask a node for its record; comes to the node."""
        return self._begin(lambda engine: engine.start_request_enr(_node(other), self.now))

    def ping(self, other: SimNode | Node, limit: float = COMMAND_LIMIT_S) -> int | None:
        """As :meth:`begin_ping`; lets time pass. Raises its error, and RemoteTimeout."""
        seq: int | None = self.begin_ping(other).wait(limit)
        return seq

    def lookup(self, target: bytes | None = None, limit: float = COMMAND_LIMIT_S) -> list[Node]:
        """As :meth:`begin_lookup`; lets time pass. Raises RemoteTimeout."""
        found: list[Node] = self.begin_lookup(target).wait(limit)
        return found

    def resolve(self, other: SimNode | Node, limit: float = COMMAND_LIMIT_S) -> Node:
        """As :meth:`begin_resolve`; lets time pass. Raises its error, and RemoteTimeout."""
        found: Node = self.begin_resolve(other).wait(limit)
        return found

    def request_enr(self, other: SimNode | Node, limit: float = COMMAND_LIMIT_S) -> Node:
        """As :meth:`begin_request_enr`; lets time pass. Raises its error, and RemoteTimeout."""
        found: Node = self.begin_request_enr(other).wait(limit)
        return found

    def __repr__(self) -> str:
        state = "" if self.is_running else ", stopped"
        return f"SimNode({self.name}, {self.id.short}… at {self.address[0]}{state})"

    # How it runs.

    def _running(self) -> Engine:
        if self.engine is None:
            raise ServerStateError(f"{self.name} is stopped")
        return self.engine

    def _begin(self, start: Callable[[Engine], int]) -> Operation:
        number = start(self._running())
        operation = self._operations[number] = Operation(self._network)
        self._after_input()
        return operation

    def _receive(self, data: bytes, source: Address) -> None:
        if self.engine is not None:
            self.engine.receive_datagram(data, source, self.now)
            self._after_input()

    def _on_timer(self) -> None:
        engine, now = self.engine, self.now
        if engine is None or now.monotonic < self._wake_at:
            return  # it was moved, or belongs to an earlier life
        self._wake_at = math.inf
        if now.monotonic >= engine.deadline:
            engine.handle_timeout(now)
        self._after_input()

    def _after_input(self) -> None:
        engine, network = self.engine, self._network
        assert engine is not None
        for data, to in engine.datagrams_to_send():
            network.send(self.address, to, data)
        for event in engine.poll_events():
            self._handle(event)
        deadline = engine.deadline
        # A timer that is too early costs one look; moving it each time would cost more.
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

    def _tell(self, what: str) -> None:
        if self._network.trace is not None:
            self._network.trace.happened(self._network.time, self.name, what)


def key_of(seed: int, name: str) -> PrivateKey:
    """The key of the node of that name in a network of that seed."""
    digest = keccak256(f"simulated node {name} of network {seed}".encode())
    return PrivateKey.generate(lambda size: digest[:size])


def _node(other: SimNode | Node) -> Node:
    return other.node if isinstance(other, SimNode) else other
