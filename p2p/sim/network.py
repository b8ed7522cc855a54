"""A network of discovery nodes in memory.

A program makes a :class:`Network`: it adds nodes, lets time pass, and has the ground truth that the
nodes have to find out, such as the nodes nearest to a target. The network between the nodes is in
:mod:`p2p.sim.datagrams`, the nodes are in :mod:`p2p.sim.node`. All randomness comes from ``seed``:
the same program gets the same network, datagram by datagram. One thread at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from heapq import nsmallest
from typing import Protocol

from p2p.arguments import wrong
from p2p.crypto import PrivateKey, keccak256
from p2p.discover.ratelimit import Limits
from p2p.discover.store import NodeStore
from p2p.discover.v4 import wire as v4wire
from p2p.discover.v4.wire import Packet, Received
from p2p.enode.distance import xor_distance
from p2p.enode.node import Node
from p2p.netutil import Endpoint, IPAddress, Netlist
from p2p.sim.address import HashedIPv4, inside_ip, outside_ip
from p2p.sim.datagrams import DatagramNetwork
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
    """The codec between packets and datagrams."""

    def encode(self, private_key: PrivateKey, packet: Packet, /) -> tuple[bytes, bytes]:
        """Return the datagram, and its hash."""

    def decode(self, datagram: bytes, /) -> Received:
        """Return the packet in a datagram. Raises PacketError."""


class SignedWire:
    """The wire format of discovery v4."""

    encode = staticmethod(v4wire.encode)
    decode = staticmethod(v4wire.decode)


class Network(DatagramNetwork):
    """Nodes, the links between them, and the time.

    ``latency``, in seconds, is one number or the shortest and longest time of a link; ``loss``,
    ``duplication`` and ``reordering`` are probabilities; see :class:`~p2p.sim.Link`.
    ``signed`` False makes packets without signatures, a few times faster (:mod:`p2p.sim.wire`).
    ``start_unix`` is the wall-clock time at the start. ``protocol`` is that of all nodes, "v4" or
    "v5". Raises ArgumentError for others.
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
        protocol: str = "v4",
    ) -> None:
        if protocol not in ("v4", "v5"):
            raise wrong("protocol", protocol, '"v4" or "v5"')
        span = latency if isinstance(latency, tuple) else (latency, latency)
        super().__init__(seed, Link(span, loss, duplication, reordering))
        self.seed = seed
        self.protocol = protocol
        self.start_unix = start_unix
        self.wire: Wire = SignedWire() if signed else UnsignedWire()
        #: All nodes, in the order in which they were added, stopped ones included.
        self.nodes: list[SimNode] = []
        self._by_id: dict[bytes, SimNode] = {}

    # nodes

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
        own_networks: Netlist | None = None,
        ping_version: int = 4,
        limits: Limits | None = None,
        topics: bool = False,
        start: bool = True,
    ) -> SimNode:
        """Add a node, and start it unless ``start`` is False.

        Without a ``name`` it is called n1, n2, and so on; its key is derived from name and seed,
        unless one is given. Without ``ip`` it has a network (/24) of its own. With ``router`` it is
        behind that, and ``ip`` is its inner address. ``topics`` turns topics on, in a network of
        v5. Raises ArgumentError if name or address are taken.
        """
        number = len(self.nodes) + 1
        name = name or f"n{number}"
        if ip is None:
            ip = outside_ip(number) if router is None else inside_ip(number)
        address = Endpoint(HashedIPv4.of(ip), port)
        if any(node.name == name or node.address == address for node in self.nodes):
            raise wrong("name, ip", f"{name} at {address}", "a name and an address not taken yet")
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
            own_networks=own_networks or Netlist(),
            ping_version=ping_version,
            limits=limits,
            topics=topics,
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
        """Add a router, to add nodes behind it. Raises ArgumentError if ``ip`` has one already.

        It closes ports that were not used for ``idle_s`` seconds.
        """
        router = Router(HashedIPv4.of(ip), kind, idle_s)
        if self._routers.setdefault(router.ip, router) is not router:
            raise wrong("ip", str(ip), "an address that no other router has")
        return router

    @property
    def running(self) -> list[SimNode]:
        """The nodes that are running."""
        return [node for node in self.nodes if node.is_running]

    def node(self, name: str) -> SimNode:
        """Return the node of that name. Raises KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def name_of_id(self, node_id: bytes) -> str:
        """Return the name of the node with that ID; if it is unknown, the first 8 bytes in hex."""
        node = self._by_id.get(node_id)
        return node_id[:8].hex() if node is None else node.name

    # ground truth

    def closest(
        self, target: bytes, count: int = 16, but: SimNode | None = None
    ) -> list[SimNode]:
        """Return the running nodes nearest to a 64-byte target, nearest first, without ``but``."""
        aim = keccak256(target)
        others = (node for node in self.nodes if node.is_running and node is not but)
        return nsmallest(count, others, key=lambda node: xor_distance(node.id, aim))

    # faults

    def set_link(self, a: SimNode, b: SimNode, **changes: object) -> Link:
        """Change the link between two nodes; ``changes`` are fields of Link.

        Raises TypeError for unknown fields and ArgumentError for values out of range.
        """
        return self.set_address_link(a.public_ip, b.public_ip, **changes)

    def partition(self, *sides: Iterable[SimNode]) -> None:
        """Partition the network into groups of nodes; all other nodes are one more group."""
        self.split([{node.public_ip for node in side} for side in sides])

    def heal(self) -> None:
        """End the partition."""
        self.split(())

    def jump_clocks(self, seconds: float) -> None:
        """Set the wall clocks of all nodes forward by ``seconds``, or back if negative."""
        for node in self.nodes:
            node.jump_clock(seconds)

    # trace

    def start_trace(self, write: Write, nodes: Collection[str | SimNode] | None = None) -> None:
        """Write a line for each event from now on; with ``nodes``, only for events of these.

        ``write`` gets each line, without its line end: ``print``, or ``lines.append``.
        """
        names = None
        if nodes is not None:
            names = {node if isinstance(node, str) else node.name for node in nodes}
        decode = self.wire.decode if self.protocol == "v4" else None
        self.trace = Trace(write, names, self.name_of, decode)

    def stop_trace(self) -> None:
        """Stop the trace."""
        self.trace = None
