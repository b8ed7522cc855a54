"""Pending requests, their answers and their timeouts.

Pure. A pong and an ENR response carry the hash of their request; neighbors carry none, so only one
findnode to a node is pending, and further ones are queued. Each answer must also come from the node
and the address that were asked. Before a findnode or an ENR request the node must have a proof of
our endpoint: if it may have none, it is pinged first and gets time to ping back (discovery v4,
"Known Issues").

A request without an answer is repeated once, together with a ping. Either the request was lost, or
the node has lost its proof of our endpoint, as after a restart, and does not answer. In that case
it answers the ping with its own ping, our pong is the proof, and the request is sent once more.

The caller passes a function that is called once, with the answer or with None.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias, TypeVar

from p2p.discover.bootnodes import Bootnodes
from p2p.discover.table.bucket import BUCKET_SIZE
from p2p.discover.timers import Timer, Timers
from p2p.discover.traffic import Traffic
from p2p.discover.v4.bonds import Bonds
from p2p.discover.v4.sender import Sender
from p2p.discover.v4.wire import (
    MAX_NEIGHBORS,
    ENRResponse,
    NeighborNode,
    Neighbors,
    PacketType,
    Pong,
)
from p2p.enode.nodeid import NodeID
from p2p.inputs import Now
from p2p.netutil import Endpoint, IPAddress

#: Longest wait for an answer, in seconds.
REPLY_TIMEOUT_S = 0.5

#: Number of times a request is sent before it counts as unanswered. A node that pings us after the
#: last one, because it has lost its proof of our endpoint, gets the request once more.
TRIES = 2

#: Maximum number of nodes in all answers to one findnode; further ones are ignored.
MAX_NODES = BUCKET_SIZE

#: Longest wait after a packet that is probably the last of its answer, in seconds. The packets of
#: an answer are sent together, and only network jitter separates their arrival.
REST_TIMEOUT_S = 0.1

K = TypeVar("K")
Key: TypeAlias = tuple[NodeID, IPAddress]
PongDone: TypeAlias = Callable[[Pong | None, Now], None]
NodesDone: TypeAlias = Callable[[Sequence[NeighborNode] | None, Now], None]
RecordDone: TypeAlias = Callable[[bytes | None, Now], None]
Ready: TypeAlias = Callable[[bool, Now], None]


@dataclass(slots=True, eq=False)
class _Ping:
    key: Key
    done: PongDone
    timer: Timer


@dataclass(slots=True, eq=False)
class _RecordRequest:
    key: Key
    address: Endpoint
    done: RecordDone
    tries: int = 0
    packet_hash: bytes = b""
    timer: Timer | None = None


@dataclass(slots=True, eq=False)
class _Find:
    address: Endpoint
    target: bytes
    done: NodesDone
    tries: int = 0
    nodes: list[NeighborNode] = field(default_factory=list)
    answered: bool = False
    timer: Timer | None = None


class Requests:
    """All pending requests."""

    def __init__(
        self,
        sender: Sender,
        bonds: Bonds,
        timers: Timers,
        traffic: Traffic,
        bootnodes: Bootnodes,
    ) -> None:
        self._sender = sender
        self._bonds = bonds
        self._timers = timers
        self._traffic = traffic
        self._bootnodes = bootnodes
        # By the hash of the request. Two pings to a node within one second are the same packet.
        self._pings: dict[bytes, list[_Ping]] = {}
        self._record_requests: dict[bytes, list[_RecordRequest]] = {}
        self._finds: dict[Key, deque[_Find]] = {}
        self._bonding: dict[Key, list[Ready]] = {}
        self._await_ping: dict[Key, Timer] = {}
        self._pinged: Counter[Key] = Counter()
        self._awaited: Counter[tuple[PacketType, IPAddress]] = Counter()

    # Commands.

    def ping(self, to_id: NodeID, to: Endpoint, done: PongDone, now: Now) -> None:
        """Ping a node once; ``done`` gets the pong."""
        self._await_pong(to_id, to, self._sender.ping(to_id, to, now), done, now)

    def ping_back(self, to_id: NodeID, to: Endpoint, now: Now) -> None:
        """Ping the sender of a packet, for an endpoint proof, unless a ping to it is pending."""
        if self._pinged[to_id, to[0]]:
            return
        packet_hash = self._sender.ping_back(to_id, to, now)
        if packet_hash is not None:
            self._await_pong(to_id, to, packet_hash, _ignore, now)

    def find_node(
        self, to_id: NodeID, to: Endpoint, target: bytes, done: NodesDone, now: Now
    ) -> None:
        """Ask a node for nodes near ``target``; ``done`` gets at most 16."""
        key = to_id, to[0]
        queue = self._finds.setdefault(key, deque())
        queue.append(_Find(to, target, done))
        if len(queue) == 1:
            self._next_find(key, now)

    def request_record(self, to_id: NodeID, to: Endpoint, done: RecordDone, now: Now) -> None:
        """Ask a node for its record; ``done`` gets its RLP, which is not verified."""
        call = _RecordRequest((to_id, to[0]), to, done)
        self._with_bond(to_id, to, partial(self._send_record_request, call), now)

    def awaits(self, kind: PacketType, ip: IPAddress) -> bool:
        """Return whether an answer of type ``kind`` is awaited from ``ip``."""
        return (kind, ip) in self._awaited

    def awaits_any(self, ip: IPAddress) -> bool:
        """Return whether any answer is awaited from ``ip``."""
        return any((kind, ip) in self._awaited for kind in _ANSWERS)

    def __len__(self) -> int:
        """Return the number of packets without an answer yet."""
        return sum(self._awaited.values())

    # Input.

    def is_awaited(self, from_id: NodeID, ip: IPAddress, pong: Pong) -> bool:
        """Return whether a pong answers a ping of ours: hash, node and ``ip`` match."""
        return any(call.key == (from_id, ip) for call in self._pings.get(pong.ping_hash, ()))

    def receive_pong(self, from_id: NodeID, ip: IPAddress, pong: Pong, now: Now) -> None:
        """Handle a pong for which :meth:`is_awaited` is true."""
        self._traffic.answered()
        calls = [call for call in self._pings[pong.ping_hash] if call.key == (from_id, ip)]
        for call in calls:
            call.timer.cancel()
            self._drop_ping(pong.ping_hash, call)
        for call in calls:
            call.done(pong, now)

    def receive_ping(self, from_id: NodeID, ip: IPAddress, now: Now) -> None:
        """Handle a ping after our pong, which gives the node a proof of our endpoint."""
        key = from_id, ip
        wait = self._await_ping.get(key)
        if wait is not None:
            wait.run(now)
        self._repeat_with_proof(key, now)

    def receive_neighbors(
        self, from_id: NodeID, ip: IPAddress, neighbors: Neighbors, now: Now
    ) -> bool:
        """Handle a part of the answer to a findnode. Return whether it was awaited."""
        key = from_id, ip
        queue = self._finds.get(key)
        if queue is None or queue[0].timer is None:
            return False
        find = queue[0]
        self._traffic.answered()
        find.answered = True
        find.nodes += neighbors.nodes[: MAX_NODES - len(find.nodes)]
        if not neighbors.nodes or len(find.nodes) >= MAX_NODES:
            self._find_done(key, now)
        elif MAX_NODES - MAX_NEIGHBORS < len(neighbors.nodes) < MAX_NEIGHBORS:
            # Neither the first nor the second part of 16 nodes, as all known senders split them.
            self._set_find_timer(key, find, REST_TIMEOUT_S, now)
        return True

    def receive_record(
        self, from_id: NodeID, ip: IPAddress, response: ENRResponse, now: Now
    ) -> bool:
        """Handle an ENR response. Return whether it was awaited."""
        waiting = self._record_requests.get(response.request_hash, ())
        calls = [call for call in waiting if call.key == (from_id, ip)]
        for call in calls:
            self._drop_record_request(call)
        for call in calls:
            self._traffic.answered()
            call.done(response.record, now)
        return bool(calls)

    # Pings.

    def _await_pong(
        self, to_id: NodeID, to: Endpoint, packet_hash: bytes, done: PongDone, now: Now
    ) -> None:
        expire = partial(self._ping_expired, packet_hash)
        call = _Ping((to_id, to[0]), done, Timer(_nothing))
        call.timer = self._timers.at(now.monotonic + REPLY_TIMEOUT_S, partial(expire, call))
        self._pings.setdefault(packet_hash, []).append(call)
        self._pinged[call.key] += 1
        self._awaited[PacketType.PONG, to[0]] += 1

    def _drop_ping(self, packet_hash: bytes, call: _Ping) -> None:
        calls = self._pings[packet_hash]
        calls.remove(call)
        if not calls:
            del self._pings[packet_hash]
        _decrement(self._pinged, call.key)
        _decrement(self._awaited, (PacketType.PONG, call.key[1]))

    def _ping_expired(self, packet_hash: bytes, call: _Ping, now: Now) -> None:
        self._drop_ping(packet_hash, call)
        self._bootnodes.lose_ping(*call.key, now)
        self._traffic.timed_out()
        call.done(None, now)

    # Bonding: the node gets a proof of our endpoint.

    def _with_bond(self, to_id: NodeID, to: Endpoint, ready: Ready, now: Now) -> None:
        key = to_id, to[0]
        if key in self._bonding:
            self._bonding[key].append(ready)
        elif self._bonds.knows_us(to_id, to[0], now):
            ready(True, now)
        else:
            self._bonding[key] = [ready]
            self.ping(to_id, to, partial(self._bond_ping_done, to_id, to, TRIES), now)

    def _bond_ping_done(
        self, to_id: NodeID, to: Endpoint, tries: int, pong: Pong | None, now: Now
    ) -> None:
        key = to_id, to[0]
        if pong is not None:
            if self._bonds.knows_us(to_id, to[0], now):
                self._bond_done(key, True, now)
            else:
                self._await_ping[key] = self._timers.at(
                    now.monotonic + REPLY_TIMEOUT_S, partial(self._bond_done, key, True)
                )
        elif tries > 1:
            self.ping(to_id, to, partial(self._bond_ping_done, to_id, to, tries - 1), now)
        else:
            self._bond_done(key, False, now)

    def _bond_done(self, key: Key, bonded: bool, now: Now) -> None:
        self._await_ping.pop(key, None)
        for ready in self._bonding.pop(key):
            ready(bonded, now)

    # Repetition.

    def _ask_for_ping(self, key: Key, to: Endpoint, now: Now) -> None:
        """Ping the node, so that it pings back if it has lost its proof of our endpoint."""
        if not self._pinged[key]:
            self.ping(key[0], to, _ignore, now)

    def _repeat_with_proof(self, key: Key, now: Now) -> None:
        """Repeat requests without an answer after all tries: the node has a proof now."""
        queue = self._finds.get(key)
        if queue and queue[0].tries == TRIES and not queue[0].answered:
            self._send_find(key, True, now)
        if not self._awaited[PacketType.ENR_RESPONSE, key[1]]:
            return
        calls = [call for calls in self._record_requests.values() for call in calls]
        for call in calls:
            if call.key == key and call.tries == TRIES:
                self._drop_record_request(call)
                self._send_record_request(call, True, now)

    # Findnode.

    def _next_find(self, key: Key, now: Now) -> None:
        to = self._finds[key][0].address
        self._with_bond(key[0], to, partial(self._send_find, key), now)

    def _send_find(self, key: Key, bonded: bool, now: Now) -> None:
        find = self._finds[key][0]
        if not bonded:
            self._find_done(key, now)
            return
        self._sender.find_node(key[0], find.address, find.target, now)
        find.tries += 1
        if find.timer is None:
            self._awaited[PacketType.NEIGHBORS, key[1]] += 1
        self._set_find_timer(key, find, REPLY_TIMEOUT_S, now)

    def _set_find_timer(self, key: Key, find: _Find, timeout_s: float, now: Now) -> None:
        if find.timer is not None:
            find.timer.cancel()
        expire = partial(self._find_expired, key)
        find.timer = self._timers.at(now.monotonic + timeout_s, expire)

    def _find_expired(self, key: Key, now: Now) -> None:
        find = self._finds[key][0]
        if not find.answered:
            self._traffic.timed_out()
            if find.tries < TRIES:
                self._ask_for_ping(key, find.address, now)
                self._send_find(key, True, now)
                return
        self._find_done(key, now)

    def _find_done(self, key: Key, now: Now) -> None:
        queue = self._finds[key]
        find = queue.popleft()
        if find.timer is not None:
            find.timer.cancel()
            _decrement(self._awaited, (PacketType.NEIGHBORS, key[1]))
        if queue:
            self._next_find(key, now)
        else:
            del self._finds[key]
        find.done(find.nodes if find.answered else None, now)

    # ENR requests.

    def _send_record_request(self, call: _RecordRequest, bonded: bool, now: Now) -> None:
        if not bonded:
            call.done(None, now)
            return
        call.tries += 1
        call.packet_hash = self._sender.enr_request(call.key[0], call.address, now)
        expire = partial(self._record_request_expired, call)
        call.timer = self._timers.at(now.monotonic + REPLY_TIMEOUT_S, expire)
        self._record_requests.setdefault(call.packet_hash, []).append(call)
        self._awaited[PacketType.ENR_RESPONSE, call.key[1]] += 1

    def _drop_record_request(self, call: _RecordRequest) -> None:
        if call.timer is not None:
            call.timer.cancel()
        calls = self._record_requests[call.packet_hash]
        calls.remove(call)
        if not calls:
            del self._record_requests[call.packet_hash]
        _decrement(self._awaited, (PacketType.ENR_RESPONSE, call.key[1]))

    def _record_request_expired(self, call: _RecordRequest, now: Now) -> None:
        self._drop_record_request(call)
        self._traffic.timed_out()
        if call.tries < TRIES:
            self._ask_for_ping(call.key, call.address, now)
            self._send_record_request(call, True, now)
        else:
            call.done(None, now)


_ANSWERS = (PacketType.PONG, PacketType.NEIGHBORS, PacketType.ENR_RESPONSE)


def _decrement(counts: Counter[K], key: K) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]


def _ignore(pong: Pong | None, now: Now) -> None:
    """Do nothing: the handler of the pong records the proof."""


def _nothing(now: Now) -> None:
    """Do nothing; the function of an unset timer."""
