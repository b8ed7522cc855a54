"""Topics in a simulated network: where ads are, and how soon they are found.

``python -m benchmarks.topicnetwork [SCENARIO ...] [--nodes N] [--moments S ...]`` prints a table
for each scenario, with a line for each topic at each moment, in seconds after the beginning of the
ads:

=========  ======================================================================
`honest`   all nodes keep to the specification
`hostile`  a fifth of the nodes lie: they confirm ads and keep none, and name each
           other, as advertisers and as nodes to ask
`flood`    an attacker with a hundred identities in one network (a /24) advertises
           the topic of 20
=========  ======================================================================

Three topics are advertised at the same time, by 2, 20 and 500 nodes (of 1,000; fewer in a smaller
network). The engines, the packets and their encryption are real; the time is not. ``tests/sim`` has
a small version.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from statistics import median

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
from p2p.enode.distance import log_distance
from p2p.enode.nodeid import NodeID
from p2p.enode.topic import topic_id
from p2p.inputs import Now
from p2p.sim import Network, Operation, SimNode

SCENARIOS = ("honest", "hostile", "flood")
#: Advertisers of each topic, in a network of a thousand nodes.
ADVERTISERS = (2, 20, 500)
FULL_SIZE = 1000
#: Part of the nodes that lie.
HOSTILE = 0.2
#: Identities of the attacker that floods a topic, their network, and the topic.
FLOODERS = 100
FLOOD_NETWORK = int(IPv4Address("45.1.1.0"))
FLOODED = 20
#: Range of the addresses of all others; public ones.
ADDRESSES = 0x0B000000, 0x2D000000
#: Time between two nodes that join, and until all tables are filled, in seconds.
JOIN_GAP_S = 0.05
SETTLE_S = 120.0
#: Times of the measurements after the beginning of the ads, in seconds: at once, when the first ads
#: are renewed, and some lifetimes later.
MOMENTS_S = (60.0, 1000.0, 2400.0)
#: Searches for each topic at each moment.
SEARCHES = 20
ENOUGH = 30
#: Time that a search may take, in seconds.
SEARCH_LIMIT_S = 120.0
LIFETIME_MS = 900_000


class Liars:
    """Nodes that keep no ads, and name each other."""

    def __init__(self, nodes: Sequence[SimNode]) -> None:
        self.ids = {node.id for node in nodes}
        self._records = {node.id: node.node.record for node in nodes}
        for node in nodes:
            node.answer_topics(self._answer)

    def _answer(
        self, request: RegTopic | TopicQuery, remote: Remote, now: Now
    ) -> list[Message]:
        others = pack_records(list(self._near(request)), 4)
        request_id = request.request_id
        if isinstance(request, RegTopic):
            total = 1 + len(others)
            first: list[Message] = [RegConfirmation(request_id, total, b"", LIFETIME_MS)]
        else:
            some = [self._rlp(node_id) for node_id in list(self.ids)[:10]]
            parts = pack_records(some, 4)
            total = len(parts) + len(others)
            first = [TopicNodes(request_id, total, part) for part in parts]
        return first + [Nodes(request_id, total, part) for part in others]

    def _near(self, request: RegTopic | TopicQuery) -> Iterator[bytes]:
        """One of them for each distance that is asked for."""
        distances = {log_distance(request.topic, node_id): node_id for node_id in self.ids}
        for distance in request.distances:
            if distance in distances:
                yield self._rlp(distances[distance])

    def _rlp(self, node_id: NodeID) -> bytes:
        record = self._records[node_id]
        assert record is not None
        return record.to_rlp()


class Search:
    """One search, until enough advertisers are found or its pass is over."""

    def __init__(self, node: SimNode, topic: bytes) -> None:
        self._network = node._network
        self._node = node
        self._topic = topic
        self._number = node.new_search()
        self._began = self._network.time
        self._datagrams = self._count()
        self.found: dict[NodeID, float] = {}  # by the time that it took
        self.took_s: float | None = None
        self.datagrams = 0
        self._operation: Operation = node.begin_find(topic, self._number)

    def step(self) -> bool:
        """Take what was found. Returns whether the search is over."""
        if self.took_s is None and self._operation.done:
            passed = self._network.time - self._began
            for node in self._operation.result:
                self.found.setdefault(node.id, passed)
            if not self._operation.result or len(self.found) >= ENOUGH:
                self.took_s = passed
                self.datagrams = self._count() - self._datagrams
            else:
                self._operation = self._node.begin_find(self._topic, self._number)
        return self.took_s is not None

    def _count(self) -> int:
        counters = self._node.counters
        return counters.packets_out["topicquery"] + counters.packets_in["topicnodes"]


@dataclass(frozen=True)
class Finding:
    """The searches for a topic at one moment; medians, times in seconds."""

    advertisers: int
    moment_s: float
    none: int  # searches that found no honest advertiser
    first_s: float
    slowest_first_s: float
    took_s: float
    found: float  # honest advertisers
    hostile: float
    datagrams: float


@dataclass(frozen=True)
class Spread:
    """The ads of a topic at one moment, those of honest advertisers at honest registrars."""

    advertisers: int
    moment_s: float
    ads: int
    present: int  # advertisers with an ad
    registrars: int
    most: int  # ads at one registrar
    hostile: int  # ads of the attacker


class World:
    """The network of a scenario."""

    def __init__(self, scenario: str, size: int, seed: int = 1) -> None:
        self.network = Network(seed, protocol="v5")
        self._random = random.Random(f"{scenario} {seed}")
        boot = self._add("boot")
        for number in range(1, size):
            self.network.run_for(JOIN_GAP_S)
            self._add(f"n{number}", boot)
        nodes = list(self.network.nodes)
        liars = self._random.sample(nodes[1:], int(size * HOSTILE)) if scenario == "hostile" else []
        self.honest = [node for node in nodes if node not in liars]
        flooders = FLOODERS * size // FULL_SIZE if scenario == "flood" else 0
        self.flooders = [self._add_flooder(number, boot) for number in range(flooders)]
        self.hostile = {node.id for node in (*liars, *self.flooders)}
        self.network.run_for(SETTLE_S)
        if liars:
            Liars(liars)
        self.advertisers = {
            count: self._random.sample(self.honest, max(2, count * size // FULL_SIZE))
            for count in ADVERTISERS
        }

    def _add(self, name: str, *bootnodes: SimNode) -> SimNode:
        """Add a node at a random address: similar ones would wait for each other."""
        ip = IPv4Address(self._random.randrange(*ADDRESSES))
        return self.network.add(name, ip=ip, bootnodes=bootnodes, topics=True)

    def _add_flooder(self, number: int, boot: SimNode) -> SimNode:
        ip = IPv4Address(FLOOD_NETWORK + 1 + number)
        return self.network.add(f"flooder {number}", ip=ip, bootnodes=[boot], topics=True)

    def advertise(self) -> None:
        """Begin all ads."""
        for count, nodes in self.advertisers.items():
            for node in nodes:
                node.advertise(topic_of(count))
        for node in self.flooders:
            node.advertise(topic_of(FLOODED))

    def find(self, count: int, moment_s: float) -> Finding:
        """Search for the topic of ``count`` advertisers."""
        others = [node for node in self.honest if node not in self.advertisers[count]]
        nodes = self._random.sample(others, min(SEARCHES, len(others)))
        searches = [Search(node, topic_of(count)) for node in nodes]
        ended = self.network.run_until(lambda: _are_over(searches), SEARCH_LIMIT_S)
        assert ended, "a search does not end"
        honest = [
            sorted(at for node_id, at in search.found.items() if node_id not in self.hostile)
            for search in searches
        ]
        firsts = [times[0] for times in honest if times] or [float("inf")]
        return Finding(
            len(self.advertisers[count]),
            moment_s,
            sum(not times for times in honest),
            median(firsts),
            max(firsts),
            median(search.took_s or 0.0 for search in searches),
            median(map(len, honest)),
            median(len(s.found) - len(h) for s, h in zip(searches, honest, strict=True)),
            median(search.datagrams for search in searches),
        )

    def spread(self, count: int, moment_s: float) -> Spread:
        """Count the ads of the topic of ``count`` advertisers."""
        ads: Counter[bytes] = Counter()
        at: Counter[bytes] = Counter()
        hostile = 0
        for node in self.honest:
            for ad in node.registrar.query(topic_of(count), self._random, node.now, 10_000):
                if ad.id in self.hostile:
                    hostile += 1
                else:
                    ads[ad.id] += 1
                    at[node.id] += 1
        most = max(at.values(), default=0)
        total = len(self.advertisers[count])
        return Spread(total, moment_s, ads.total(), len(ads), len(at), most, hostile)

    def register_packets(self) -> float:
        """Return the REGTOPIC packets of an honest advertiser of one topic, on average."""
        nodes = [node for each in self.advertisers.values() for node in each]
        return sum(node.counters.packets_out["regtopic"] for node in set(nodes)) / len(nodes)


def _are_over(searches: Sequence[Search]) -> bool:
    """Let each search take what it has found. Returns whether all are over."""
    return not [search for search in searches if not search.step()]


def topic_of(count: int) -> bytes:
    """The topic of so many advertisers."""
    return topic_id(f"topic of {count}")


def measure(
    scenario: str, size: int, moments_s: Sequence[float] = MOMENTS_S
) -> Iterator[tuple[Finding, Spread]]:
    """Run a scenario; yield the figures of each topic at each moment."""
    world = World(scenario, size)
    world.advertise()
    began = world.network.time
    for moment_s in moments_s:
        world.network.run_for(max(0.0, began + moment_s - world.network.time))
        for count in ADVERTISERS:
            spread = world.spread(count, moment_s)
            yield world.find(count, moment_s), spread
    hours = (world.network.time - began) / 3600
    print(f"REGTOPIC packets of an advertiser: {world.register_packets() / hours:.0f} an hour")


HEAD = (
    "advertisers  after  first found       found     hostile  pass    datagrams  "
    "ads: all  of nodes  at registrars  most at one  attacker's"
)


def line(finding: Finding, spread: Spread) -> str:
    """One line of the table."""
    first = f"{finding.first_s:.1f} s ({finding.slowest_first_s:.1f} s)"
    if finding.none:
        first += f", {finding.none} none"
    return (
        f"{finding.advertisers:11}  {finding.moment_s / 60:3.0f} m  {first:16}  "
        f"{finding.found:5.0f}     {finding.hostile:7.0f}  {finding.took_s:4.1f} s  "
        f"{finding.datagrams:9.0f}  {spread.ads:8}  {spread.present:8}  {spread.registrars:13}  "
        f"{spread.most:11}  {spread.hostile:10}"
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.topicnetwork", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", default=SCENARIOS)
    parser.add_argument("--nodes", type=int, default=FULL_SIZE)
    parser.add_argument("--moments", type=float, nargs="+", default=MOMENTS_S)
    options = parser.parse_args(arguments)
    for scenario in options.scenarios:
        began = time.process_time()
        print(f"{scenario}, {options.nodes} nodes\n{HEAD}")
        for finding, spread in measure(scenario, options.nodes, options.moments):
            print(line(finding, spread), flush=True)
        print(f"{time.process_time() - began:.0f} s of CPU time\n", flush=True)


if __name__ == "__main__":
    main()
