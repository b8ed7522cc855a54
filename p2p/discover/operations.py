"""The commands of the engine's owner, from start to end.

Pure. A command has a number; when it ends, an ``OperationDone`` with that number comes out. A
cancelled one emits no event; late answers to it still update the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from p2p.crypto import Entropy
from p2p.discover.event import OperationDone, Result
from p2p.discover.lookup import Lookup, LookupDone, Overlay
from p2p.discover.maintenance import Maintenance
from p2p.discover.observer import DiscoveryObserver
from p2p.discover.shortlist import LookupEntry
from p2p.discover.transport import Neighbor, Target
from p2p.enode.node import Node
from p2p.errors import (
    NetRestricted,
    NodeNotFound,
    NoEndpoint,
    NoResponse,
    P2PError,
    PacketError,
)
from p2p.inputs import Now

#: Callback with the result of a request, or with None and the error.
Answered: TypeAlias = Callable[[Result, P2PError | None, Now], None]
#: Sends a request to a node.
Send: TypeAlias = Callable[[Node, Answered, Now], None]


class Operations:
    """The commands under way."""

    def __init__(
        self,
        overlay: Overlay,
        maintenance: Maintenance,
        entropy: Entropy,
        observer: DiscoveryObserver | None = None,
    ) -> None:
        self._observer = observer
        self._overlay = overlay
        self._transport = overlay.transport
        self._maintenance = maintenance
        self._entropy = entropy
        self._last = 0
        self._under_way: dict[int, Lookup | None] = {}
        self._done: list[OperationDone] = []

    def poll_done(self) -> list[OperationDone]:
        """Return the operations that have ended since the last call."""
        done, self._done = self._done, []
        return done

    def __len__(self) -> int:
        return len(self._under_way)

    # Commands.

    def ping(self, node: Node, now: Now) -> int:
        """Ping a node. The result is the sequence number of its record, None if it names none."""
        self._observe("ping", node, now)
        return self._ask(node, self._transport.ping, now)

    def lookup(self, target: Target, now: Now) -> int:
        """Find the nodes nearest to a target, at most sixteen. The result is a list of them."""
        self._observe("lookup", target, now)
        return self._begin_lookup(target, now)

    def random_lookup(self, now: Now) -> int:
        """Begin a :meth:`lookup` for a random target."""
        self._observe("random_lookup", now)
        return self._begin_lookup(Target.random(self._entropy), now)

    def request_enr(self, node: Node, now: Now) -> int:
        """Ask a node for its record. The result is the node as its record describes it."""
        self._observe("request_enr", node, now)
        return self._ask(node, self._transport.request_record, now)

    def find_near(self, node: Node, target: Target, now: Now) -> int:
        """Ask a node for the nodes near a target that it knows. The result is a list of them."""
        self._observe("find_near", node, target, now)

        def send(at: Node, done: Answered, now: Now) -> None:
            self._transport.find_nodes(at, target, partial(_found, done), now)

        return self._ask(node, send, now)

    def resolve(self, node: Node, now: Now) -> int:
        """Find the current endpoint of a node. The result is the node as its record describes it.

        The node is asked at its given addresses, then at its address in the table, and at last
        looked up. If it answers without a record, the result is the node as others describe it. If
        it does not answer, the error is NodeNotFound, even if others or the table have an address
        of it.
        """
        self._observe("resolve", node, now)
        number = self._begin()
        nodes = self._overlay.at_each_endpoint(node)
        known = self._overlay.table.get(node.id)
        if known is not None and known.udp_endpoint not in [at.udp_endpoint for at in nodes]:
            nodes.append(known)
        self._ask_each(number, node, [at for at in nodes if self._check(at) is None], now)
        return number

    def cancel(self, number: int) -> None:
        """End a command without an event; no effect if it has ended."""
        self._observe("cancel", number)
        lookup = self._under_way.pop(number, None)
        if lookup is not None:
            lookup.cancel()

    # Progress and results.

    def _observe(self, command: str, *arguments: object) -> None:
        if self._observer is not None:
            self._observer.command(command, *arguments)

    def _ask(self, node: Node, send: Send, now: Now) -> int:
        """Begin a command of one request: to each endpoint of the node until one answers."""
        number = self._begin()
        nodes = self._overlay.at_each_endpoint(node)
        refusal = self._check(nodes[0])
        if refusal is not None:
            self._end(number, None, refusal)
        else:
            send(nodes[0], partial(self._answered, number, nodes[1:], send), now)
        return number

    def _begin_lookup(self, target: Target, now: Now) -> int:
        number = self._begin()
        self._look_up(number, target, partial(self._looked_up, number), now)
        return number

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
        if not self._overlay.allows(to.ip):
            return NetRestricted(f"{to.ip} is outside net_restrict")
        return None

    def _look_up(self, number: int, target: Target, done: LookupDone, now: Now) -> None:
        if not len(self._overlay.table):
            self._maintenance.load_seeds(now)
        lookup = self._overlay.look_up(target, done, now)
        if number in self._under_way:
            self._under_way[number] = lookup

    def _answered(
        self,
        number: int,
        left: list[Node],
        send: Send,
        result: Result,
        error: P2PError | None,
        now: Now,
    ) -> None:
        if left and isinstance(error, NoResponse) and number in self._under_way:
            send(left[0], partial(self._answered, number, left[1:], send), now)
        else:
            self._end(number, result, error)

    def _looked_up(self, number: int, nodes: list[Node], now: Now) -> None:
        self._end(number, nodes)

    # Resolve, step by step.

    def _ask_each(self, number: int, node: Node, nodes: list[Node], now: Now) -> None:
        if number not in self._under_way:
            return
        if nodes:
            step = partial(self._asked_one, number, node, nodes[1:])
            self._transport.request_record(nodes[0], step, now)
            return
        target = Target.of_key(node.public_key.to_bytes())
        self._look_up(number, target, partial(self._looked_for, number, node), now)

    def _asked_one(
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
            self._ask_each(number, node, left, now)

    def _looked_for(self, number: int, node: Node, nodes: list[Node], now: Now) -> None:
        found = next((other for other in nodes if other.id == node.id), None)
        answered = found is not None
        # If no answer named it, it may still have contacted us meanwhile.
        found = found or self._overlay.table.get(node.id)
        if found is None:
            self._not_found(number, node)
        else:
            done = partial(self._described, number, found, answered)
            self._transport.request_record(found, done, now)

    def _described(
        self,
        number: int,
        known: Node,
        answered: bool,
        found: Node | None,
        error: P2PError | None,
        now: Now,
    ) -> None:
        if found is not None:
            self._end(number, found)
        elif answered or isinstance(error, PacketError):
            self._end(number, known)
        else:
            # It may be alive and not support ENR requests.
            self._transport.ping(known, partial(self._pinged, number, known), now)

    def _pinged(
        self, number: int, known: Node, seq: int | None, error: P2PError | None, now: Now
    ) -> None:
        if error is None:
            self._end(number, known)
        else:
            self._not_found(number, known)

    def _not_found(self, number: int, node: Node) -> None:
        self._end(number, None, NodeNotFound(f"node {node.id.short} was not found"))


def _found(
    done: Answered, neighbors: Sequence[Neighbor] | None, error: P2PError | None, now: Now
) -> None:
    """Pass on the neighbors as nodes, except those whose key is not on the curve."""
    nodes = None if neighbors is None else [node for each in neighbors if (node := _node_of(each))]
    done(nodes, error, now)


def _node_of(neighbor: Neighbor) -> Node | None:
    node_id, ip, udp, tcp, key, node = neighbor
    return None if ip is None else LookupEntry(node_id, ip, udp, tcp, key, node).node()
