"""Requests and their answers: who was asked what, and until when we wait.

Pure. A pong and an ENR response name the hash of what they answer; neighbors name nothing, so a
node is asked for them once at a time, and others who want to ask it wait. Each answer must also
come from the node and the address that were asked. Before a findnode or an ENR request the node
must have a proof of us: if it should have none, it is pinged first and gets the time to ping back
(discovery v4, "Known Issues"). What may have been lost is sent again, once.

Whoever asks hands over a function that is called once, with the answer or with None.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias, TypeVar

from p2p.discover.agenda import Agenda, Task
from p2p.discover.bond import Bonds
from p2p.discover.bucket import BUCKET_SIZE
from p2p.discover.now import Now
from p2p.discover.sender import Address, Sender
from p2p.discover.v4wire import (
    MAX_NEIGHBORS,
    ENRResponse,
    NeighborNode,
    Neighbors,
    PacketType,
    Pong,
)
from p2p.enode.ids import NodeID
from p2p.netutil import IPAddress

#: How long an answer may take, in seconds.
REPLY_TIMEOUT_S = 0.5

#: How often a request is sent until it counts as unanswered.
TRIES = 2

#: Nodes in all the answers to one findnode; what goes beyond is passed over.
MAX_NODES = BUCKET_SIZE

#: How long to wait for more after a packet that is hardly followed by another, in seconds. Those of
#: an answer are sent at once, and differ by what the network makes of it.
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
    timer: Task


@dataclass(slots=True, eq=False)
class _RecordRequest:
    key: Key
    done: RecordDone
    timer: Task


@dataclass(slots=True, eq=False)
class _Find:
    address: Address
    target: bytes
    done: NodesDone
    tries: int = 0
    nodes: list[NeighborNode] = field(default_factory=list)
    answered: bool = False
    timer: Task | None = None


class Exchange:
    """What is under way with other nodes."""

    def __init__(self, sender: Sender, bonds: Bonds, agenda: Agenda) -> None:
        self._sender = sender
        self._bonds = bonds
        self._agenda = agenda
        # By the hash of the request. Two pings to a node within a second are the same packet.
        self._pings: dict[bytes, list[_Ping]] = {}
        self._record_requests: dict[bytes, list[_RecordRequest]] = {}
        self._finds: dict[Key, deque[_Find]] = {}
        self._bonding: dict[Key, list[Ready]] = {}
        self._await_ping: dict[Key, Task] = {}
        self._pinged: Counter[Key] = Counter()
        self._awaited: Counter[tuple[PacketType, IPAddress]] = Counter()
        self.timeouts = 0
        #: Requests left unanswered since the last answer.
        self.timeouts_in_a_row = 0

    # Asking.

    def ping(self, to_id: NodeID, to: Address, done: PongDone, now: Now) -> None:
        """Ping a node once; ``done`` gets the pong."""
        self._await_pong(to_id, to, self._sender.ping(to_id, to, now), done, now)

    def ping_back(self, to_id: NodeID, to: Address, now: Now) -> None:
        """Ping a node that has asked us, for a proof, unless a ping to it is under way."""
        if self._pinged[to_id, to[0]]:
            return
        packet_hash = self._sender.ping_back(to_id, to, now)
        if packet_hash is not None:
            self._await_pong(to_id, to, packet_hash, _ignore, now)

    def find_node(
        self, to_id: NodeID, to: Address, target: bytes, done: NodesDone, now: Now
    ) -> None:
        """Ask a node for those near to ``target``; ``done`` gets at most sixteen."""
        key = to_id, to[0]
        queue = self._finds.setdefault(key, deque())
        queue.append(_Find(to, target, done))
        if len(queue) == 1:
            self._next_find(key, now)

    def request_record(self, to_id: NodeID, to: Address, done: RecordDone, now: Now) -> None:
        """Ask a node for its record; ``done`` gets the RLP of it, which nobody has checked."""
        self._with_bond(to_id, to, partial(self._send_record_request, to_id, to, done, TRIES), now)

    def awaits(self, kind: PacketType, ip: IPAddress) -> bool:
        """Whether an answer of that kind may come from ``ip``."""
        return (kind, ip) in self._awaited

    def awaits_any(self, ip: IPAddress) -> bool:
        """Whether any answer may come from ``ip``."""
        return any((kind, ip) in self._awaited for kind in _ANSWERS)

    def __len__(self) -> int:
        """How many requests are under way."""
        return sum(self._awaited.values())

    # Input.

    def is_awaited(self, from_id: NodeID, ip: IPAddress, pong: Pong) -> bool:
        """Whether a pong answers a ping of ours: the right hash, from where the ping went."""
        return any(call.key == (from_id, ip) for call in self._pings.get(pong.ping_hash, ()))

    def receive_pong(self, from_id: NodeID, ip: IPAddress, pong: Pong, now: Now) -> None:
        """A pong that is awaited has arrived."""
        self.timeouts_in_a_row = 0
        calls = [call for call in self._pings[pong.ping_hash] if call.key == (from_id, ip)]
        for call in calls:
            call.timer.cancel()
            self._drop_ping(pong.ping_hash, call)
        for call in calls:
            call.done(pong, now)

    def receive_ping(self, from_id: NodeID, ip: IPAddress, now: Now) -> None:
        """A ping has arrived, and its pong is on the way: the node has a proof of us now."""
        wait = self._await_ping.get((from_id, ip))
        if wait is not None:
            wait.run(now)

    def receive_neighbors(
        self, from_id: NodeID, ip: IPAddress, neighbors: Neighbors, now: Now
    ) -> bool:
        """A part of the answer to a findnode has arrived. Returns whether it was waited for."""
        key = from_id, ip
        queue = self._finds.get(key)
        if queue is None or queue[0].timer is None:
            return False
        find = queue[0]
        self.timeouts_in_a_row = 0
        find.answered = True
        find.nodes += neighbors.nodes[: MAX_NODES - len(find.nodes)]
        if not neighbors.nodes or len(find.nodes) >= MAX_NODES:
            self._find_done(key, now)
        elif MAX_NODES - MAX_NEIGHBORS < len(neighbors.nodes) < MAX_NEIGHBORS:
            # Neither a first part nor the second of sixteen, as all known senders divide them.
            self._set_find_timer(key, find, REST_TIMEOUT_S, now)
        return True

    def receive_record(
        self, from_id: NodeID, ip: IPAddress, response: ENRResponse, now: Now
    ) -> bool:
        """An ENR response has arrived. Returns whether it was waited for."""
        waiting = self._record_requests.get(response.request_hash, ())
        calls = [call for call in waiting if call.key == (from_id, ip)]
        for call in calls:
            call.timer.cancel()
            self._drop_record_request(response.request_hash, call)
        for call in calls:
            self.timeouts_in_a_row = 0
            call.done(response.record, now)
        return bool(calls)

    # Pings.

    def _await_pong(
        self, to_id: NodeID, to: Address, packet_hash: bytes, done: PongDone, now: Now
    ) -> None:
        expire = partial(self._ping_expired, packet_hash)
        call = _Ping((to_id, to[0]), done, Task(_nothing))
        call.timer = self._agenda.at(now.monotonic + REPLY_TIMEOUT_S, partial(expire, call))
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
        self._count_timeout()
        call.done(None, now)

    # Bonding: seeing to it that the node has a proof of us.

    def _with_bond(self, to_id: NodeID, to: Address, ready: Ready, now: Now) -> None:
        key = to_id, to[0]
        if key in self._bonding:
            self._bonding[key].append(ready)
        elif self._bonds.knows_us(to_id, to[0], now):
            ready(True, now)
        else:
            self._bonding[key] = [ready]
            self.ping(to_id, to, partial(self._bond_ping_done, to_id, to, TRIES), now)

    def _bond_ping_done(
        self, to_id: NodeID, to: Address, tries: int, pong: Pong | None, now: Now
    ) -> None:
        key = to_id, to[0]
        if pong is not None:
            if self._bonds.knows_us(to_id, to[0], now):
                self._bond_done(key, True, now)
            else:
                self._await_ping[key] = self._agenda.at(
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
        find.timer = self._agenda.at(now.monotonic + timeout_s, expire)

    def _find_expired(self, key: Key, now: Now) -> None:
        find = self._finds[key][0]
        if not find.answered:
            self._count_timeout()
            if find.tries < TRIES:
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

    def _send_record_request(
        self, to_id: NodeID, to: Address, done: RecordDone, tries: int, bonded: bool, now: Now
    ) -> None:
        if not bonded or tries == 0:
            done(None, now)
            return
        packet_hash = self._sender.enr_request(to_id, to, now)
        again = partial(self._send_record_request, to_id, to, done, tries - 1, True)
        call = _RecordRequest((to_id, to[0]), done, Task(_nothing))
        expire = partial(self._record_request_expired, packet_hash, call, again)
        call.timer = self._agenda.at(now.monotonic + REPLY_TIMEOUT_S, expire)
        self._record_requests.setdefault(packet_hash, []).append(call)
        self._awaited[PacketType.ENR_RESPONSE, to[0]] += 1

    def _drop_record_request(self, packet_hash: bytes, call: _RecordRequest) -> None:
        calls = self._record_requests[packet_hash]
        calls.remove(call)
        if not calls:
            del self._record_requests[packet_hash]
        _decrement(self._awaited, (PacketType.ENR_RESPONSE, call.key[1]))

    def _record_request_expired(
        self, packet_hash: bytes, call: _RecordRequest, again: Callable[[Now], None], now: Now
    ) -> None:
        self._drop_record_request(packet_hash, call)
        self._count_timeout()
        again(now)

    def _count_timeout(self) -> None:
        self.timeouts += 1
        self.timeouts_in_a_row += 1


_ANSWERS = (PacketType.PONG, PacketType.NEIGHBORS, PacketType.ENR_RESPONSE)


def _decrement(counts: Counter[K], key: K) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]


def _ignore(pong: Pong | None, now: Now) -> None:
    """What a ping-back waits for is dealt with where the pong comes in."""


def _nothing(now: Now) -> None:
    """A timer that is not set yet."""
