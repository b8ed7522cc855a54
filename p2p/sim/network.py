"""A network of discovery nodes in memory.

:class:`Network` is what a program makes: it adds nodes, lets time pass, and knows the truth that
the nodes have to find out, such as who is nearest to a target. What lies between the nodes is in
:mod:`p2p.sim.fabric`, their life in :mod:`p2p.sim.node`. All chance comes from ``seed``: the same
program sees the same network, datagram by datagram. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from heapq import nsmallest
from typing import Protocol

from p2p.crypto import PrivateKey, keccak256
from p2p.discover import v4wire
from p2p.discover.limits import Limits
from p2p.discover.store import NodeStore
from p2p.discover.v4wire import Packet, Received
from p2p.enode.node import Node
from p2p.errors import ConfigError
from p2p.netutil import IPAddress, Netlist
from p2p.sim.address import PlainIP, inside_ip, outside_ip
from p2p.sim.fabric import Fabric
from p2p.sim.link import Link
from p2p.sim.node import SimNode, key_of
from p2p.sim.router import Router, RouterKind
from p2p.sim.trace import Trace, Write
from p2p.sim.wire import UnsignedWire

#: UDP and TCP port of nodes, unless another is asked for.
PORT = 30303
#: Wall-clock time when the simulated time is 0, in seconds since 1970.
START_UNIX = 1_700_000_000.0


class Wire(Protocol):
    """How packets become datagrams."""

    def encode(self, private_key: PrivateKey, packet: Packet, /) -> tuple[bytes, bytes]:
        """The datagram, and its hash."""

    def decode(self, datagram: bytes, /) -> Received:
        """The packet in a datagram. Raises PacketError."""


class SignedWire:
    """The wire format of discovery v4."""

    encode = staticmethod(v4wire.encode)
    decode = staticmethod(v4wire.decode)


class Network(Fabric):
    """Nodes, the ways between them, and the time.

    ``latency``, in seconds, is one number or the shortest and longest time of a way; ``loss``,
    ``duplication`` and ``reordering`` are probabilities; see :class:`~p2p.sim.Link`. ``signed``
    False makes packets without signatures, which is a few times faster (:mod:`p2p.sim.wire`).
    Raises ValueError for a quality that no way has.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        latency: float | tuple[float, float] = (0.02, 0.2),
        loss: float = 0.0,
        duplication: float = 0.0,
        reordering: float = 0.0,
        signed: bool = True,
        start_unix: float = START_UNIX,
    ) -> None:
        span = latency if isinstance(latency, tuple) else (latency, latency)
        super().__init__(seed, Link(span, loss, duplication, reordering))
        self.seed = seed
        self.start_unix = start_unix
        self.wire: Wire = SignedWire() if signed else UnsignedWire()
        #: All nodes, in the order in which they were added, stopped ones included.
        self.nodes: list[SimNode] = []
        self._by_id: dict[bytes, SimNode] = {}

    # Who is on it.

    def add(
        self,
        name: str | None = None,
        *,
        ip: IPAddress | str | None = None,
        port: int = PORT,
        tcp: int = PORT,
        bootnodes: Iterable[SimNode | Node] = (),
        router: Router | None = None,
        private_key: PrivateKey | None = None,
        store: NodeStore | None = None,
        net_restrict: Netlist | None = None,
        ping_version: int = 4,
        limits: Limits | None = None,
        start: bool = True,
    ) -> SimNode:
        """Add a node, and switch it on unless ``start`` is False.

        Without a ``name`` it is called n1, n2, and so on; its key follows from name and seed,
        unless one is given. Without ``ip`` it has a network (/24) of its own. With ``router`` it
        sits behind that, and ``ip`` is its inner address. Raises ConfigError if name or address
        are taken.
        """
        number = len(self.nodes) + 1
        name = name or f"n{number}"
        if ip is None:
            ip = outside_ip(number) if router is None else inside_ip(number)
        address = (PlainIP.of(ip), port)
        if any(node.name == name or node.address == address for node in self.nodes):
            raise ConfigError(f"there is a node {name}, or one at {ip}:{port}, already")
        node = SimNode(
            self,
            name,
            private_key or key_of(self.seed, name),
            address,
            tcp=tcp,
            bootnodes=[other.node if isinstance(other, SimNode) else other for other in bootnodes],
            router=router,
            store=store,
            net_restrict=net_restrict,
            ping_version=ping_version,
            limits=limits,
        )
        self.nodes.append(node)
        self._by_id[node.id] = node
        if start:
            node.start()
        return node

    def add_router(
        self,
        ip: IPAddress | str,
        kind: RouterKind = RouterKind.FULL_CONE,
        idle_s: float = 120.0,
    ) -> Router:
        """Add a router that nodes may be added behind. Raises ConfigError if ``ip`` has one."""
        router = Router(PlainIP.of(ip), kind, idle_s)
        if self._routers.setdefault(router.ip, router) is not router:
            raise ConfigError(f"there is a router at {ip} already")
        return router

    @property
    def running(self) -> list[SimNode]:
        """The nodes that are switched on."""
        return [node for node in self.nodes if node.is_running]

    def node(self, name: str) -> SimNode:
        """The node of that name. Raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def name_of_id(self, node_id: bytes) -> str:
        """The name of the node with that ID; of a stranger the first bytes of the ID."""
        node = self._by_id.get(node_id)
        return node_id[:8].hex() if node is None else node.name

    # What is true.

    def closest(
        self, target: bytes, count: int = 16, but: SimNode | None = None
    ) -> list[SimNode]:
        """The running nodes nearest to a target of 64 bytes, nearest first, without ``but``."""
        aim = int.from_bytes(keccak256(target), "big")
        others = (node for node in self.nodes if node.is_running and node is not but)
        return nsmallest(count, others, key=lambda node: int.from_bytes(node.id, "big") ^ aim)

    # What befalls it.

    def set_way(self, a: SimNode, b: SimNode, **changes: object) -> Link:
        """Make the way between two nodes better or worse; ``changes`` are fields of Link.

        Raises TypeError and ValueError for what Link does not take.
        """
        return self.set_link(a.public_ip, b.public_ip, **changes)

    def partition(self, *sides: Iterable[SimNode]) -> None:
        """Build walls between groups of nodes; all nodes in none of them are a group, too."""
        self.split([{node.public_ip for node in side} for side in sides])

    def heal(self) -> None:
        """Take the walls down."""
        self.split(())

    def jump_clocks(self, seconds: float) -> None:
        """Set the wall clocks of all nodes forward, or back."""
        for node in self.nodes:
            node.jump_clock(seconds)

    # Telling.

    def start_trace(self, write: Write, nodes: Collection[str | SimNode] | None = None) -> None:
        """Write a line for all that happens from now on, or what happens to some nodes.

        ``write`` gets each line, without its end: ``print``, or ``lines.append``.
        """
        names = None
        if nodes is not None:
            names = {node if isinstance(node, str) else node.name for node in nodes}
        self.trace = Trace(write, names, self.name_of, self.wire.decode)

    def stop_trace(self) -> None:
        """Write no more."""
        self.trace = None
