"""The commands of the engine's owner, from their start to their end.

Pure. A command has a number; when it ends, an ``OperationDone`` with that number comes out. One
that was cancelled ends without a word; what answers to its last packets is still heeded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from p2p.crypto import Entropy
from p2p.discover.event import OperationDone, Result
from p2p.discover.now import Now
from p2p.discover.records import fetch_node
from p2p.discover.search import Search, Searcher
from p2p.discover.upkeep import TARGET_SIZE, Upkeep
from p2p.discover.v4wire import Pong
from p2p.enode.node import Node
from p2p.errors import (
    InvalidNode,
    LocalProtocolError,
    NetRestricted,
    NodeNotFound,
    NoEndpoint,
    P2PError,
    RemoteTimeout,
)


class Operations:
    """The commands under way."""

    def __init__(self, searcher: Searcher, upkeep: Upkeep, entropy: Entropy) -> None:
        self._searcher = searcher
        self._upkeep = upkeep
        self._entropy = entropy
        self._last = 0
        self._under_way: dict[int, Search | None] = {}
        self._done: list[OperationDone] = []

    def poll_done(self) -> list[OperationDone]:
        """What has ended since the last call."""
        done, self._done = self._done, []
        return done

    def __len__(self) -> int:
        return len(self._under_way)

    # Commands.

    def ping(self, node: Node, now: Now) -> int:
        """Ping a node. The result is the sequence number of its record, None if it names none."""
        number = self._begin()
        refusal, to = self._check(node), node.udp_endpoint
        if refusal is not None or to is None:
            self._end(number, None, refusal)
        else:
            done = partial(self._ponged, number)
            self._searcher.exchange.ping(node.id, to, done, now)
        return number

    def lookup(self, target: bytes, now: Now) -> int:
        """Find the nodes nearest to a target. The result is a list of at most sixteen nodes."""
        if len(target) != TARGET_SIZE:
            raise LocalProtocolError(f"a target has {TARGET_SIZE} bytes, not {len(target)}")
        number = self._begin()
        self._search(number, target, partial(self._looked_up, number), now)
        return number

    def random_lookup(self, now: Now) -> int:
        """The same for a target chosen at random."""
        return self.lookup(self._entropy(TARGET_SIZE), now)

    def request_enr(self, node: Node, now: Now) -> int:
        """Ask a node for its record. The result is the node as its record describes it."""
        number = self._begin()
        refusal = self._check(node)
        if refusal is not None:
            self._end(number, None, refusal)
        else:
            done = partial(self._fetched, number)
            fetch_node(self._searcher.exchange, node, done, now)
        return number

    def resolve(self, node: Node, now: Now) -> int:
        """Find out where a node is now. The result is the node as it describes itself.

        It is asked where it is said to be, then where the table has it, and at last looked up. If
        it is found but has no record to give, the result is what others say of it.
        """
        number = self._begin()
        places = [node]
        known = self._searcher.table.get(node.id)
        if known is not None and known.udp_endpoint != node.udp_endpoint:
            places.append(known)
        self._ask_places(number, node, [at for at in places if self._check(at) is None], now)
        return number

    def cancel(self, number: int) -> None:
        """End a command without a word; harmless when it has ended."""
        search = self._under_way.pop(number, None)
        if search is not None:
            search.cancel()

    # What becomes of them.

    def _begin(self) -> int:
        self._last += 1
        self._under_way[self._last] = None
        return self._last

    def _end(self, number: int, result: Result, error: P2PError | None = None) -> None:
        if number in self._under_way:
            del self._under_way[number]
            self._done.append(OperationDone(number, result, error))

    def _check(self, node: Node) -> P2PError | None:
        to = node.udp_endpoint
        if to is None:
            return NoEndpoint("no UDP endpoint of the node is known")
        if not self._searcher.allows(to.ip):
            return NetRestricted(f"{to.ip} is outside net_restrict")
        return None

    def _search(
        self, number: int, target: bytes, done: Callable[[list[Node], Now], None], now: Now
    ) -> None:
        if not len(self._searcher.table):
            self._upkeep.load_seeds(now)
        search = self._searcher.search(target, done, now)
        if number in self._under_way:
            self._under_way[number] = search

    def _ponged(self, number: int, pong: Pong | None, now: Now) -> None:
        if pong is None:
            self._end(number, None, RemoteTimeout("no answer to the ping"))
        else:
            self._end(number, pong.enr_seq)

    def _looked_up(self, number: int, nodes: list[Node], now: Now) -> None:
        self._end(number, nodes)

    def _fetched(self, number: int, node: Node | None, error: P2PError | None, now: Now) -> None:
        self._end(number, node, error)

    # Resolve, step by step.

    def _ask_places(self, number: int, node: Node, places: list[Node], now: Now) -> None:
        if number not in self._under_way:
            return
        if places:
            step = partial(self._asked_place, number, node, places[1:])
            fetch_node(self._searcher.exchange, places[0], step, now)
            return
        try:
            target = node.public_key.to_bytes()
        except InvalidNode as error:
            self._end(number, None, error)
            return
        self._search(number, target, partial(self._looked_for, number, node), now)

    def _asked_place(
        self,
        number: int,
        node: Node,
        left: list[Node],
        found: Node | None,
        error: P2PError | None,
        now: Now,
    ) -> None:
        if found is not None:
            self._end(number, found)
        else:
            self._ask_places(number, node, left, now)

    def _looked_for(self, number: int, node: Node, nodes: list[Node], now: Now) -> None:
        found = next((other for other in nodes if other.id == node.id), None)
        # Nobody may have named it, and yet it has come to us meanwhile.
        found = found or self._searcher.table.get(node.id)
        if found is None:
            self._end(number, None, NodeNotFound(f"node {node.id.short} was not found"))
        else:
            done = partial(self._described, number, found)
            fetch_node(self._searcher.exchange, found, done, now)

    def _described(
        self, number: int, told: Node, found: Node | None, error: P2PError | None, now: Now
    ) -> None:
        self._end(number, found if found is not None else told)
