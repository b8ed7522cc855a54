"""A lookup under way: its queries, and the use of the answers.

Pure. A :class:`Lookup` queries the nodes that its :class:`Shortlist` chooses, through the
:class:`Transport` of its :class:`Overlay`. It checks the neighbors in the answers, offers them to
the table, and counts failures: after five in a row a node loses its place, unless its bucket is
nearly empty, so that a small network keeps its nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import count
from typing import TypeAlias

from p2p.discover.observer import DiscoveryObserver
from p2p.discover.shortlist import MAX_ENTRIES, LookupEntry, Shortlist
from p2p.discover.store import NodeStore
from p2p.discover.table.bucket import BUCKET_SIZE
from p2p.discover.table.table import Table
from p2p.discover.transport import Neighbor, Target, Transport
from p2p.enode.node import Node
from p2p.errors import P2PError
from p2p.inputs import Now
from p2p.netutil import LAN, IPAddress, Netlist, OwnNetworks, check_relay_addr, is_loopback

#: UDP ports up to this one are refused: other services listen there, not nodes.
MAX_LOW_PORT = 1024

#: Failures in a row after which a node loses its place in the table.
MAX_FIND_FAILS = 5
#: A bucket with fewer nodes keeps those that fail.
MIN_BUCKET_TO_DROP = BUCKET_SIZE // 4

#: The reason not to use an address named by another node; cached, since addresses repeat.
relay_problem = lru_cache(maxsize=4096)(check_relay_addr)

LookupDone: TypeAlias = Callable[[list[Node], Now], None]


@dataclass(frozen=True, slots=True)
class Overlay:
    """The network of one engine: the nodes it knows, and the transport to query them.

    ``net_restrict`` has the allowed addresses (None: all), ``own`` the networks without limits,
    ``ip_version`` is that of the socket (None: both).
    """

    transport: Transport
    table: Table
    store: NodeStore
    net_restrict: Netlist | None = None
    own: OwnNetworks = LAN
    ip_version: int | None = None
    observer: DiscoveryObserver | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def look_up(self, target: Target, done: LookupDone, now: Now) -> Lookup:
        """Begin a lookup of the nodes nearest to ``target``; ``done`` gets those that answer."""
        lookup = Lookup(self, target, done, next(self._numbers))
        lookup.proceed(now)
        return lookup

    def allows(self, ip: IPAddress) -> bool:
        """Whether ``net_restrict`` allows the address."""
        return self.net_restrict is None or self.net_restrict.contains(ip)

    def reaches(self, ip: IPAddress) -> bool:
        """Whether the socket can send to the address, and ``net_restrict`` allows it."""
        return self.ip_version in (None, ip.version) and self.allows(ip)

    def at_first_endpoint(self, node: Node) -> Node:
        """Return ``node`` at the first endpoint to ask it at; as it is, if there is none."""
        if node.ip is None or (node.udp and self.reaches(node.ip)):
            return node  # nearly all
        return self.at_each_endpoint(node)[0]

    def at_each_endpoint(self, node: Node) -> list[Node]:
        """Return ``node`` at each endpoint to ask it at, in order; as it is, if there is none.

        A loopback address beside another one is left out: it is the node's own guess.
        """
        nodes = []
        for ip, udp, tcp in node.endpoints:
            if ip is None or not udp or not self.reaches(ip):
                continue
            if not is_loopback(ip) or node.ip is None or is_loopback(node.ip):
                nodes.append(node if ip == node.ip else node.with_endpoint(ip, tcp, udp))
        return nodes or [node.within(self.net_restrict)]

    def at_other_endpoint(self, node: Node) -> Node | None:
        """Return ``node`` at its endpoint of the other IP version, if it may be asked there."""
        for ip, udp, tcp in node.endpoints[1:]:
            if ip is None or node.ip is None or udp <= MAX_LOW_PORT or not self.reaches(ip):
                continue
            if relay_problem(node.ip, ip, self.own) is None:
                return node.with_endpoint(ip, tcp, udp)
        return None


class Lookup:
    """One lookup for ``target``; ``done`` gets the result. ``number`` names it to the observer.

    :meth:`proceed` starts it; after that, its owner may only :meth:`cancel` it.
    """

    def __init__(
        self, overlay: Overlay, target: Target, done: LookupDone, number: int = 0
    ) -> None:
        self._overlay = overlay
        self._observer = overlay.observer
        self._number = number
        self._target = target
        self._done: LookupDone | None = done
        table = overlay.table
        # Sixteen would be enough if all of them were alive.
        start = table.closest(target.id, MAX_ENTRIES)
        self._shortlist = Shortlist(target.id, table.self_id, start, overlay.own)

    def cancel(self) -> None:
        """Send no more queries, and do not call ``done``."""
        if self._done is not None and self._observer is not None:
            self._observer.lookup_ended(self._number, ())
        self._done = None

    def proceed(self, now: Now) -> None:
        """Send the queries that are next; end the lookup if there are none left."""
        while self._done is not None and (chosen := self._shortlist.next_queries()):
            for entry in chosen:
                self._ask(entry, now)
        if self._done is not None and self._shortlist.finished:
            done, self._done = self._done, None
            found = self._shortlist.result()
            if self._observer is not None:
                self._observer.lookup_ended(self._number, found)
            done(found, now)

    def _ask(self, entry: LookupEntry, now: Now) -> None:
        node = entry.node()
        if node is None:
            self._shortlist.failed(entry)
        else:
            if self._observer is not None:
                self._observer.lookup_asked(self._number, self._target.id, node)
            done = partial(self._answered, entry)
            self._overlay.transport.find_nodes(node, self._target, done, now)

    def _answered(
        self,
        entry: LookupEntry,
        neighbors: Sequence[Neighbor] | None,
        error: P2PError | None,
        now: Now,
    ) -> None:
        self._track(entry, bool(neighbors), now)
        if self._observer is not None:
            named = None if neighbors is None else [neighbor.id for neighbor in neighbors]
            self._observer.lookup_answered(self._number, entry.id, named)
        if neighbors is None:
            self._shortlist.failed(entry)
        else:
            self._shortlist.answered(entry)
            self._shortlist.add(list(self._usable(entry.ip, neighbors, now)))
        self.proceed(now)

    def _track(self, entry: LookupEntry, success: bool, now: Now) -> None:
        store, table = self._overlay.store, self._overlay.table
        fails = store.find_fails(entry.id, entry.ip)
        if success:
            if fails:
                store.set_find_fails(entry.id, entry.ip, 0)
            return
        store.set_find_fails(entry.id, entry.ip, fails + 1)
        known = table.get(entry.id)
        if known is None or known.ip != entry.ip or fails + 1 < MAX_FIND_FAILS:
            return
        if table.bucket_size(entry.id) >= MIN_BUCKET_TO_DROP:
            table.remove(entry.id, now.monotonic)

    def _usable(
        self, sender_ip: IPAddress, neighbors: Sequence[Neighbor], now: Now
    ) -> Iterator[LookupEntry]:
        """Yield the neighbors that are allowed and new to this lookup; offer them to the table.

        For a node that is alive in the table, the table's endpoint is used, not the neighbor's.
        """
        for neighbor in neighbors:
            if not self._shortlist.is_new(neighbor.id):
                continue
            in_table = self._overlay.table.entry(neighbor.id)
            if in_table is not None and in_table.live:
                known = LookupEntry.from_node(in_table.node)
                if known is not None:
                    yield known
                    continue
            found = self._check(sender_ip, neighbor)
            if found is not None:
                self._offer(found, now)
                yield found

    def _check(self, sender_ip: IPAddress, neighbor: Neighbor) -> LookupEntry | None:
        ip, udp, tcp, node = neighbor.ip, neighbor.udp, neighbor.tcp, neighbor.node
        if node is not None:
            node = self._overlay.at_first_endpoint(node)
            ip, udp, tcp = node.ip, node.udp, node.tcp
        if ip is None or udp <= MAX_LOW_PORT or not self._overlay.allows(ip):
            return None
        if relay_problem(sender_ip, ip, self._overlay.own) is not None:
            return None
        return LookupEntry(neighbor.id, ip, udp, tcp, neighbor.key, node)

    def _offer(self, found: LookupEntry, now: Now) -> None:
        if self._overlay.table.has_room(found.id):
            node = found.node()
            if node is not None:
                self._overlay.table.add_found(node, now.monotonic)
