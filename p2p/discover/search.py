"""A lookup under way: the queries it makes, and what becomes of the answers.

Pure. A :class:`Search` asks the nodes that its :class:`Lookup` names through the exchange, checks
the neighbors they tell of, offers them to the table, and keeps count of who fails to answer:
after five failures in a row a node loses its place, unless its bucket is nearly empty, so that a
small network does not fall apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeAlias

from p2p.crypto import keccak256
from p2p.discover.bond import MAX_FIND_FAILS
from p2p.discover.bucket import BUCKET_SIZE
from p2p.discover.exchange import Exchange
from p2p.discover.lookup import MAX_CANDIDATES, Candidate, Lookup
from p2p.discover.now import Now
from p2p.discover.store import NodeStore
from p2p.discover.table import Table
from p2p.discover.v4wire import NeighborNode
from p2p.enode.ids import NodeID
from p2p.enode.node import Node
from p2p.netutil import IPAddress, Netlist, check_relay_addr

#: UDP ports up to this one are not believed: no node listens there, other services do.
MAX_LOW_PORT = 1024

#: A bucket with fewer nodes keeps those that fail.
MIN_BUCKET_TO_DROP = BUCKET_SIZE // 4

#: Why an address told by another is not to be used; the same ones come up over and over.
relay_problem = lru_cache(maxsize=4096)(check_relay_addr)

SearchDone: TypeAlias = Callable[[list[Node], Now], None]


@dataclass(frozen=True, slots=True)
class Searcher:
    """What searches share."""

    exchange: Exchange
    table: Table
    store: NodeStore
    net_restrict: Netlist | None

    def search(self, target: bytes, done: SearchDone, now: Now) -> Search:
        """Look for the nodes nearest to a target, 64 bytes; ``done`` gets those that answer."""
        search = Search(self, target, done)
        search.proceed(now)
        return search

    def allows(self, ip: IPAddress) -> bool:
        """Whether ``net_restrict`` lets us talk to that address."""
        return self.net_restrict is None or self.net_restrict.contains(ip)


class Search:
    """One lookup. Nothing but :meth:`cancel` is left to call once it has been made."""

    def __init__(self, searcher: Searcher, target: bytes, done: SearchDone) -> None:
        self._on = searcher
        self._target = target
        self._done: SearchDone | None = done
        table = searcher.table
        target_id = keccak256(target)
        # Sixteen would do if all of them were alive.
        start = table.closest(target_id, MAX_CANDIDATES)
        self._lookup = Lookup(target_id, table.self_id, start)

    def cancel(self) -> None:
        """Ask nobody else, and tell nobody."""
        self._done = None

    def proceed(self, now: Now) -> None:
        """Ask whom there is to ask, and end when there is nobody."""
        while self._done is not None and (chosen := self._lookup.next_queries()):
            for candidate in chosen:
                self._ask(candidate, now)
        if self._done is not None and self._lookup.finished:
            done, self._done = self._done, None
            done(self._lookup.result(), now)

    def _ask(self, candidate: Candidate, now: Now) -> None:
        if candidate.node() is None:
            self._lookup.failed(candidate)
            return
        to = candidate.ip, candidate.udp
        done = partial(self._answered, candidate)
        self._on.exchange.find_node(candidate.id, to, self._target, done, now)

    def _answered(
        self, candidate: Candidate, neighbors: Sequence[NeighborNode] | None, now: Now
    ) -> None:
        self._track(candidate, bool(neighbors), now)
        if neighbors is None:
            self._lookup.failed(candidate)
        else:
            self._lookup.answered(candidate)
            self._lookup.add(list(self._usable(candidate.ip, neighbors, now)))
        self.proceed(now)

    def _track(self, candidate: Candidate, success: bool, now: Now) -> None:
        store, table = self._on.store, self._on.table
        fails = store.find_fails(candidate.id, candidate.ip)
        if success:
            if fails:
                store.set_find_fails(candidate.id, candidate.ip, 0)
            return
        store.set_find_fails(candidate.id, candidate.ip, fails + 1)
        known = table.get(candidate.id)
        if known is None or known.ip != candidate.ip or fails + 1 < MAX_FIND_FAILS:
            return
        if table.bucket_size(candidate.id) >= MIN_BUCKET_TO_DROP:
            table.remove(candidate.id, now.monotonic)

    def _usable(
        self, sender_ip: IPAddress, neighbors: Sequence[NeighborNode], now: Now
    ) -> Iterator[Candidate]:
        """Those we may talk to and do not know from this lookup; the table hears of them too.

        What the table has proved of a node counts more than what others say of it.
        """
        for told in neighbors:
            node_id = NodeID(keccak256(told.public_key))
            if not self._lookup.is_new(node_id):
                continue
            entry = self._on.table.entry(node_id)
            if entry is not None and entry.live:
                known = Candidate.from_node(entry.node)
                if known is not None:
                    yield known
                    continue
            found = self._check(sender_ip, node_id, told)
            if found is not None:
                self._offer(found, now)
                yield found

    def _check(self, sender_ip: IPAddress, node_id: NodeID, told: NeighborNode) -> Candidate | None:
        ip = told.ip
        if ip is None or told.udp <= MAX_LOW_PORT or not self._on.allows(ip):
            return None
        if relay_problem(sender_ip, ip) is not None:
            return None
        return Candidate.from_neighbor(node_id, ip, told)

    def _offer(self, found: Candidate, now: Now) -> None:
        if self._on.table.has_room(found.id):
            node = found.node()
            if node is not None:
                self._on.table.add_found(node, now.monotonic)
