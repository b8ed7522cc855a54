"""The nodes of a lab: their names, keys and addresses, and the start and stop of their servers.

Any thread; a node is started and stopped by one thread at a time, under its lock.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from p2p.arguments import check_type, wrong
from p2p.crypto import PrivateKey
from p2p.discover.runner import Restored
from p2p.enode import Node
from p2p.errors import ServerStateError
from p2p.lab.edges import Edges
from p2p.lab.network import LabNetwork
from p2p.lab.node import LabNode, key_of
from p2p.lab.reports import Reports
from p2p.lab.searches import Searches
from p2p.lab.settings import Settings
from p2p.lab.snapshot import SnapshotNode
from p2p.lab.watch import Watch
from p2p.optionchecks import check_name, observers_of
from p2p.server import Server
from p2p.sim.address import SIMULATED

if TYPE_CHECKING:
    from p2p.lab.lab import Lab

#: Limit on the stop of a node.
STOP_TIMEOUT_S = 5.0
#: Least ``max_peers`` of a node, unless it is given.
MAX_PEERS = 50
#: Network of the nodes in memory, unless ``own_networks`` is given: a node may dial another one
#: again at once, as on a LAN.
OWN_NETWORKS = str(SIMULATED)
#: TCP and UDP port of all nodes, each of which has an address of its own.
PORT = 30303

#: A node, its index or its name.
NodeKey = LabNode | int | str


class Nodes:
    """The nodes of ``lab``, by index, by name and by ID."""

    def __init__(
        self, lab: Lab, settings: Settings, reports: Reports, network: LabNetwork
    ) -> None:
        # fixed after __init__
        self._lab = lab
        self._settings = settings
        self._reports = reports
        self._network = network
        self.edges = Edges(reports, self.name_of)
        self._searches = Searches(settings.clock)
        # guarded by _lock for writing; read without it: replaced, never changed
        self._lock = threading.Lock()
        self._nodes: dict[int, LabNode] = {}
        self._by_name: dict[str, LabNode] = {}
        self._by_id: dict[bytes, LabNode] = {}
        # guarded by _lock
        self._next_index = 0
        # set once
        self._closed = False

    @property
    def all(self) -> list[LabNode]:
        """All nodes, by index."""
        return list(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def name_of(self, index: int) -> str:
        """Return the name of a node, which may have been removed meanwhile."""
        node = self._nodes.get(index)
        return f"node {index}" if node is None else node.name

    def find(self, key: NodeKey) -> LabNode:
        """Return a node by its index, its name or itself. Raises ArgumentError if there is none."""
        check_type("node", key, (LabNode, int, str), "a node, its index or its name")
        if isinstance(key, str):
            found = self._by_name.get(key)
        else:
            found = self._nodes.get(key if isinstance(key, int) else key.index)
        if found is None or (isinstance(key, LabNode) and found is not key):
            raise wrong("node", key, "a node of this lab")
        return found

    def named(self, name: str) -> LabNode | None:
        """Return the node with this name, if there is one."""
        return self._by_name.get(name)

    def with_id(self, node_id: bytes) -> LabNode | None:
        """Return the node with this ID, if there is one."""
        return self._by_id.get(node_id)

    def add(self, count: int) -> list[LabNode]:
        """Add nodes with the next names."""
        first = self._next_index
        named = [(index, f"n{index}") for index in range(first, first + count)]
        return self._insert([self._new(index, name, None) for index, name in named])

    def add_one(self, name: str | None, private_key: PrivateKey | None) -> LabNode:
        """Add a node. Raises ArgumentError if name or key are taken."""
        check_type("name", name, (str, type(None)), "text or None")
        check_type("private_key", private_key, (PrivateKey, type(None)), "a PrivateKey or None")
        index = self._next_index
        named = f"n{index}" if name is None else name
        (node,) = self._insert([self._new(index, named, private_key)])
        return node

    def restore(self, nodes: Sequence[SnapshotNode]) -> None:
        """Add the nodes of a snapshot, with their indexes, to a lab without nodes."""
        restored = []
        for state in nodes:
            node = self._new(state.index, state.name, state.private_key, state.ip)
            node._known, node._starts = state.known, state.running
            restored.append(node)
        self._insert(restored)

    def states(self) -> tuple[SnapshotNode, ...]:
        """Return all nodes for a snapshot."""
        return tuple(map(_state_of, self._nodes.values()))

    def remove(self, node: LabNode) -> None:
        """Remove a stopped node."""
        with self._lock:
            kept = [other for other in self._nodes.values() if other is not node]
            self._replace_locked(kept)

    def _new(
        self, index: int, name: str, private_key: PrivateKey | None, ip: str | None = None
    ) -> LabNode:
        check_name(name)
        key = private_key or key_of(self._settings.seed, name)
        return LabNode(self._lab, index, name, key, self._network.host(ip))

    def _insert(self, added: list[LabNode]) -> list[LabNode]:
        with self._lock:
            for node in added:
                if node.name in self._by_name or node.id in self._by_id:
                    raise wrong("name, private_key", node.name, "a name and a key not taken yet")
            self._next_index = max([self._next_index, *(node.index + 1 for node in added)])
            self._replace_locked([*self._nodes.values(), *added])
        return added

    def _replace_locked(self, nodes: Sequence[LabNode]) -> None:
        self._nodes = {node.index: node for node in nodes}
        self._by_name = {node.name: node for node in nodes}
        self._by_id = {node.id: node for node in nodes}

    # start and stop

    def close(self) -> None:
        """Let no further node be started."""
        self._closed = True

    def start(self, node: LabNode) -> None:
        """Start a server for the node, unless it runs. Raises ServerStateError once closed."""
        with node._lock:
            if node._is_running:
                return
            if self._closed:
                raise ServerStateError("the lab is stopped")
            server = Server(**self._options(node))
            server._parts.restored = self._restored(node)
            latest, node._server = node._server, server
            try:
                server.start()
            except BaseException:
                node._server = latest
                raise
            node._is_running = True
        for discovery in filter(None, (server.discovery_v4, server.discovery_v5)):
            self._searches.add(discovery._runner)
        self._reports.report("started", node=node.name)

    def stop(self, node: LabNode) -> list[str]:
        """Stop the node's server, if it runs. Returns the names of threads that have not ended."""
        with node._lock:
            server = node._server
            if server is None or not node._is_running:
                return []
            node._is_running = False
            node._known = _known_to(server)
            left = server.stop(STOP_TIMEOUT_S)
        self._reports.report("stopped", node=node.name)
        return left

    def _options(self, node: LabNode) -> dict[str, Any]:
        settings = self._settings
        given = settings.options_of(node)
        watch = Watch(node, self.with_id, self.edges, self._reports, settings.message_events)
        observers = [*observers_of(given.pop("observer", None)), watch]
        return {
            "max_peers": max(MAX_PEERS, 2 * len(self._nodes)),
            "bootstrap_nodes": self._bootnodes(node),
            "own_networks": OWN_NETWORKS,
            **given,
            "private_key": node.private_key,
            "name": node.name,
            "listen_addr": f":{PORT}",
            "underlay": node._host,
            "clock": settings.clock,
            "no_discovery": not settings.discovery,
            "protocols": settings.protocols_of(node),
            "observer": observers,
        }

    @property
    def has_bootnode(self) -> bool:
        """Whether the first node must be started before the others."""
        return self._settings.discovery

    def _bootnodes(self, node: LabNode) -> list[Node]:
        first = self.all[0]
        is_known = self._settings.discovery and first is not node and first._server is not None
        return [first.node] if is_known else []

    def _restored(self, node: LabNode) -> Restored:
        """Return what discovery begins with: the nodes that the node knew when it was stopped."""
        known = [other for other in node._known if self._answers(other)]
        return Restored(known, self._searches.over)

    def _answers(self, node: Node) -> bool:
        """Whether a node runs, or is started with the lab, if it is one of the lab."""
        known = self._by_id.get(node.id)
        return known is None or known._is_running or known._starts


def _known_to(server: Server) -> tuple[Node, ...]:
    """Return the nodes of the discovery tables, each once, by its latest record."""
    known: dict[bytes, Node] = {}
    for discovery in (server.discovery_v4, server.discovery_v5):
        for node in () if discovery is None else discovery.nodes():
            if node.id not in known or known[node.id].seq < node.seq:
                known[node.id] = node
    return tuple(known.values())


def _state_of(node: LabNode) -> SnapshotNode:
    with node._lock:
        server, is_running = node._server, node._is_running
        known = _known_to(server) if server is not None and is_running else node._known
        ip = str(node._host.ip)
        return SnapshotNode(node.index, node.name, node.private_key, ip, is_running, known)
