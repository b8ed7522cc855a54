"""A second protocol of discovery, as small as can be, made of the shared parts.

A datagram is ``tiny`` and a JSON object, unsigned::

    {"kind": "ping" | "pong" | "find" | "nodes", "number": request, "from": record of the sender}
    find has "target", an ID in hex; nodes has "nodes", a list of records

It proves that those know no packets of v4. Unlike v4 it asks by ID, not by public key, describes
nodes by their records, and has no endpoint proofs and no request for a record: the record is in
each packet. It is for tests only, and believes everything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from p2p.crypto import Entropy, PublicKey
from p2p.discover.engine import Engine
from p2p.discover.local import LocalView
from p2p.discover.observer import DiscoveryObserver, DiscoverySetup, observed
from p2p.discover.operations import Operations
from p2p.discover.store import NodeStore
from p2p.discover.timers import Timer, Timers
from p2p.discover.traffic import Traffic
from p2p.discover.transport import FindDone, Neighbor, PingDone, RecordDone, Target
from p2p.enode.db.memory import NodeMemory
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.enr import Record
from p2p.errors import NoEndpoint, NoResponse, P2PError
from p2p.inputs import Now, RandomSource
from p2p.netutil import Endpoint

PREFIX = b"tiny"
TIMEOUT_S = 0.5
#: Records that fit a datagram.
MAX_NODES = 4
#: Gets an answer with the node that sent it.
Answered = Callable[[dict[str, Any] | None, Node | None, P2PError | None, Now], None]


class TinyEngine(Engine):
    """An engine, made of the shared parts."""

    def __init__(
        self,
        public_key: PublicKey,
        local: LocalView,
        bootnodes: Sequence[Node],
        entropy: Entropy,
        random: RandomSource,
        now: Now,
        observer: DiscoveryObserver | None = None,
    ) -> None:
        store: NodeStore = NodeMemory()
        if observer is not None:
            setup = DiscoverySetup("tiny", now, {"public_key": public_key, "bootnodes": bootnodes})
            local, store, entropy, random = observed(
                observer, setup, local, store, entropy, random
            )
        super().__init__(
            NodeID.from_public_key(public_key),
            random,
            now,
            bootnodes=bootnodes,
            observer=observer,
        )
        self._transport = TinyTransport(local, self._timers, self._traffic)
        self._use(self._transport, public_key, store, entropy, now)
        self.operations = Operations(self._overlay, self._maintenance, entropy, observer)

    def receive_datagram(self, data: bytes, addr: Endpoint, now: Now) -> bool:
        if self._observer is not None:
            self._observer.data_in(data, addr, now)
        if not data.startswith(PREFIX):
            self._traffic.dropped("prefix", data, addr)
            return False
        message = json.loads(data[len(PREFIX) :])
        sender = Node.from_record(Record.from_text(message["from"]))
        self._traffic.received(message["kind"], message, len(data), sender.id, addr)
        if message["kind"] == "ping":
            self._transport.send("pong", addr, message["number"], now)
            self.table.add_proven(sender, now.monotonic)
        elif message["kind"] == "find":
            near = self.table.closest(bytes.fromhex(message["target"]), MAX_NODES)
            texts = [str(node) for node in near if node.record is not None]
            self._transport.send("nodes", addr, message["number"], now, nodes=texts)
        else:
            self._transport.receive(message, sender, now)
        return True

    def kind_of(self, datagram: bytes) -> str | None:
        return "tiny packet" if datagram.startswith(PREFIX) else None


class TinyTransport:
    """Requests by number."""

    def __init__(self, local: LocalView, timers: Timers, traffic: Traffic) -> None:
        self._local = local
        self._timers = timers
        self._traffic = traffic
        self._asked: dict[int, tuple[NodeID, Answered, Timer]] = {}
        self._number = 0

    # as the seam wants it

    def ping(self, node: Node, done: PingDone, now: Now) -> None:
        self._ask("ping", node, partial(_pinged, done), now)

    def find_nodes(self, node: Node, target: Target, done: FindDone, now: Now) -> None:
        self._ask("find", node, partial(_found, done), now, target=target.id.hex())

    def request_record(self, node: Node, done: RecordDone, now: Now) -> None:
        self._ask("ping", node, partial(_described, done), now)

    # datagrams

    def send(self, kind: str, to: Endpoint, number: int, now: Now, **fields: Any) -> None:
        text = self._local.record.to_text()
        message = {"kind": kind, "number": number, "from": text, **fields}
        data = PREFIX + json.dumps(message).encode()
        self._traffic.send(kind, message, data, to, now)

    def receive(self, message: dict[str, Any], sender: Node, now: Now) -> None:
        asked_id, done, timer = self._asked.get(message["number"], (None, None, None))
        if asked_id == sender.id and done is not None and timer is not None:
            del self._asked[message["number"]]
            timer.cancel()
            done(message, sender, None, now)

    def _ask(self, kind: str, node: Node, done: Answered, now: Now, **fields: Any) -> None:
        to = node.udp_endpoint
        if to is None:
            done(None, None, NoEndpoint("nowhere"), now)
            return
        self._number += 1
        timer = self._timers.at(now.monotonic + TIMEOUT_S, partial(self._expire, self._number))
        self._asked[self._number] = node.id, done, timer
        self.send(kind, to, self._number, now, **fields)

    def _expire(self, number: int, now: Now) -> None:
        _, done, _ = self._asked.pop(number)
        done(None, None, NoResponse("no answer"), now)


def _pinged(
    done: PingDone,
    message: dict[str, Any] | None,
    sender: Node | None,
    error: P2PError | None,
    now: Now,
) -> None:
    done(None if sender is None else sender.seq, error, now)


def _found(
    done: FindDone,
    message: dict[str, Any] | None,
    sender: Node | None,
    error: P2PError | None,
    now: Now,
) -> None:
    texts = [] if message is None else message["nodes"]
    nodes = [Node.from_record(Record.from_text(text)) for text in texts]
    neighbors = [Neighbor(node.id, node.ip, node.udp, node.tcp, node=node) for node in nodes]
    done(None if message is None else neighbors, error, now)


def _described(
    done: RecordDone,
    message: dict[str, Any] | None,
    sender: Node | None,
    error: P2PError | None,
    now: Now,
) -> None:
    done(sender, error, now)
