"""Maintenance of the table: seeds, refresh and revalidation.

Pure. At the start, or later if the table of an earlier run is restored, and every 15 to 30 minutes,
nodes of the store and the bootnodes are offered to the table, and lookups for ourselves and for
three random targets fill it. In between, nodes of the table are checked one by one, each with a
ping and, if that is lost, another (by the transport, if it repeats lost packets itself). A node
that is to be dropped is tried at the address of the other IP version first, if its record has one;
a node that names a newer record is asked for it. An empty table is filled again after ten seconds,
then after pauses that double.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from p2p.crypto import Entropy
from p2p.discover.bootnodes import Bootnodes, Moved
from p2p.discover.lookup import Overlay
from p2p.discover.records import at_endpoint_of
from p2p.discover.store import NodeStore
from p2p.discover.table.bucket import Entry
from p2p.discover.table.table import Table
from p2p.discover.timers import Timer, Timers
from p2p.discover.transport import Target
from p2p.discover.wallclock import WallClock
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.errors import NoResponse, P2PError
from p2p.inputs import Now, RandomSource

#: Longest time between two refreshes; the shortest is half of it. Seconds.
REFRESH_INTERVAL_S = 30 * 60.0
#: Lookups of random targets in a refresh.
RANDOM_LOOKUPS = 3

#: Pings to a node of the table until it counts as silent.
PING_TRIES = 2

#: First and longest pause before an empty table is filled again. Seconds.
RETRY_S = 10.0
MAX_RETRY_S = 300.0

#: Number of nodes taken from the store, and their largest age.
SEED_COUNT = 30
SEED_MAX_AGE_S = 5 * 24 * 3600.0
#: Answers in a row, roughly, after which a node is stored as a seed for the next start. While at
#: most SMALL_TABLE nodes of the table are alive, each is stored at its first answer: there is no
#: choice, and the process may be killed at any moment.
SEED_CHECKS = 6
SMALL_TABLE = 32

#: Interval at which the store drops old entries, in seconds.
EXPIRE_INTERVAL_S = 3600.0


class Maintenance:
    """The refresh, the revalidation and the store's clean-up of one engine."""

    def __init__(
        self,
        overlay: Overlay,
        timers: Timers,
        clock: WallClock,
        bootnodes: Bootnodes,
        entropy: Entropy,
        random: RandomSource,
        own_target: Target,
        now: Now,
        ping_tries: int = PING_TRIES,
    ) -> None:
        #: Whether the first refresh is over. Before that, nodes that ping us get no place in the
        #: table, so that the first nodes to ping us do not fill it.
        self.is_initialized = False
        self._overlay = overlay
        self._timers = timers
        self._clock = clock
        self._bootnodes = bootnodes
        self._entropy = entropy
        self._random = random
        self._own_target = own_target
        self._ping_tries = ping_tries
        self._retry_s = RETRY_S
        self._refreshing = False
        self._next_refresh_at = now.monotonic
        self._next_refresh: Timer = timers.at(now.monotonic, self.refresh)
        timers.at(now.monotonic + EXPIRE_INTERVAL_S, self._expire_store)

    @property
    def _table(self) -> Table:
        return self._overlay.table

    @property
    def _store(self) -> NodeStore:
        return self._overlay.store

    # Refresh.

    def refresh(self, now: Now) -> None:
        """Begin a refresh, unless one is under way."""
        self._next_refresh.cancel()
        if self._refreshing:
            return
        self._refreshing = True
        self.load_seeds(now)
        self._overlay.look_up(self._own_target, partial(self._looked_up, RANDOM_LOOKUPS), now)

    def restore(self, nodes: Sequence[Node], now: Now) -> None:
        """Give nodes of an earlier table their places, as nodes that are alive.

        The table is refreshed later, as if that had just been done. The first refresh counts as
        over if there are more than SMALL_TABLE nodes.
        """
        table = self._table
        for node in self._allowed(nodes):
            entry = table.entry(node.id) if table.add_proven(node, now.monotonic) else None
            if entry is not None:
                table.revalidation.passed(entry, now.monotonic)
        self.is_initialized = table.live_count > SMALL_TABLE
        self._refresh_later(now)

    def load_seeds(self, now: Now) -> None:
        """Offer the stored nodes and the bootnodes to the table."""
        unix = self._clock.earliest(now)
        stored = self._store.query_seeds(SEED_COUNT, SEED_MAX_AGE_S, unix, self._random)
        # The name of a bootnode is newer than a stored address of it.
        seeds = [node for node in stored if not self._bootnodes.is_elsewhere(node)]
        for node in self._allowed((*seeds, *self._bootnodes.seeds)):
            self._table.add_found(node, now.monotonic)

    def _allowed(self, nodes: Iterable[Node]) -> list[Node]:
        """Return those of the nodes that may be asked."""
        ends = ((node, node.udp_endpoint) for node in nodes)
        return [node for node, end in ends if end is not None and self._overlay.allows(end.ip)]

    def move_bootnode(self, moved: Moved, now: Now) -> None:
        """Offer the new address of a bootnode to the table; an address that answers is kept."""
        old, new = moved.old, moved.new
        entry = self._table.entry(new.id)
        if entry is None:
            is_first = not len(self._table)
            self._table.add_found(new, now.monotonic)
            if is_first:
                self.refresh(now)
        elif entry.node.ip != new.ip:
            is_old = old is not None and entry.node.ip == old.ip
            if not entry.live or (is_old and not moved.old_answers):
                self._table.update(entry, new, now.monotonic)

    def _looked_up(self, left: int, found: list[Node], now: Now) -> None:
        if left and found:
            target = Target.random(self._entropy)
            self._overlay.look_up(target, partial(self._looked_up, left - 1), now)
            return
        self._refreshing = False
        self.is_initialized = True
        if found:
            self._retry_s = RETRY_S
            self._refresh_later(now)
        else:
            self._refresh_in(self._retry_s, now)
            self._retry_s = min(2 * self._retry_s, MAX_RETRY_S)

    def _refresh_later(self, now: Now) -> None:
        half = REFRESH_INTERVAL_S / 2
        self._refresh_in(half + self._random.random() * half, now)

    def _refresh_in(self, seconds: float, now: Now) -> None:
        self._next_refresh.cancel()
        self._next_refresh_at = now.monotonic + seconds
        self._next_refresh = self._timers.at(self._next_refresh_at, self.refresh)

    def _expire_store(self, now: Now) -> None:
        # While the time is in doubt, nothing is dropped: the store has a bound of its own.
        if self._clock.settle(now):
            self._store.expire(now.unix)
        self._timers.at(now.monotonic + EXPIRE_INTERVAL_S, self._expire_store)

    # Revalidation.

    @property
    def deadline(self) -> float:
        """Time at which the next node of the table is to be pinged."""
        return self._table.revalidation.deadline

    def revalidate(self, now: Now) -> None:
        """Ping the nodes of the table that are due."""
        for entry in self._table.revalidation.take_due(now.monotonic):
            self._ping(entry, self._ping_tries, now)

    def _ping(self, entry: Entry, tries: int, now: Now) -> None:
        done = partial(self._pinged, entry, tries - 1)
        self._overlay.transport.ping(entry.node, done, now)

    def _pinged(
        self, entry: Entry, tries_left: int, seq: int | None, error: P2PError | None, now: Now
    ) -> None:
        if entry.removed:
            return
        if error is not None and tries_left:
            self._ping(entry, tries_left, now)
        elif error is not None:
            self._failed(entry, now)
        elif seq is not None and seq > entry.node.seq and seq != entry.given_seq:
            done = partial(self._fetched, entry, seq)
            self._overlay.transport.request_record(entry.node, done, now)
        else:
            self._passed(entry, now)

    def _fetched(
        self, entry: Entry, seq: int, found: Node | None, error: P2PError | None, now: Now
    ) -> None:
        if entry.removed:
            return
        self._table.revalidation.passed(entry, now.monotonic)
        if not isinstance(error, NoResponse):
            entry.given_seq = seq
        if found is not None and found.seq > entry.node.seq:
            if found.ip is None or not self._overlay.allows(found.ip):
                found = at_endpoint_of(entry.node, found)
            if self._table.update(entry, found, now.monotonic):
                return  # not proven at its new endpoint yet
        self._store_node(entry)

    def _passed(self, entry: Entry, now: Now) -> None:
        self._table.revalidation.passed(entry, now.monotonic)
        self._store_node(entry)

    def note_first_answer(self, node_id: NodeID) -> None:
        """Store a node of the table that has answered for the first time."""
        entry = self._table.entry(node_id)
        if entry is not None:
            self._store_node(entry)

    def _store_node(self, entry: Entry) -> None:
        if entry.checks >= SEED_CHECKS or self._table.live_count <= SMALL_TABLE:
            self._store.update_node(entry.node)

    def _failed(self, entry: Entry, now: Now) -> None:
        if not self._table.revalidation.failed(entry, now.monotonic):
            return
        elsewhere = None if entry.has_moved else self._overlay.at_other_endpoint(entry.node)
        if elsewhere is not None and self._table.update(entry, elsewhere, now.monotonic):
            entry.has_moved = True
            return
        self._table.remove(entry.node.id, now.monotonic)
        due_late = self._next_refresh_at > now.monotonic + self._retry_s
        if not len(self._table) and due_late and not self._refreshing:
            self._refresh_in(self._retry_s, now)
