"""Engines: the contract between a discovery protocol and its driver, and what all protocols share.

Pure. An engine is a machine. Datagrams, time and commands go in; datagrams, events and a deadline
come out. It never waits and reads no clock: ``now`` is an argument of each input, and its monotonic
part never decreases. One thread at a time uses an engine, in this order:

1. An input: :meth:`Engine.receive_datagram`, :meth:`Engine.handle_timeout`, or a command of
   ``operations``. The first call of ``handle_timeout`` is due at once; it starts the first refresh.
2. Send everything that :meth:`Engine.datagrams_to_send` returns, in order.
3. Handle everything that :meth:`Engine.poll_events` returns, in order. A handler may give commands;
   they are inputs, after which steps 2 and 3 are repeated.
4. Read :attr:`Engine.deadline`, and call ``handle_timeout`` when the clock reaches it. It moves
   with each input. A call before the deadline is harmless.

Several inputs may precede step 2, for example all datagrams that were received together. ``table``
and ``counters`` may be read between any two steps. An engine is not closed: its owner drops it.

An engine with an observer (:mod:`p2p.discover.observer`) reports its inputs and outputs to it.

Engines share a socket. Each datagram is passed to them in turn, until one accepts it; put the
engine with the strictest check first. The drivers are :class:`p2p.discover.runner.Runner` for real
time and :class:`p2p.sim.SimNode` for simulated time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from p2p.crypto import Entropy, PublicKey
from p2p.discover.bootnodes import Bootnodes
from p2p.discover.event import Event, NameWanted
from p2p.discover.lookup import Overlay
from p2p.discover.maintenance import PING_TRIES, Maintenance
from p2p.discover.observer import DiscoveryObserver
from p2p.discover.operations import Operations
from p2p.discover.store import NodeStore
from p2p.discover.table.table import Table
from p2p.discover.timers import Timers
from p2p.discover.traffic import Traffic
from p2p.discover.transport import Target, Transport
from p2p.discover.wallclock import WallClock
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now, RandomSource
from p2p.netutil import LAN, Endpoint, IPAddress, Netlist, OwnNetworks

#: Largest datagram of discovery, in bytes: any network that carries IPv6
#: passes it unfragmented.
MAX_DATAGRAM_SIZE = 1280


class Engine(ABC):
    """One node of a discovery network; the module docstring has the order of calls.

    What all protocols share: table, timers, traffic and commands. A protocol derives from it, makes
    its transport, calls :meth:`_use` with it, and sets :attr:`operations` on construction.
    ``bootnodes`` are the first nodes to ask, ``watched`` those that are reported when silent or
    left out, ``net_restrict`` the allowed addresses (None: all), ``ip_version`` that of the socket
    (None: both). ``observer`` is called for each step.
    """

    #: The commands. Each returns a number; an ``OperationDone`` with that number follows.
    operations: Operations
    _overlay: Overlay
    _maintenance: Maintenance

    def __init__(
        self,
        node_id: NodeID,
        random: RandomSource,
        now: Now,
        *,
        own_networks: OwnNetworks = LAN,
        net_restrict: Netlist | None = None,
        ip_version: int | None = None,
        bootnodes: Sequence[Node] = (),
        watched: Sequence[Node] = (),
        observer: DiscoveryObserver | None = None,
    ) -> None:
        self.id = node_id
        #: The table of known nodes.
        self.table = Table(node_id, random, own_networks, observer)
        self._observer = observer
        self._random = random
        self._reach = net_restrict, own_networks, ip_version
        self._clock = WallClock(now)
        self._timers = Timers()
        self._traffic = Traffic(now, observer)
        #: The traffic counters since the start.
        self.counters = self._traffic.counters
        allows = _any_address if net_restrict is None else net_restrict.contains
        self._bootnodes = Bootnodes(bootnodes, watched, allows, now, ip_version)
        self._names_wanted: list[NameWanted] = []

    def _use(
        self,
        transport: Transport,
        public_key: PublicKey,
        store: NodeStore,
        entropy: Entropy,
        now: Now,
        ping_tries: int = PING_TRIES,
    ) -> None:
        """Make the parts that ask nodes by ``transport``; the last call of a construction."""
        self._overlay = Overlay(transport, self.table, store, *self._reach, self._observer)
        self._maintenance = Maintenance(
            self._overlay,
            self._timers,
            self._clock,
            self._bootnodes,
            entropy,
            self._random,
            Target.of_key(public_key.to_bytes()),
            now,
            ping_tries,
        )

    # Input.

    @abstractmethod
    def receive_datagram(self, data: bytes, addr: Endpoint, now: Now, /) -> bool:
        """Handle a datagram from ``addr``. Never raises for its content.

        Returns whether it is a packet of this protocol. If it returns False, only a counter has
        changed: the datagram may belong to another engine.
        """

    def handle_timeout(self, now: Now, /) -> None:
        """Run what is due. Harmless before the deadline."""
        if self._observer is not None:
            self._observer.command("handle_timeout", now)
        self._timers.run_due(now)
        if self._maintenance.deadline <= now.monotonic:
            self._maintenance.revalidate(now)
        if self._bootnodes.deadline <= now.monotonic:
            self._names_wanted += map(NameWanted, self._bootnodes.poll_due(now))

    def receive_addresses(self, name: str, ips: Sequence[IPAddress], now: Now) -> None:
        """Use the addresses of a name for which there was a ``NameWanted``."""
        if self._observer is not None:
            self._observer.command("receive_addresses", name, ips, now)
        for moved in self._bootnodes.receive_addresses(name, ips, now):
            self._maintenance.move_bootnode(moved, now)

    def receive_no_address(self, name: str, reason: str, now: Now) -> None:
        """Note that the look-up of a name failed for ``reason``."""
        if self._observer is not None:
            self._observer.command("receive_no_address", name, reason, now)
        self._bootnodes.receive_failure(name, reason, now)

    def refresh(self, now: Now) -> None:
        """Start a refresh of the table, unless one is running."""
        if self._observer is not None:
            self._observer.command("refresh", now)
        self._maintenance.refresh(now)

    def restore(self, nodes: Sequence[Node], now: Now) -> None:
        """Begin with the nodes of an earlier table, and do not refresh it at once.

        For laboratories, before the first ``handle_timeout``: a node of the Internet cannot know
        what has changed meanwhile.
        """
        if self._observer is not None:
            self._observer.command("restore", nodes, now)
        self._maintenance.restore(nodes, now)

    # Output.

    def datagrams_to_send(self) -> list[tuple[bytes, Endpoint]]:
        """The datagrams to send, in order, each with its address. Returned once."""
        return self._traffic.datagrams_to_send()

    def poll_events(self) -> list[Event]:
        """Return the events since the last call, in order."""
        events: list[Event] = [*self.table.poll_changes(), *self.operations.poll_done()]
        events += self._bootnodes.poll_reports()
        events += self._names_wanted
        self._names_wanted = []
        events += self._poll_own_events()
        events += self._traffic.poll_timeouts()
        if events and self._observer is not None:
            self._observer.events(events)
        return events

    def _poll_own_events(self) -> Sequence[Event]:
        """Return the events that only this protocol has."""
        return ()

    @property
    def deadline(self) -> float:
        """Time at which :meth:`handle_timeout` is due, in monotonic seconds."""
        return min(
            self._timers.deadline, self._maintenance.deadline, self._bootnodes.deadline
        )

    @property
    def is_initialized(self) -> bool:
        """Whether the first refresh of the table has ended."""
        return self._maintenance.is_initialized

    # For the log.

    @abstractmethod
    def kind_of(self, datagram: bytes, /) -> str | None:
        """Return the name of the packet type, without verification; None for no packet of ours."""


def _any_address(ip: IPAddress) -> bool:
    return True
