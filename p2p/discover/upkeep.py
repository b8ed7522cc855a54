"""Keeping the table full and alive: seeds, refresh and revalidation.

Pure. At the start, and every 15 to 30 minutes, nodes of the store and the bootnodes are offered to
the table, and lookups for ourselves and for three random targets fill it. In between, nodes of the
table are checked one by one, each with a ping and, if that is lost, another; a node that names a
newer record is asked for it. A table that has run empty is filled again after ten seconds, then
after longer and longer times.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from p2p.crypto import Entropy
from p2p.discover.agenda import Agenda, Task
from p2p.discover.bucket import Entry
from p2p.discover.exchange import TRIES, Exchange
from p2p.discover.now import Now
from p2p.discover.records import fetch_node
from p2p.discover.search import Searcher
from p2p.discover.store import NodeStore
from p2p.discover.table import Table
from p2p.discover.v4wire import Pong
from p2p.discover.wallclock import WallClock
from p2p.enode.node import Node
from p2p.errors import P2PError
from p2p.randomsource import RandomSource

#: Longest time between two refreshes; the shortest is half of it. Seconds.
REFRESH_INTERVAL_S = 30 * 60.0
#: Lookups of random targets in a refresh.
RANDOM_LOOKUPS = 3
TARGET_SIZE = 64

#: How soon an empty table is filled again, and at what the doubling ends. Seconds.
RETRY_S = 10.0
MAX_RETRY_S = 300.0

#: Nodes taken from the store, and how old they may be.
SEED_COUNT = 30
SEED_MAX_AGE_S = 5 * 24 * 3600.0
#: Answers in a row, roughly, after which a node is a seed for the next start. In a table with
#: few nodes all that live are: there is nothing to choose from.
SEED_CHECKS = 6
SMALL_TABLE = 32

#: How often the store forgets what is old, in seconds.
EXPIRE_INTERVAL_S = 3600.0


class Upkeep:
    """Owns the refresh, the revalidation and the store's clean-up of one engine."""

    def __init__(
        self,
        searcher: Searcher,
        agenda: Agenda,
        clock: WallClock,
        bootnodes: Sequence[Node],
        entropy: Entropy,
        random: RandomSource,
        own_key: bytes,
        now: Now,
    ) -> None:
        #: Whether the first refresh is over. Before, nodes that ping us get no place, so that who
        #: pings first does not decide whom we know.
        self.is_initialized = False
        self._searcher = searcher
        self._agenda = agenda
        self._clock = clock
        self._bootnodes = tuple(bootnodes)
        self._entropy = entropy
        self._random = random
        self._own_key = own_key
        self._retry_s = RETRY_S
        self._refreshing = False
        self._next_refresh_at = now.monotonic
        self._next_refresh: Task = agenda.at(now.monotonic, self.refresh)
        agenda.at(now.monotonic + EXPIRE_INTERVAL_S, self._expire_store)

    @property
    def _table(self) -> Table:
        return self._searcher.table

    @property
    def _exchange(self) -> Exchange:
        return self._searcher.exchange

    @property
    def _store(self) -> NodeStore:
        return self._searcher.store

    # Refresh.

    def refresh(self, now: Now) -> None:
        """Begin a refresh, unless one is under way."""
        self._next_refresh.cancel()
        if self._refreshing:
            return
        self._refreshing = True
        self.load_seeds(now)
        self._searcher.search(self._own_key, partial(self._searched, RANDOM_LOOKUPS), now)

    def load_seeds(self, now: Now) -> None:
        """Offer the table stored nodes and the bootnodes."""
        unix = self._clock.earliest(now)
        seeds = self._store.query_seeds(SEED_COUNT, SEED_MAX_AGE_S, unix, self._random)
        for node in (*seeds, *self._bootnodes):
            if node.udp_endpoint is not None and self._searcher.allows(node.udp_endpoint.ip):
                self._table.add_found(node, now.monotonic)

    def _searched(self, left: int, found: list[Node], now: Now) -> None:
        if left and found:
            target = self._entropy(TARGET_SIZE)
            self._searcher.search(target, partial(self._searched, left - 1), now)
            return
        self._refreshing = False
        self.is_initialized = True
        if found:
            self._retry_s = RETRY_S
            half = REFRESH_INTERVAL_S / 2
            self._refresh_in(half + self._random.random() * half, now)
        else:
            self._refresh_in(self._retry_s, now)
            self._retry_s = min(2 * self._retry_s, MAX_RETRY_S)

    def _refresh_in(self, seconds: float, now: Now) -> None:
        self._next_refresh.cancel()
        self._next_refresh_at = now.monotonic + seconds
        self._next_refresh = self._agenda.at(self._next_refresh_at, self.refresh)

    def _expire_store(self, now: Now) -> None:
        # While it is open what the time is, nothing is forgotten: the store has its limits.
        if self._clock.settle(now):
            self._store.expire(now.unix)
        self._agenda.at(now.monotonic + EXPIRE_INTERVAL_S, self._expire_store)

    # Revalidation.

    @property
    def deadline(self) -> float:
        """When the next node of the table is to be pinged."""
        return self._table.revalidation.deadline

    def revalidate(self, now: Now) -> None:
        """Ping those of the table whose turn it is."""
        for entry in self._table.revalidation.take_due(now.monotonic):
            self._ping(entry, TRIES, now)

    def _ping(self, entry: Entry, tries: int, now: Now) -> None:
        to = entry.node.udp_endpoint
        if to is None:
            self._failed(entry, now)
        else:
            done = partial(self._ponged, entry, tries - 1)
            self._exchange.ping(entry.node.id, to, done, now)

    def _ponged(self, entry: Entry, tries_left: int, pong: Pong | None, now: Now) -> None:
        if entry.removed:
            return
        if pong is None and tries_left:
            self._ping(entry, tries_left, now)
        elif pong is None:
            self._failed(entry, now)
        elif (pong.enr_seq or 0) > entry.node.seq:
            fetch_node(self._exchange, entry.node, partial(self._fetched, entry), now)
        else:
            self._passed(entry, now)

    def _fetched(self, entry: Entry, found: Node | None, error: P2PError | None, now: Now) -> None:
        if entry.removed:
            return
        self._table.revalidation.passed(entry, now.monotonic)
        if found is not None and found.seq > entry.node.seq:
            allowed = found.ip is not None and self._searcher.allows(found.ip)
            if allowed and self._table.update(entry, found, now.monotonic):
                return  # nobody has seen it at its new endpoint yet
        self._remember(entry)

    def _passed(self, entry: Entry, now: Now) -> None:
        self._table.revalidation.passed(entry, now.monotonic)
        self._remember(entry)

    def _remember(self, entry: Entry) -> None:
        if entry.checks >= SEED_CHECKS or len(self._table) < SMALL_TABLE:
            self._store.update_node(entry.node)

    def _failed(self, entry: Entry, now: Now) -> None:
        if not self._table.revalidation.failed(entry, now.monotonic):
            return
        self._table.remove(entry.node.id, now.monotonic)
        due_late = self._next_refresh_at > now.monotonic + self._retry_s
        if not len(self._table) and due_late and not self._refreshing:
            self._refresh_in(self._retry_s, now)
