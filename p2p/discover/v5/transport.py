"""Discovery v5 as a :class:`~p2p.discover.transport.Transport`.

Pure. It puts the shared requests into v5's words: a lookup asks for the nodes at some distances,
nodes are described by their records, and the record of a node is what it has at distance 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias, TypeVar, cast

from p2p.discover.local import LocalView
from p2p.discover.lookup import relay_problem
from p2p.discover.records import read_record
from p2p.discover.transport import FindDone, Neighbor, PingDone, RecordDone, Target
from p2p.discover.v5.fields import MAX_DISTANCE
from p2p.discover.v5.message import (
    FindNode,
    Message,
    Nodes,
    Ping,
    Pong,
    RegConfirmation,
    RegTopic,
    TalkRequest,
    TalkResponse,
    TopicNodes,
    TopicQuery,
)
from p2p.discover.v5.requests import LOOKUP_TRIES, TRIES, Request, Requests
from p2p.enode.distance import log_distance
from p2p.enode.node import Node
from p2p.enode.nodeid import NodeID
from p2p.enr import Record
from p2p.errors import InvalidNode, NoEndpoint, NoResponse, P2PError, PacketError
from p2p.inputs import Now
from p2p.netutil import OwnNetworks

#: Distances that a lookup asks a node for; other implementations refuse more than ten. With the
#: three of go-ethereum, nodes that are near to all others of a small network are not found for
#: long: one of eight nodes is nearer than three distances, one of 256 nearer than eight.

LOOKUP_DISTANCES = 8
#: Records that are read of a response; each costs a verification.
MAX_NODES = 16
#: Advertisers that are read of a response; F_return (discv5-theory, "Parameters").
MAX_ADVERTISERS = 10
#: Nodes whose records are not verified again when others send them. In a lookup, most of the nodes
#: of a response are those of the one before.
KNOWN_RECORDS = 1024

T = TypeVar("T")
#: Callback with the response to a talk request.
TalkDone: TypeAlias = Callable[[bytes | None, P2PError | None, Now], None]


class Confirmation(NamedTuple):
    """The response to a registration: a ticket, or b"" and the lifetime; and auxiliary nodes."""

    ticket: bytes
    wait_s: float
    nodes: list[Node]


class TopicAnswer(NamedTuple):
    """The response to a query for a topic: advertisers, and auxiliary nodes."""

    advertisers: list[Node]
    nodes: list[Node]


#: Callbacks with the responses about topics.
RegisterDone: TypeAlias = Callable[[Confirmation | None, P2PError | None, Now], None]
QueryDone: TypeAlias = Callable[[TopicAnswer | None, P2PError | None, Now], None]


class TransportV5:
    """Asks through ``requests``; hosts in ``own`` networks may name addresses there."""

    def __init__(self, requests: Requests, local: LocalView, own: OwnNetworks) -> None:
        self._requests = requests
        self._local = local
        self._own = own
        self._read_node = lru_cache(KNOWN_RECORDS)(_node_of)

    def ping(self, node: Node, done: PingDone, now: Now) -> None:
        """Ping a node."""
        self._ask(node, Ping(b"", self._local.record.seq), _seq_of, done, now)

    def find_nodes(self, node: Node, target: Target, done: FindDone, now: Now) -> None:
        """Send a findnode with the distances that are next to that of the target, once."""
        self.find_at(node, distances_to(target.id, node.id), done, now, LOOKUP_TRIES)

    def find_at(
        self,
        node: Node,
        distances: Sequence[int],
        done: FindDone,
        now: Now,
        most_tries: int = TRIES,
    ) -> None:
        """Send a findnode; ``done`` gets the nodes that are where they should be."""
        read = partial(self._neighbors_at, node.id, frozenset(distances))
        self._ask(node, FindNode(b"", distances), read, done, now, most_tries)

    def request_record(self, node: Node, done: RecordDone, now: Now) -> None:
        """Ask a node for itself."""
        self._ask(node, FindNode(b"", (0,)), partial(self._read_record, node), done, now)

    def talk(
        self, node: Node, protocol: bytes, request: bytes, done: TalkDone, now: Now
    ) -> None:
        """Send a request of an application's protocol."""
        self._ask(node, TalkRequest(b"", protocol, request), _response_of, done, now)

    def register_topic(
        self,
        node: Node,
        topic: bytes,
        ticket: bytes,
        distances: Sequence[int],
        done: RegisterDone,
        now: Now,
    ) -> None:
        """Ask a node to keep our ad; ``distances`` from the topic are those of nodes wanted."""
        record = self._local.record.to_rlp()
        request = RegTopic(b"", topic, record, ticket, distances)
        self._ask(node, request, partial(self._read_confirmation, node, request), done, now)

    def query_topic(
        self, node: Node, topic: bytes, distances: Sequence[int], done: QueryDone, now: Now
    ) -> None:
        """Ask a node for the ads of a topic; ``distances`` as for a registration."""
        request = TopicQuery(b"", topic, distances)
        self._ask(node, request, partial(self._read_topic_answer, node, request), done, now)

    def _ask(
        self,
        node: Node,
        request: Request,
        read: Callable[[Sequence[Message]], T],
        done: Callable[[T | None, P2PError | None, Now], None],
        now: Now,
        most_tries: int = TRIES,
    ) -> None:
        """Send a request; ``read`` makes the result of its responses, or raises PacketError."""
        to = node.udp_endpoint
        if to is None:
            done(None, NoEndpoint("no UDP endpoint of the node is known"), now)
            return

        def answered(responses: Sequence[Message] | None, now: Now) -> None:
            if responses is None:
                done(None, NoResponse(f"no answer to the {request.kind}"), now)
                return
            try:
                result = read(responses)
            except PacketError as error:
                done(None, error, now)
            else:
                done(result, None, now)

        self._requests.ask(node, to, request, answered, now, most_tries)

    def _neighbors_at(
        self, node_id: NodeID, distances: frozenset[int], responses: Sequence[Message]
    ) -> list[Neighbor]:
        """The nodes of a response that are valid and at the wanted distances."""
        neighbors: dict[NodeID, Neighbor] = {}
        for record in _records(responses):
            try:
                node = self._read_node(record)
            except InvalidNode:
                continue
            if log_distance(node_id, node.id) in distances:
                found = Neighbor(node.id, node.ip, node.udp, node.tcp, node=node)
                neighbors.setdefault(node.id, found)
        return list(neighbors.values())

    def _read_confirmation(
        self, node: Node, request: RegTopic, responses: Sequence[Message]
    ) -> Confirmation:
        confirmation = next((each for each in responses if isinstance(each, RegConfirmation)), None)
        if confirmation is None:
            raise PacketError("confirmation", "nodes without the confirmation")
        nodes = self._auxiliary(node, request, responses)
        return Confirmation(confirmation.ticket, confirmation.wait_ms / 1000, nodes)

    def _read_topic_answer(
        self, node: Node, request: TopicQuery, responses: Sequence[Message]
    ) -> TopicAnswer:
        ads = [rlp for each in responses if isinstance(each, TopicNodes) for rlp in each.records]
        advertisers = self._nodes_of(node, ads[:MAX_ADVERTISERS])
        return TopicAnswer(advertisers, self._auxiliary(node, request, responses))

    def _auxiliary(
        self, sender: Node, request: RegTopic | TopicQuery, responses: Sequence[Message]
    ) -> list[Node]:
        """Return the nodes of NODES responses: one for each topic distance that was asked for.

        No more are taken: a hostile registrar may have many for one distance (discv5-theory,
        "Auxiliary ENR Selection").
        """
        nodes = [each for each in responses if isinstance(each, Nodes)]
        found: dict[int, Node] = {}
        for node in self._nodes_of(sender, _records(nodes)):
            found.setdefault(log_distance(request.topic, node.id), node)
        return [found[distance] for distance in request.distances if distance in found]

    def _nodes_of(self, sender: Node, records: Iterable[bytes]) -> list[Node]:
        """Return the nodes of valid records whose address the sender may name."""
        assert sender.ip is not None
        nodes = []
        for record in records:
            try:
                node = self._read_node(record)
            except InvalidNode:
                continue
            if relay_problem(sender.ip, node.ip, self._own) is None:
                nodes.append(node)
        return nodes

    def _read_record(self, node: Node, responses: Sequence[Message]) -> Node:
        records = list(_records(responses))
        try:
            if len(records) != 1:
                raise PacketError("record", f"{len(records)} records at distance 0")
            assert node.ip is not None
            return read_record(node, node.ip, records[0], self._own)
        except (InvalidNode, PacketError) as fault:
            raise PacketError("record", f"invalid record: {fault}") from fault


def distances_to(target_id: NodeID, node_id: NodeID) -> tuple[int, ...]:
    """Return the distance of the target from a node, and those next to it, nearest first."""
    distance = log_distance(target_id, node_id)
    steps = range(1, LOOKUP_DISTANCES)
    near = [distance] + [near for step in steps for near in (distance + step, distance - step)]
    return tuple([near for near in near if 0 < near <= MAX_DISTANCE][:LOOKUP_DISTANCES])


def _seq_of(responses: Sequence[Message]) -> int:
    return cast(Pong, responses[0]).enr_seq


def _response_of(responses: Sequence[Message]) -> bytes:
    return cast(TalkResponse, responses[0]).response


def _node_of(rlp: bytes) -> Node:
    """Verify a record. Raises InvalidNode."""
    return Node.from_record(Record.from_rlp(rlp))


def _records(responses: Sequence[Message]) -> Iterator[bytes]:
    records = [record for response in responses for record in cast(Nodes, response).records]
    yield from records[:MAX_NODES]
