"""What is known about other nodes, and which part of it the database file does not have yet.

Two kinds of facts. A *node* is the latest of its records, or its key and address. A *contact* is
what passed between us and one address of a node: when it last pinged us, when it last answered a
ping of ours, and how many of our findnode requests it has failed since. A contact that has answered
is *proven*; the others are *strangers*: anybody can be one with a forged sender address, so they
stay in memory and are never written.

All of it is bounded. When a limit is reached the oldest goes: the node whose record came the
longest ago, the proven contact with the oldest pong, the stranger with the oldest ping.

Plain data: no lock, no file, no clock; its owner is :class:`p2p.enode.nodedb.NodeDB`. Times are
wall-clock seconds, which may jump.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from p2p.enode.dbtables import MAX_NODES, MAX_PROVEN, Batch, Contact, ContactKey, NodeRow
from p2p.enode.node import Node
from p2p.enr import IPAddress
from p2p.randomsource import RandomSource

#: Contacts that have not, at most; about 400 bytes each.
MAX_STRANGERS = 10_000
#: Changes that may wait for the file. When it cannot be written for so long that there are more, it
#: is later written anew as a whole. (More than a whole file has, or that would never end.)
MAX_CHANGES = 2 * (MAX_NODES + MAX_PROVEN)

#: A contact is forgotten when it was not heard of for so long (discv4, "Endpoint Proof": twice the
#: time a proof is good for, as go-ethereum has it).
EXPIRATION_S = 24 * 3600.0

#: Seeds that may lie in one network, /24 or /64: as many as a bucket takes. Else somebody with one
#: network and many keys could fill our first steps after a restart.
MAX_SEEDS_PER_NETWORK = 2

K = TypeVar("K")


class NodeMemory:
    """Nodes and contacts, and the changes that the file does not have.

    ``tracks_changes`` is False where there is no file.
    """

    def __init__(self, tracks_changes: bool) -> None:
        self._tracks_changes = tracks_changes
        # each with the one that goes next in front
        self._nodes: OrderedDict[bytes, Node | NodeRow] = OrderedDict()
        self._proven: OrderedDict[ContactKey, Contact] = OrderedDict()
        self._strangers: OrderedDict[ContactKey, Contact] = OrderedDict()
        self._addresses: dict[bytes, set[IPAddress]] = {}
        # nodes that came since the last clean-up
        self._fresh: set[bytes] = set()
        # what the file does not have
        self._clear = False
        self._changed_nodes: dict[bytes, None] = {}
        self._changed_contacts: dict[ContactKey, None] = {}

    def load(
        self, nodes: Iterable[NodeRow], contacts: Iterable[tuple[ContactKey, Contact]]
    ) -> None:
        """Take what the file has, the oldest first."""
        for row in nodes:
            self._nodes[row.id] = row
        for key, contact in contacts:
            self._proven[key] = contact
            self._addresses.setdefault(key[0], set()).add(key[1])
        self._enforce_limits()

    # Contacts.

    def contact(self, node_id: bytes, ip: IPAddress) -> Contact:
        """What passed between us and the node at ``ip``."""
        key = (node_id, ip)
        return self._proven.get(key) or self._strangers.get(key) or _NEVER

    def set_last_ping(self, node_id: bytes, ip: IPAddress, unix: float) -> None:
        """The node has pinged us from ``ip``."""
        self._put((node_id, ip), self.contact(node_id, ip)._replace(last_ping=unix))

    def set_last_pong(self, node_id: bytes, ip: IPAddress, unix: float) -> None:
        """The node has answered our ping from ``ip``; 0 takes its proof away."""
        self._put((node_id, ip), self.contact(node_id, ip)._replace(last_pong=unix))
        if unix:
            self._proven.move_to_end((node_id, ip))

    def set_find_fails(self, node_id: bytes, ip: IPAddress, count: int) -> None:
        """So many of our findnode requests have failed."""
        self._put((node_id, ip), self.contact(node_id, ip)._replace(find_fails=count))

    # Nodes.

    def node(self, node_id: bytes) -> Node | None:
        """The node, as it was last told of."""
        known = self._nodes.get(node_id)
        if not isinstance(known, NodeRow):
            return known
        node = known.to_node()
        if node is None:
            self.delete_node(node_id)
        else:
            self._nodes[node_id] = node
        return node

    def update_node(self, node: Node) -> None:
        """Remember a node, unless a later record of it is known."""
        known = self._nodes.get(node.id)
        if known is not None and known.seq > node.seq:
            return
        self._fresh.add(node.id)
        self._nodes[node.id] = node
        self._nodes.move_to_end(node.id)
        if known != node:
            self._note_node(node.id)
        self._enforce_limits()

    def delete_node(self, node_id: bytes) -> None:
        """Forget a node and its contacts."""
        for ip in list(self._addresses.get(node_id, ())):
            self._drop_contact((node_id, ip))
        self._drop_node(node_id)

    def nodes_count(self) -> int:
        """How many nodes are known."""
        return len(self._nodes)

    def contacts_count(self) -> int:
        """How many contacts are known, of both kinds."""
        return len(self._proven) + len(self._strangers)

    def seeds(
        self, count: int, max_age_s: float, now_unix: float, random: RandomSource
    ) -> list[Node]:
        """Nodes at random that were proven at the address they have, at most so long ago."""
        oldest = now_unix - max_age_s
        ids = [
            node_id
            for node_id, node in self._nodes.items()
            if node.ip is not None
            and (contact := self._proven.get((node_id, node.ip)))
            and contact.last_pong >= oldest
        ]
        seeds: list[Node] = []
        networks: dict[bytes, int] = {}
        for node_id in _shuffled(ids, random):
            if len(seeds) >= count:
                break
            node = self.node(node_id)
            if node is not None and node.ip is not None and _has_room(networks, node.ip):
                seeds.append(node)
        return seeds

    def expire(self, now_unix: float) -> None:
        """Forget contacts that were not heard of for 24 hours, and nodes without any.

        A time of the future, left by a clock that was wrong, becomes ``now_unix``: otherwise it
        would count as recent until then.
        """
        oldest = now_unix - EXPIRATION_S
        for contacts in (self._proven, self._strangers):
            for key, contact in list(contacts.items()):
                if (contact.last_pong or contact.last_ping) < oldest:
                    self._drop_contact(key)
                elif max(contact.last_pong, contact.last_ping) > now_unix:
                    last_ping = min(contact.last_ping, now_unix)
                    last_pong = min(contact.last_pong, now_unix)
                    self._put(key, Contact(last_ping, last_pong, contact.find_fails))
        for node_id in list(self._nodes):
            if node_id not in self._addresses and node_id not in self._fresh:
                self._drop_node(node_id)
        self._fresh.clear()

    # The file's side.

    @property
    def changes(self) -> int:
        """How many changes the file does not have."""
        return len(self._changed_nodes) + len(self._changed_contacts) + self._clear

    def take_changes(self, limit: int) -> Batch:
        """The oldest changes, at most ``limit``. Who cannot write them gives them back."""
        batch = Batch(clear=self._clear)
        self._clear = False
        for node_id in list(islice(self._changed_nodes, limit)):
            del self._changed_nodes[node_id]
            batch.nodes[node_id] = _for_file(self._nodes.get(node_id))
        for key in list(islice(self._changed_contacts, limit - len(batch.nodes))):
            del self._changed_contacts[key]
            batch.contacts[key] = self._proven.get(key)
        return batch

    def give_back(self, batch: Batch) -> None:
        """Have changes again that could not be written."""
        self._clear |= batch.clear
        for node_id in batch.nodes:
            self._note_node(node_id)
        for key in batch.contacts:
            self._note_contact(key)

    def change_all(self) -> None:
        """Have the whole file written anew."""
        self._clear = True
        self._changed_nodes = dict.fromkeys(self._nodes)
        self._changed_contacts = dict.fromkeys(self._proven)

    # Within.

    def _put(self, key: ContactKey, contact: Contact) -> None:
        was_proven = key in self._proven
        if contact.last_pong:
            self._strangers.pop(key, None)
            self._proven[key] = contact
        else:
            self._proven.pop(key, None)
            self._strangers[key] = contact
            self._strangers.move_to_end(key)
        self._addresses.setdefault(key[0], set()).add(key[1])
        if contact.last_pong or was_proven:
            self._note_contact(key)
        self._enforce_limits()

    def _enforce_limits(self) -> None:
        while len(self._proven) > MAX_PROVEN:
            self._drop_contact(next(iter(self._proven)))
        while len(self._strangers) > MAX_STRANGERS:
            self._drop_contact(next(iter(self._strangers)))
        while len(self._nodes) > MAX_NODES:
            self._drop_node(next(iter(self._nodes)))

    def _drop_contact(self, key: ContactKey) -> None:
        self._strangers.pop(key, None)
        if self._proven.pop(key, None) is not None:
            self._note_contact(key)
        addresses = self._addresses[key[0]]
        addresses.discard(key[1])
        if not addresses:
            del self._addresses[key[0]]

    def _drop_node(self, node_id: bytes) -> None:
        self._fresh.discard(node_id)
        if self._nodes.pop(node_id, None) is not None:
            self._note_node(node_id)

    def _note_node(self, node_id: bytes) -> None:
        self._note(self._changed_nodes, node_id, node_id in self._nodes)

    def _note_contact(self, key: ContactKey) -> None:
        self._note(self._changed_contacts, key, key in self._proven)

    def _note(self, changed: dict[K, None], key: K, exists: bool) -> None:
        if not self._tracks_changes:
            return
        if self._clear and not exists:
            changed.pop(key, None)  # what is not written is gone from the file
            return
        changed[key] = None
        if self.changes > MAX_CHANGES and not self._clear:
            self.change_all()


_NEVER = Contact()


def _for_file(node: Node | NodeRow | None) -> Node | NodeRow | None:
    # A node of the test scheme has no key to be stored by; it lives as long as the process.
    if isinstance(node, Node) and node.record is not None and node.record.public_key is None:
        return None
    return node


def _shuffled(ids: list[bytes], random: RandomSource) -> Iterator[bytes]:
    """The IDs in random order; costs only as much as is taken of it."""
    for taken in range(len(ids)):
        other = taken + random.randrange(len(ids) - taken)
        ids[taken], ids[other] = ids[other], ids[taken]
        yield ids[taken]


def _has_room(networks: dict[bytes, int], ip: IPAddress) -> bool:
    """Count ``ip``; False when its network has given enough. Local networks may give any number."""
    if ip.is_private or ip.is_loopback or ip.is_link_local:
        return True
    network = ip.packed[: 3 if ip.version == 4 else 8]
    networks[network] = networks.get(network, 0) + 1
    return networks[network] <= MAX_SEEDS_PER_NETWORK
