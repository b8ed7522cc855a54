"""A registrar of topics: the time of a request, the memory that requests leave, and a flood.

``python -m benchmarks.topics`` prints all. The time is CPU time of one thread, the best of several
rounds, with 250 ads in the cache (20 topics of 100 advertisers keep fewer there), and with 999. The
memory is that which Python allocates, of the registrar and of all that it refers to: the nodes with
their records are made for each request, as an engine does. The flood is of one topic, by attackers
who return with their tickets in time.
"""

from __future__ import annotations

import os
import random
import time
import tracemalloc
from collections.abc import Callable
from heapq import heappop, heappush
from ipaddress import IPv4Address, IPv6Address

from p2p.crypto import PrivateKey
from p2p.discover.v5.topics.adcache import Ad
from p2p.discover.v5.topics.registrar import Registrar, Wait
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.inputs import Now

REQUESTS = 100_000
NODES = 2000
ROUNDS = 7
CALLS = 1000
TOPICS = [number.to_bytes(32, "big") for number in range(20)]


def encoded_records(count: int, version: int, rng: random.Random) -> list[bytes]:
    """Return the records of so many nodes, each at an address of its own."""
    records = []
    for number in range(1, count + 1):
        key = PrivateKey.from_bytes(number.to_bytes(32, "big"))
        if version == 4:
            ip4 = IPv4Address(rng.randrange(0x0B000000, 0x64000000))
            records.append(Record.sign(key, 1, ip=ip4, udp=30303, tcp=30303).to_rlp())
        else:
            ip6 = IPv6Address(0x2A << 120 | rng.getrandbits(120))
            records.append(Record.sign(key, 1, ip6=ip6, udp=30303, tcp=30303).to_rlp())
    return records


def node_of(record: bytes) -> Node:
    return Node.from_record(Record.from_rlp(record))


def fill(registrar: Registrar, nodes: list[Node], now: Now) -> None:
    """Put an ad of each node into the cache."""
    for number, node in enumerate(nodes):
        assert node.ip is not None
        ad = Ad(TOPICS[number % len(TOPICS)], node, node.ip, now.monotonic + 900.0)
        registrar._admit(ad, None)


