"""Topics at one node: registrar for others, advertiser of its own topics, searches.

Pure. It joins the parts beside it to the engine: requests of others come in through
:meth:`Topics.receive`, its own go out through the engine's transport, and its timers are the
engine's. Specification: discv5-theory, "Topic-based Service Discovery".

All topics of a node share one table of failures; a topic has one service table for its ads and its
searches. Tables and searches are bounded in number: the one used least recently goes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from p2p.crypto import Entropy
from p2p.discover.local import LocalView
from p2p.discover.lookup import Overlay, relay_problem
from p2p.discover.timers import Timer, Timers
from p2p.discover.v5.fields import pack_records
from p2p.discover.v5.message import (
    Message,
    Nodes,
    RegConfirmation,
    RegTopic,
    TopicNodes,
    TopicQuery,
)
from p2p.discover.v5.sessions import Remote
from p2p.discover.v5.topics.advertiser import Advertiser
from p2p.discover.v5.topics.discoverer import Discoverer
from p2p.discover.v5.topics.registrar import Admitted, Refused, Registrar
from p2p.discover.v5.topics.table import TopicTable, supports_topics
from p2p.discover.v5.topics.usability import Usability
from p2p.discover.v5.transport import Confirmation, TopicAnswer, TransportV5
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.errors import InvalidNode, P2PError, PacketError, ServerStateError
from p2p.inputs import Now, RandomSource

#: Auxiliary records in a response; four messages of full size.
MAX_AUXILIARY = 12
#: Messages in a response of each type with records.
MAX_PARTS = 4
#: Topics with a service table, and searches, at most.
MAX_TABLES = 64
MAX_SEARCHES = 256
#: Topics that a node may advertise at once.
MAX_ADVERTISED = 64
#: Interval at which a search looks for registrars while none is known, in seconds, and number of
#: times. After the start of a node it takes some seconds until the first is known to be alive.
NO_REGISTRAR_PAUSE_S = 2.0
MAX_PAUSES = 10
#: Age at which the list of nodes that support topics is made again, in seconds.
SUPPORTERS_AGE_S = 5.0

#: Gets the advertisers that a search has found, none at the end of a pass.
Found: TypeAlias = Callable[[list[Node], Now], None]


@dataclass(slots=True, eq=False)
class _Search:
    """A search in passes: each goes through the whole service table."""

    topic: bytes
    discoverer: Discoverer | None = None
    found: list[Node] = field(default_factory=list)
    done: Found | None = None  # set while the owner waits
    pauses: int = 0  # in a row, without a registrar


@dataclass(slots=True, eq=False)
class _Ads:
    """The advertiser of a topic, and the number of those who want it."""

    advertiser: Advertiser
    wanted: int = 0


class Topics:
    """Topics at the node of ``overlay``; ``entropy`` makes the registrar's key."""

    def __init__(
        self,
        overlay: Overlay,
        transport: TransportV5,
        timers: Timers,
        local: LocalView,
        entropy: Entropy,
        random: RandomSource,
    ) -> None:
        self.registrar = Registrar(entropy, own=overlay.own)
        self._overlay = overlay
        self._transport = transport
        self._timers = timers
        self._local = local
        self._random = random
        self._own_id = overlay.table.self_id
        self._usability = Usability()
        self._tables: OrderedDict[bytes, TopicTable] = OrderedDict()
        self._ads: dict[bytes, _Ads] = {}
        self._searches: OrderedDict[int, _Search] = OrderedDict()
        self._supporters: list[tuple[int, Node]] = []
        self._supporters_since = float("-inf")
        self._timer: Timer | None = None
        self._due = float("inf")

    # Requests of others.

    def receive(self, request: RegTopic | TopicQuery, remote: Remote, now: Now) -> list[Message]:
        """Return the response to a request that came under a session.

        Raises PacketError for one that gets none.
        """
        if isinstance(request, TopicQuery):
            return self._on_query(request, remote, now)
        return self._on_register(request, remote, now)

    def _on_query(self, request: TopicQuery, remote: Remote, now: Now) -> list[Message]:
        ads = self.registrar.query(request.topic, self._random, now)
        records = [_rlp(node) for node in ads if self._may_name(node, remote)]
        advertisers = pack_records(records, MAX_PARTS)
        others = self._auxiliary(request, remote, now)
        request_id, total = request.request_id, len(advertisers) + len(others)
        return [
            *(TopicNodes(request_id, total, part) for part in advertisers),
            *(Nodes(request_id, total, part) for part in others),
        ]

    def _on_register(self, request: RegTopic, remote: Remote, now: Now) -> list[Message]:
        try:
            node = Node.from_record(Record.from_rlp(request.record))
        except InvalidNode as error:
            raise PacketError("record", f"invalid record of an ad: {error}") from error
        if node.id != remote[0]:
            # discv5-wire, "REGTOPIC": the sender registers itself.
            raise PacketError("record", "the record of an ad is of another node")
        topic, ticket = request.topic, request.ticket
        decision = self.registrar.register(node, remote[1].ip, topic, ticket, now)
        self._schedule(self.registrar.deadline)
        if isinstance(decision, Refused):
            raise PacketError("ad", f"an ad that cannot be kept: {decision.reason}")
        others = self._auxiliary(request, remote, now)
        request_id, total = request.request_id, 1 + len(others)
        if isinstance(decision, Admitted):
            answer = RegConfirmation(request_id, total, b"", decision.lifetime_ms)
        else:
            answer = RegConfirmation(request_id, total, decision.ticket, decision.wait_ms)
        return [answer, *(Nodes(request_id, total, part) for part in others)]

    def _auxiliary(
        self, request: RegTopic | TopicQuery, remote: Remote, now: Now
    ) -> list[list[bytes]]:
        """Return records of nodes that support topics, one for each distance asked for.

        discv5-theory, "Auxiliary ENR Selection". No empty part.
        """
        known: dict[int, list[Node]] = {}
        topic = int.from_bytes(request.topic, "big")
        for number, node in self._live_supporters(now):
            known.setdefault((number ^ topic).bit_length(), []).append(node)
        table = self._tables.get(request.topic)
        records: list[bytes] = []
        for distance in dict.fromkeys(request.distances):
            nodes = known.get(distance) or ([] if table is None else table.proven_at(distance))
            nodes = [each for each in nodes if self._may_name(each, remote)]
            if nodes and len(records) < MAX_AUXILIARY:
                records.append(_rlp(nodes[self._random.randrange(len(nodes))]))
        return pack_records(records, MAX_PARTS) if records else []

    def _may_name(self, node: Node, remote: Remote) -> bool:
        problem = relay_problem(remote[1].ip, node.ip, self._overlay.own)
        return node.id != remote[0] and problem is None

    # Ads of our own.

    def advertise(self, topic: bytes, now: Now) -> None:
        """Begin to advertise a topic, or count one more reason to.

        Raises ServerStateError for more than MAX_ADVERTISED topics.
        """
        ads = self._ads.get(topic)
        if ads is None:
            if len(self._ads) >= MAX_ADVERTISED:
                raise ServerStateError(f"{MAX_ADVERTISED} topics are advertised already")
            advertiser = Advertiser(self._table(topic), self._usability, self._random)
            ads = self._ads[topic] = _Ads(advertiser)
        ads.wanted += 1
        self._advance(topic, now)

    def withdraw(self, topic: bytes) -> None:
        """Count one reason less to advertise; after the last, let the ads expire."""
        ads = self._ads.get(topic)
        if ads is not None:
            ads.wanted -= 1
            if not ads.wanted:
                del self._ads[topic]

    def registrars(self, topic: bytes, now: Now) -> list[Node]:
        """Return the nodes that have our ad of a topic, as far as we know."""
        ads = self._ads.get(topic)
        return [] if ads is None else ads.advertiser.registrars(now.monotonic)

    @property
    def advertised(self) -> list[bytes]:
        """The topics that are advertised."""
        return list(self._ads)

    def _advance(self, topic: bytes, now: Now) -> None:
        """Send the requests for the ads of a topic that are due."""
        ads = self._ads.get(topic)
        if ads is None:
            return
        advertiser = ads.advertiser
        self._fill(advertiser.table, now)
        for node, ticket in advertiser.requests(now.monotonic, self._knows_our_address):
            done = partial(self._registered, topic, advertiser, node)
            distances = advertiser.table.free_distances()
            self._transport.register_topic(node, topic, ticket, distances, done, now)
        self._schedule(advertiser.deadline)

    def _knows_our_address(self, registrar: Node) -> bool:
        """Whether our record names an address that a registrar may see us at.

        Others refuse us without an answer (:mod:`.registrar`). After the start we do not know our
        address yet, and a registrar is not to count as silent for that.
        """
        assert registrar.ip is not None
        record = self._local.record
        own = record.ip if registrar.ip.version == 4 else record.ip6
        return relay_problem(registrar.ip, own, self._overlay.own) is None

    def _registered(
        self,
        topic: bytes,
        advertiser: Advertiser,
        node: Node,
        confirmation: Confirmation | None,
        error: P2PError | None,
        now: Now,
    ) -> None:
        if confirmation is None:
            self._failed(advertiser.table, node, now)
            advertiser.failed(node.id, now.monotonic)
        else:
            self._learn(advertiser.table, node, confirmation.nodes, now)
            ticket, wait_s = confirmation.ticket, confirmation.wait_s
            advertiser.confirmed(node.id, ticket, wait_s, now.monotonic)
        self._advance(topic, now)

    # Searches.

    def search(self, number: int, topic: bytes, done: Found, now: Now) -> None:
        """Go on with the search ``number`` until it finds advertisers, or its pass ends.

        A new one begins if there is none of that number. ``done`` is called once.
        """
        search = self._searches.pop(number, None) or _Search(topic)
        self._searches[number] = search
        if len(self._searches) > MAX_SEARCHES:
            self._searches.popitem(last=False)
        search.done, search.pauses = done, 0
        self._resume(search, now)

    def _resume(self, search: _Search, now: Now) -> None:
        if search.discoverer is None:
            search.discoverer = self._begin_pass(search, now)
        self._proceed(search, now)

    def _begin_pass(self, search: _Search, now: Now) -> Discoverer:
        table = self._table(search.topic)
        self._fill(table, now)
        discoverer = Discoverer(table, self._usability, self._random, self._own_id)
        # In a small network the ad of another may be here and nowhere else.
        own = self.registrar.query(search.topic, self._random, now)
        search.found += discoverer.answered(self._own_id, own)
        return discoverer

    def _proceed(self, search: _Search, now: Now) -> None:
        discoverer = search.discoverer
        if search.done is None or discoverer is None:
            return
        if not search.found:
            distances = discoverer.table.free_distances()
            for node in discoverer.queries(now.monotonic):
                answered = partial(self._answered, search, discoverer, node)
                self._transport.query_topic(node, search.topic, distances, answered, now)
        if search.done is not None and (search.found or discoverer.is_finished):
            if not search.found and not discoverer.query_count and search.pauses < MAX_PAUSES:
                search.discoverer, search.pauses = None, search.pauses + 1
                wake_at = now.monotonic + NO_REGISTRAR_PAUSE_S
                self._timers.at(wake_at, partial(self._resume, search))
                return
            done, search.done = search.done, None
            found, search.found = search.found, []
            if not found:
                search.discoverer = None
            done(found, now)

    def _answered(
        self,
        search: _Search,
        discoverer: Discoverer,
        node: Node,
        answer: TopicAnswer | None,
        error: P2PError | None,
        now: Now,
    ) -> None:
        if answer is None:
            self._failed(discoverer.table, node, now)
            discoverer.failed(node.id)
        else:
            self._learn(discoverer.table, node, answer.nodes, now)
            restrict = self._overlay.net_restrict
            places = [each.within(restrict) for each in answer.advertisers]
            allowed = [each for each in places if self._allows(node, each)]
            search.found += discoverer.answered(node.id, allowed)
        self._proceed(search, now)

    # Tables.

    def _table(self, topic: bytes) -> TopicTable:
        table = self._tables.pop(topic, None)
        if table is None:
            table = TopicTable(topic, self._own_id, self._overlay.own)
        self._tables[topic] = table
        if len(self._tables) > MAX_TABLES:
            self._tables.popitem(last=False)
        return table

    def _fill(self, table: TopicTable, now: Now) -> None:
        """Offer the nodes of the node table (discv5-theory, "Ongoing Maintenance of B(s)")."""
        for _, node in self._live_supporters(now):
            if self._usability.is_usable(node.id, now.monotonic):
                table.add(node, proven=True)

    def _live_supporters(self, now: Now) -> list[tuple[int, Node]]:
        """Return the live nodes of the node table that support topics, with their IDs as numbers.

        It would take too long for each request of others.
        """
        if now.monotonic >= self._supporters_since + SUPPORTERS_AGE_S:
            self._supporters_since = now.monotonic
            nodes = filter(supports_topics, self._overlay.table.live())
            self._supporters = [(int.from_bytes(node.id, "big"), node) for node in nodes]
        return self._supporters

    def _learn(self, table: TopicTable, sender: Node, nodes: Sequence[Node], now: Now) -> None:
        """Take an answer: its sender has proven itself, its auxiliary nodes are offered."""
        self._usability.answered(sender.id)
        table.prove(sender.id)
        for node in map(self._overlay.at_first_endpoint, nodes):
            if not self._allows(sender, node):
                continue
            table.add(node, proven=False)
            # The node table pings it (discv5-theory, "Updating the Search Table During Lookup").
            if self._overlay.table.has_room(node.id):
                self._overlay.table.add_found(node, now.monotonic)

    def _failed(self, table: TopicTable, node: Node, now: Now) -> None:
        self._usability.failed(node.id, now.monotonic)
        if not self._usability.is_usable(node.id, now.monotonic):
            table.remove(node.id)

    def _allows(self, sender: Node, node: Node) -> bool:
        """Whether a node may be used at its address, which ``sender`` has named."""
        if node.id == self._own_id or node.ip is None or sender.ip is None:
            return False
        problem = relay_problem(sender.ip, node.ip, self._overlay.own)
        return problem is None and self._overlay.allows(node.ip)

    # Timers.

    def _schedule(self, when: float) -> None:
        """Wake at ``when``, or earlier."""
        if when >= self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = when
        self._timer = self._timers.at(when, self._wake)

    def _wake(self, now: Now) -> None:
        self._timer, self._due = None, float("inf")
        self.registrar.handle_timeout(now)
        self._schedule(self.registrar.deadline)
        for topic in list(self._ads):
            self._advance(topic, now)


def _rlp(node: Node) -> bytes:
    assert node.record is not None
    return node.record.to_rlp()
