"""The shortlist of a lookup: the nodes nearest to a target, among those named so far.

Pure; it sends nothing. Its owner queries the nodes that :meth:`Shortlist.next_queries` returns,
three at a time, and reports the outcome of each query (discovery v4, "Recursive Lookup"). A node
counts when it has answered; one that does not is no longer considered, and another address of it is
tried if an answer names one. The lookup is over when the sixteen nearest nodes have all answered.

The work that a remote can cause is bounded: nodes to keep, nodes to query, and keys to parse
(only those of queried nodes). Of each network of the Internet only the few nearest nodes are
considered. Otherwise an attacker with thousands of identities in one network could be the whole
result of a lookup.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable

from p2p.crypto import PublicKey
from p2p.discover.table.bucket import BUCKET_IP_LIMIT, BUCKET_SIZE
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.errors import InvalidKey
from p2p.netutil import LAN, IPAddress, Network, OwnNetworks, network_of

#: Nodes queried at a time.
ALPHA = 3
#: Nodes in the result of a lookup.
RESULT_SIZE = BUCKET_SIZE

#: Most nodes kept, nearest first. More than a result has, since some of them will be dead.
MAX_ENTRIES = 128
#: Nodes considered of each /24 network, as many as in a bucket; our own networks have no limit.
NETWORK_LIMIT = BUCKET_IP_LIMIT
#: Nodes queried before a lookup ends, even if the next ones claim to be nearer.
MAX_QUERIES = 160


class LookupEntry:
    """A node named in an answer by its public ``key`` (64 bytes), or a known ``node``.

    The key is checked when :meth:`node` is called.
    """

    __slots__ = ("_node", "answered", "asked", "id", "ip", "key", "network", "number", "tcp", "udp")

    def __init__(
        self,
        node_id: NodeID,
        ip: IPAddress,
        udp: int,
        tcp: int,
        key: bytes,
        node: Node | None = None,
    ) -> None:
        self.id = node_id
        self.number = int.from_bytes(node_id, "big")
        self.ip = ip
        self.network: Network | None = None  # set if the network has a limit
        self.udp = udp
        self.tcp = tcp
        self.key = key
        self.asked = False
        self.answered = False
        self._node = node

    @classmethod
    def from_node(cls, node: Node) -> LookupEntry | None:
        """Return the entry of a known node; None if it has no UDP endpoint."""
        endpoint = node.udp_endpoint
        return None if endpoint is None else cls(node.id, *endpoint, node.tcp, b"", node)

    def node(self) -> Node | None:
        """Return the node; None if its key is not on the curve."""
        if self._node is None:
            try:
                public_key = PublicKey.from_bytes(self.key)
            except InvalidKey:
                return None
            self._node = Node.from_parts(public_key, self.ip, self.tcp, self.udp)
        return self._node


class Shortlist:
    """The state of one lookup for ``target_id``, 32 bytes, by the node ``self_id``.

    It starts with the nodes of ``start``; ``own`` networks have no limit.
    """

    def __init__(
        self, target_id: bytes, self_id: NodeID, start: Iterable[Node], own: OwnNetworks = LAN
    ) -> None:
        self._own = own
        self._target = int.from_bytes(target_id, "big")
        self._self_id = self_id
        self._near: list[LookupEntry] = []
        self._seen: set[NodeID] = set()
        # Of each network of the Internet the nodes in _near, nearest first.
        self._networks: dict[Network, list[LookupEntry]] = {}
        self._failed: set[tuple[NodeID, IPAddress, int]] = set()
        self._in_flight = 0
        self._queries = 0
        self.add(found for node in start if (found := LookupEntry.from_node(node)) is not None)

    def is_new(self, node_id: NodeID) -> bool:
        """Whether a node of that ID would be considered."""
        return node_id not in self._seen and node_id != self._self_id

    def add(self, entries: Iterable[LookupEntry]) -> None:
        """Add nodes, except those known already and those that failed at the same address."""
        for found in entries:
            if not self.is_new(found.id) or (found.id, found.ip, found.udp) in self._failed:
                continue
            if not self._own.contains(found.ip):
                found.network = network_of(found.ip)
                if not self._enter_network(found, found.network):
                    continue
            insort(self._near, found, key=self._distance)
            self._seen.add(found.id)
            if len(self._near) > MAX_ENTRIES:
                self._drop(self._near[-1])

    def next_queries(self) -> list[LookupEntry]:
        """Return the nodes to query now; report each by `answered` or `failed`."""
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

    def answered(self, found: LookupEntry) -> None:
        """Note that a node has answered, with any content."""
        found.answered = True
        self._in_flight -= 1

    def failed(self, found: LookupEntry) -> None:
        """Note that a node has not answered, or has no valid key."""
        self._in_flight -= 1
        self._failed.add((found.id, found.ip, found.udp))
        if found in self._near:
            self._drop(found)

    @property
    def finished(self) -> bool:
        """Whether no query is under way and no node is left to query."""
        if self._in_flight:
            return False
        if self._queries >= MAX_QUERIES:
            return True
        return all(found.asked for found in self._near[:RESULT_SIZE])

    def result(self) -> list[Node]:
        """Return the nearest nodes that have answered, at most sixteen, nearest first."""
        nodes = (found.node() for found in self._near if found.answered)
        return [node for node in nodes if node is not None][:RESULT_SIZE]

    def _enter_network(self, found: LookupEntry, network: Network) -> bool:
        """Add a node to its network, in place of a farther one if that is full.

        Return whether it was added.
        """
        members = self._networks.setdefault(network, [])
        if len(members) >= NETWORK_LIMIT:
            if self._distance(found) > self._distance(members[-1]):
                return False
            self._drop(members[-1])
            members = self._networks.setdefault(network, [])
        insort(members, found, key=self._distance)
        return True

    def _drop(self, found: LookupEntry) -> None:
        self._near.remove(found)
        self._seen.discard(found.id)
        if found.network is not None:
            members = self._networks[found.network]
            members.remove(found)
            if not members:
                del self._networks[found.network]

    def _distance(self, found: LookupEntry) -> int:
        return found.number ^ self._target