def best_us(call: Callable[[int], object]) -> float:
    """Return the CPU time of one call, in microseconds."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.thread_time()
        for number in range(CALLS):
            call(number)
        best = min(best, time.thread_time() - start)
    return best / CALLS * 1e6


def times(version: int, ads: int) -> None:
    """Print the time of each kind of request, with so many ads in the cache."""
    rng, now = random.Random(1), Now(1000.0, 0.0)
    nodes = [node_of(record) for record in encoded_records(1000, version, rng)]
    registrar = Registrar(os.urandom)
    fill(registrar, nodes[:ads], now)
    tickets = []

    def register(number: int, ticket: bytes = b"") -> object:
        node = nodes[number % 1000]
        assert node.ip is not None
        topic = TOPICS[(number + 7) % len(TOPICS)]
        return registrar.register(node, node.ip, topic, ticket, now)

    for number in range(1000):
        decision = register(number)
        assert isinstance(decision, Wait)
        tickets.append(decision.ticket)

    first_us = best_us(register)
    retry_us = best_us(lambda number: register(number, tickets[number]))
    query_us = best_us(lambda number: registrar.query(TOPICS[number % 20], rng, now))
    print(f"IPv{version}, {ads:4} ads: first {first_us:5.1f} µs, retry {retry_us:5.1f} µs,"
          f" query {query_us:5.1f} µs")  # fmt: skip


Queue = list[tuple[float, int, bytes]]


def queue_of(count: int, rng: random.Random) -> Queue:
    """Return the first requests of so many advertisers: time, number, ticket."""
    return sorted((1000.0 + rng.random() * 900.0, number, b"") for number in range(count))


def ask(registrar: Registrar, queue: Queue, node: Node, topic: bytes) -> bool:
    """Make the next request of the queue, and enqueue the one after it; whether it is admitted."""
    at, number, ticket = heappop(queue)
    assert node.ip is not None
    decision = registrar.register(node, node.ip, topic, ticket, Now(at, 0.0))
    if isinstance(decision, Wait):
        heappush(queue, (at + decision.wait_ms / 1000 + 0.05, number, decision.ticket))
        return False
    heappush(queue, (at + 850.0, number, b""))
    return True


def honest(registrar: Registrar, records: list[bytes], rng: random.Random) -> None:
    """Let advertisers register and renew, each in time, for so many requests."""
    queue = queue_of(len(records), rng)
    for _ in range(REQUESTS):
        number = queue[0][1]
        ask(registrar, queue, node_of(records[number]), TOPICS[number % len(TOPICS)])


def flood(registrar: Registrar, records: list[bytes], rng: random.Random) -> None:
    """Ask for ads of random topics, with tickets that are not valid."""
    for number in range(REQUESTS):
        node = node_of(records[number % len(records)])
        assert node.ip is not None
        at = Now(1000.0 + number / 200.0, 0.0)
        registrar.register(node, node.ip, rng.randbytes(32), rng.randbytes(48), at)


def memory(name: str, version: int, ads: int, run: Callable[..., None]) -> None:
    """Print the memory of a registrar after a run, and its peak."""
    rng = random.Random(1)
    records = encoded_records(NODES, version, rng)
    tracemalloc.start()
    registrar = Registrar(os.urandom)
    fill(registrar, [node_of(record) for record in records[:ads]], Now(1000.0, 0.0))
    before = tracemalloc.get_traced_memory()[0]
    run(registrar, records, rng)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{name}, IPv{version}: {ads} ads, {before // 1024:,} KiB; after {REQUESTS:,} requests"
          f" {len(registrar)} ads, {after // 1024:,} KiB, peak {peak // 1024:,} KiB;"
          f" {dict(registrar.counters)}")  # fmt: skip


def siege(attackers: int, topics: int, hours: float = 8.0) -> None:
    """Print the ads of 20 nodes of one topic, beside attackers of one /20 and nodes of others."""
    rng = random.Random(1)
    nodes = [node_of(record) for record in encoded_records(20 * topics, 4, rng)]
    for number in range(attackers):
        key = PrivateKey.from_bytes((number + 10_000).to_bytes(32, "big"))
        ip = IPv4Address((60 << 24) + number)
        nodes.append(Node.from_record(Record.sign(key, 1, ip=ip, udp=30303)))
    registrar, queue = Registrar(os.urandom), queue_of(len(nodes), rng)
    admitted = [0, 0, 0]  # of the topic, of other topics, of the attackers
    while queue[0][0] < 1000.0 + hours * 3600.0:
        number = queue[0][1]
        kind = 2 if number >= 20 * topics else int(number >= 20)
        topic = TOPICS[0 if kind == 2 else number // 20]
        admitted[kind] += ask(registrar, queue, nodes[number], topic)
    per_hour = [
        count / max(1, nodes) / hours
        for count, nodes in zip(admitted, (20, 20 * (topics - 1), attackers), strict=True)
    ]
    print(f"{attackers:4} attackers, {topics:2} topics: ads for a node and hour: topic"
          f" {per_hour[0]:.2f}, other topics {per_hour[1]:.2f}, attackers {per_hour[2]:.2f};"
          f" at the end {len(registrar)} ads")  # fmt: skip


def main() -> None:
    """Print all measurements."""
    for version in (4, 6):
        for ads in (250, 999):
            times(version, ads)
    memory("advertisers", 4, 0, honest)
    memory("flood", 4, 0, flood)
    for version in (4, 6):
        memory("flood", version, 1000, flood)
    for topics in (1, 20):
        for attackers in (0, 300, 3000):
            siege(attackers, topics)


if __name__ == "__main__":
    main()
