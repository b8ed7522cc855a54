"""Nodes and contacts in memory, and the changes that the database file does not have yet.

A *node* is the latest record of a node, or its key and address. A *contact* is the history of one
address of a node: the time of its last ping to us, the time of its last answer to a ping of ours,
and the number of our findnode requests that it has failed since. A contact that has answered is
*proven*; the others are *unverified*: their sender address may be forged, so they stay in memory
and are never written.

All of it is bounded. When a limit is reached the oldest entry is dropped: the node whose record was
received the longest ago, the proven contact with the oldest pong, the unverified one with the
oldest ping.

Pure: no lock, no file, no clock. Its owner is :class:`p2p.enode.db.nodedb.NodeDB`, or a discovery
engine that needs no file. Times are wall-clock seconds, which may jump.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from p2p.enode.db.rows import MAX_NODES, MAX_PROVEN, Batch, Contact, ContactKey, NodeRow
from p2p.enode.node import Node
from p2p.inputs import RandomSource
from p2p.netutil import LAN, IPAddress, Network, OwnNetworks, network_of

#: Limit on contacts that have never answered a ping; about 400 bytes each.
MAX_UNVERIFIED = 10_000
#: Limit on the changes that wait for the file. If there are more, because it cannot be written, it
#: is later rewritten as a whole. (More than a whole file has, or that would never end.)
MAX_CHANGES = 2 * (MAX_NODES + MAX_PROVEN)

#: Time without a sign of life after which a contact is dropped (discv4, "Endpoint Proof": twice the
#: lifetime of a proof, as in go-ethereum).
EXPIRATION_S = 24 * 3600.0

#: Limit on the seeds of one network, /24 or /48: as many as a bucket takes. Otherwise an attacker
#: with one network and many keys could be all of our first contacts after a restart.
MAX_SEEDS_PER_NETWORK = 2

K = TypeVar("K")


class NodeMemory:
    """Nodes and contacts, and the changes that the file does not have.

    ``own`` networks have no limit for seeds; ``tracks_changes`` is True if there is a file.
    """

    def __init__(self, own: OwnNetworks = LAN, *, tracks_changes: bool = False) -> None:
        self._tracks_changes = tracks_changes
        self._own = own
        # each in the order of dropping, the next first
        self._nodes: OrderedDict[bytes, Node | NodeRow] = OrderedDict()
        self._proven: OrderedDict[ContactKey, Contact] = OrderedDict()
        self._unverified: OrderedDict[ContactKey, Contact] = OrderedDict()
        self._addresses: dict[bytes, set[IPAddress]] = {}
        # nodes added since the last clean-up
        self._fresh: set[bytes] = set()
        # changes that the file does not have
        self._clear = False
        self._changed_nodes: dict[bytes, None] = {}
        self._changed_contacts: dict[ContactKey, None] = {}

    def load(
        self, nodes: Iterable[NodeRow], contacts: Iterable[tuple[ContactKey, Contact]]
    ) -> None:
        """Add the content of the file, the oldest first."""
        for row in nodes:
            self._nodes[row.id] = row
        for key, contact in contacts:
            self._proven[key] = contact
            self._addresses.setdefault(key[0], set()).add(key[1])
        self._enforce_limits()

    # contacts

    def last_ping_received(self, node_id: bytes, ip: IPAddress) -> float:
        """Return the time at which the node last pinged us from ``ip``; 0.0 for never."""
        return self._contact(node_id, ip).last_ping

    def set_last_ping_received(self, node_id: bytes, ip: IPAddress, unix: float) -> None:
        """Record the time at which the node last pinged us from ``ip``."""
        self._put((node_id, ip), self._contact(node_id, ip)._replace(last_ping=unix))

    def last_pong_received(self, node_id: bytes, ip: IPAddress) -> float:
        """Return the time at which the node last answered our ping from ``ip``; 0.0 for never."""
        return self._contact(node_id, ip).last_pong

    def set_last_pong_received(self, node_id: bytes, ip: IPAddress, unix: float) -> None:
        """Record the time at which the node last answered our ping from ``ip``.

        0 removes its proof.
        """
        self._put((node_id, ip), self._contact(node_id, ip)._replace(last_pong=unix))
        if unix:
            self._proven.move_to_end((node_id, ip))

    def find_fails(self, node_id: bytes, ip: IPAddress) -> int:
        """Return the number of findnode requests the node at ``ip`` has failed; 0 if unknown."""
        return self._contact(node_id, ip).find_fails

    def set_find_fails(self, node_id: bytes, ip: IPAddress, count: int) -> None:
        """Set the number of findnode requests that the node at ``ip`` has failed."""
        self._put((node_id, ip), self._contact(node_id, ip)._replace(find_fails=count))

    # nodes

    def node(self, node_id: bytes) -> Node | None:
        """Return the last known state of the node, None if it is not known."""
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
        """Add or replace a node, unless a later record of it is known."""
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
        """Delete a node and its contacts."""
        for ip in list(self._addresses.get(node_id, ())):
            self._drop_contact((node_id, ip))
        self._drop_node(node_id)

    @property
    def nodes_count(self) -> int:
        """Number of nodes."""
        return len(self._nodes)

    @property
    def contacts_count(self) -> int:
        """Number of contacts, that is addresses of nodes."""
        return len(self._proven) + len(self._unverified)

    def query_seeds(
        self, count: int, max_age_s: float, now_unix: float, random: RandomSource
    ) -> list[Node]:
        """Return at most ``count`` nodes, in random order.

        Each has answered a ping, at its present address, in the last ``max_age_s`` seconds; at most
        two are of one network (/24, /48), except for the ``own`` ones.
        """
        oldest = now_unix - max_age_s
        ids = [
            node_id
            for node_id, node in self._nodes.items()
            if node.ip is not None
            and (contact := self._proven.get((node_id, node.ip)))
            and contact.last_pong >= oldest
        ]
        seeds: list[Node] = []
        networks: Counter[Network] = Counter()
        for node_id in _shuffled(ids, random):
            if len(seeds) >= count:
                break
            node = self.node(node_id)
            if node is not None and node.ip is not None and self._has_room(networks, node.ip):
                seeds.append(node)
        return seeds

    def expire(self, now_unix: float) -> None:
        """Delete contacts without a sign of life for 24 hours, and nodes without contacts.

        A time in the future, left by a clock that was wrong, becomes ``now_unix``: otherwise it
        would count as recent until then. Nodes added since the last call are kept.
        """
        oldest = now_unix - EXPIRATION_S
        for contacts in (self._proven, self._unverified):
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

    # changes for the file

    @property
    def changes(self) -> int:
        """Number of changes that the file does not have."""
        return len(self._changed_nodes) + len(self._changed_contacts) + self._clear

    def take_changes(self, limit: int) -> Batch:
        """Remove and return the oldest changes, at most ``limit``.

        If they cannot be written, :meth:`give_back` restores them.
        """
        batch = Batch(clear=self._clear)
        self._clear = False
        for node_id in list(islice(self._changed_nodes, limit)):
            del self._changed_nodes[node_id]
            batch.nodes[node_id] = self._nodes.get(node_id)
        for key in list(islice(self._changed_contacts, limit - len(batch.nodes))):
            del self._changed_contacts[key]
            batch.contacts[key] = self._proven.get(key)
        return batch

    def give_back(self, batch: Batch) -> None:
        """Restore changes that could not be written."""
        self._clear |= batch.clear
        for node_id in batch.nodes:
            self._note_node(node_id)
        for key in batch.contacts:
            self._note_contact(key)

    def change_all(self) -> None:
        """Mark everything as changed, so that the whole file is rewritten."""
        self._clear = True
        self._changed_nodes = dict.fromkeys(self._nodes)
        self._changed_contacts = dict.fromkeys(self._proven)

    # private

    def _contact(self, node_id: bytes, ip: IPAddress) -> Contact:
        key = (node_id, ip)
        return self._proven.get(key) or self._unverified.get(key) or _NEVER

    def _has_room(self, networks: Counter[Network], ip: IPAddress) -> bool:
        """Count ``ip``. Returns False when its network is full; own networks have no limit."""
        if self._own.contains(ip):
            return True
        network = network_of(ip)
        networks[network] += 1
        return networks[network] <= MAX_SEEDS_PER_NETWORK

    def _put(self, key: ContactKey, contact: Contact) -> None:
        was_proven = key in self._proven
        if contact.last_pong:
            self._unverified.pop(key, None)
            self._proven[key] = contact
        else:
            self._proven.pop(key, None)
            self._unverified[key] = contact
            self._unverified.move_to_end(key)
        self._addresses.setdefault(key[0], set()).add(key[1])
        if contact.last_pong or was_proven:
            self._note_contact(key)
        self._enforce_limits()

    def _enforce_limits(self) -> None:
        while len(self._proven) > MAX_PROVEN:
            self._drop_contact(next(iter(self._proven)))
        while len(self._unverified) > MAX_UNVERIFIED:
            self._drop_contact(next(iter(self._unverified)))
        while len(self._nodes) > MAX_NODES:
            self._drop_node(next(iter(self._nodes)))

    def _drop_contact(self, key: ContactKey) -> None:
        self._unverified.pop(key, None)
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
            changed.pop(key, None)  # the file will be cleared, so there is nothing to delete
            return
        changed[key] = None
        if self.changes > MAX_CHANGES and not self._clear:
            self.change_all()


_NEVER = Contact()


def _shuffled(ids: list[bytes], random: RandomSource) -> Iterator[bytes]:
    """Yield the IDs in random order; the work is proportional to the number taken."""
    for taken in range(len(ids)):
        other = taken + random.randrange(len(ids) - taken)
        ids[taken], ids[other] = ids[other], ids[taken]
        yield ids[taken]
