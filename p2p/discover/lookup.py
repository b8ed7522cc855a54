"""One lookup: finding the sixteen nodes nearest to a target by asking ever nearer ones.

Pure; it sends nothing. Its owner asks the nodes that :meth:`Lookup.next_queries` names, three at a
time, and reports what each of them said (discovery v4, "Recursive Lookup"). A node counts when it
has answered; one that does not is no longer considered, and another address of it is tried if
somebody names one. The lookup is over when the sixteen nearest nodes have all answered.

What a remote can make us do is bounded: nodes to remember, nodes to ask, and keys to parse, which
is done for those only that are asked. Of each network of the Internet only the few nearest nodes
are considered, or whoever makes thousands of identities at one place would be all that a lookup
finds.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable

from p2p.crypto import PublicKey
from p2p.discover.bucket import BUCKET_IP_LIMIT, BUCKET_SIZE
from p2p.discover.v4wire import NeighborNode
from p2p.enode.ids import NodeID
from p2p.enode.node import Node
from p2p.errors import InvalidKey
from p2p.netutil import IPAddress, Network, is_lan, routed_network_of

#: Nodes asked at a time.
ALPHA = 3
#: Nodes a lookup ends with.
RESULT_SIZE = BUCKET_SIZE

#: Nodes remembered, nearest first. More than a result has, since some of them will be dead.
MAX_CANDIDATES = 128
#: Nodes considered of each /24 network, as many as of a bucket; local networks excepted.
NETWORK_LIMIT = BUCKET_IP_LIMIT
#: Nodes asked before a lookup ends, however near the next ones claim to be.
MAX_QUERIES = 160


class Candidate:
    """A node that somebody named. Whether its key is one is seen when :meth:`node` is called."""

    __slots__ = ("_node", "answered", "asked", "id", "ip", "key", "network", "number", "tcp", "udp")

    def __init__(
        self, node_id: NodeID, ip: IPAddress, udp: int, tcp: int, key: bytes, node: Node | None
    ) -> None:
        self.id = node_id
        self.number = int.from_bytes(node_id, "big")
        self.ip = ip
        self.network = None if is_lan(ip) else routed_network_of(ip)
        self.udp = udp
        self.tcp = tcp
        self.key = key
        self.asked = False
        self.answered = False
        self._node = node

    @classmethod
    def from_neighbor(cls, node_id: NodeID, ip: IPAddress, told: NeighborNode) -> Candidate:
        """A node of a neighbors packet."""
        return cls(node_id, ip, told.udp, told.tcp, told.public_key, None)

    @classmethod
    def from_node(cls, node: Node) -> Candidate | None:
        """A node of the table; None if it has no endpoint."""
        endpoint = node.udp_endpoint
        return None if endpoint is None else cls(node.id, *endpoint, node.tcp, b"", node)

    def node(self) -> Node | None:
        """The node, None if its key is not on the curve."""
        if self._node is None:
            try:
                public_key = PublicKey.from_bytes(self.key)
            except InvalidKey:
                return None
            self._node = Node.from_parts(public_key, self.ip, self.tcp, self.udp)
        return self._node


class Lookup:
    """The state of one lookup for ``target_id``, 32 bytes, by the node ``self_id``."""

    def __init__(self, target_id: bytes, self_id: NodeID, start: Iterable[Node]) -> None:
        self._target = int.from_bytes(target_id, "big")
        self._self_id = self_id
        self._near: list[Candidate] = []
        self._seen: set[NodeID] = set()
        # Of each network of the Internet the nodes in _near, nearest first.
        self._networks: dict[Network, list[Candidate]] = {}
        self._failed: set[tuple[NodeID, IPAddress, int]] = set()
        self._in_flight = 0
        self._queries = 0
        self.add(found for node in start if (found := Candidate.from_node(node)) is not None)

    def is_new(self, node_id: NodeID) -> bool:
        """Whether a node of that ID would be considered."""
        return node_id not in self._seen and node_id != self._self_id

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Consider nodes; those known already, or that failed at that address, are passed over."""
        for found in candidates:
            if not self.is_new(found.id) or (found.id, found.ip, found.udp) in self._failed:
                continue
            if found.network is not None and not self._enter_network(found, found.network):
                continue
            insort(self._near, found, key=self._distance)
            self._seen.add(found.id)
            if len(self._near) > MAX_CANDIDATES:
                self._drop(self._near[-1])

    def next_queries(self) -> list[Candidate]:
        """The nodes to ask now; each has to be followed by `answered` or `failed`."""
        chosen = []
        for found in self._near[:RESULT_SIZE]:
            if self._in_flight >= ALPHA or self._queries >= MAX_QUERIES:
                break
            if not found.asked:
                found.asked = True
                self._in_flight += 1
                self._queries += 1
                chosen.append(found)
        return chosen

    def answered(self, found: Candidate) -> None:
        """A node has answered, whatever it said."""
        found.answered = True
        self._in_flight -= 1

    def failed(self, found: Candidate) -> None:
        """A node has not answered, or is none."""
        self._in_flight -= 1
        self._failed.add((found.id, found.ip, found.udp))
        if found in self._near:
            self._drop(found)

    @property
    def finished(self) -> bool:
        """Whether nobody is being asked and nobody is left to ask."""
        if self._in_flight:
            return False
        if self._queries >= MAX_QUERIES:
            return True
        return all(found.asked for found in self._near[:RESULT_SIZE])

    def result(self) -> list[Node]:
        """The nearest nodes that have answered, at most sixteen, nearest first."""
        nodes = (found.node() for found in self._near if found.answered)
        return [node for node in nodes if node is not None][:RESULT_SIZE]

    def _enter_network(self, found: Candidate, network: Network) -> bool:
        """Whether a node is among the nearest of its network; a farther one then gives way."""
        members = self._networks.setdefault(network, [])
        if len(members) >= NETWORK_LIMIT:
            if self._distance(found) > self._distance(members[-1]):
                return False
            self._drop(members[-1])
            members = self._networks.setdefault(network, [])
        insort(members, found, key=self._distance)
        return True

    def _drop(self, found: Candidate) -> None:
        self._near.remove(found)
        self._seen.discard(found.id)
        if found.network is not None:
            members = self._networks[found.network]
            members.remove(found)
            if not members:
                del self._networks[found.network]

    def _distance(self, found: Candidate) -> int:
        return found.number ^ self._target
