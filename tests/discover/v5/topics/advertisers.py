"""Advertisers with a record of their own, and a registrar whose clock the test moves."""

from __future__ import annotations

import random
from functools import cache
from ipaddress import ip_address

from p2p.crypto import PrivateKey
from p2p.discover.v5.topics.adcache import Ad
from p2p.discover.v5.topics.registrar import Decision, Registrar, Wait
from p2p.discover.v5.topics.waiting import RegistrarConfig
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.inputs import Now
from p2p.netutil import IPAddress

START = 1000.0
#: Time of a message on the way, in seconds.
DELAY_S = 0.01


def topic_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


@cache
def advertiser(number: int, ip: str, seq: int = 1) -> Node:
    """The node with that number, and an address in its record."""
    key = PrivateKey.from_bytes((number + 1).to_bytes(32, "big"))
    address = ip_address(ip)
    entry = {"ip" if address.version == 4 else "ip6": address}
    return Node.from_record(Record.sign(key, seq, {**entry, "udp": 30303}))


def spread(number: int) -> str:
    """An address for each number from 0 to 65535, as far from the others as 32.0.0.0/3 allows."""
    reversed_bits = int(f"{number:016b}"[::-1], 2)
    return str(ip_address(((32 << 24) | reversed_bits << 13) + 1))


def crowd(*numbers: int) -> list[Node]:
    """Advertisers with these numbers at addresses far from each other."""
    return [advertiser(number, spread(number)) for number in numbers]


class Desk:
    """A registrar and the time."""

    def __init__(self, seed: int = 1, **parameters: float) -> None:
        self.random = random.Random(seed)
        self.config = RegistrarConfig(**parameters)  # type: ignore[arg-type]
        self.registrar = Registrar(self.random.randbytes, self.config)
        self.time = START

    @property
    def now(self) -> Now:
        return Now(self.time, 0.0)

    def ask(
        self, node: Node, topic: bytes, ticket: bytes = b"", source: IPAddress | None = None
    ) -> Decision:
        source = source or node.ip
        assert source is not None
        return self.registrar.register(node, source, topic, ticket, self.now)

    def put(self, topic: bytes, *nodes: Node) -> None:
        """Put ads of these nodes into the cache, without a wait."""
        for node in nodes:
            assert node.ip is not None
            ad = Ad(topic, node, node.ip, self.time + self.config.ad_lifetime_s)
            self.registrar._admit(ad, self.registrar._cache.get(topic, node.id))

    def wait_of(self, node: Node, topic: bytes, ticket: bytes = b"") -> Wait:
        """The decision, which is to wait."""
        decision = self.ask(node, topic, ticket)
        assert isinstance(decision, Wait)
        return decision

    def quote_s(self, node: Node, topic: bytes) -> float:
        """The waiting time of a first request, in seconds."""
        assert node.ip is not None
        return self.registrar._waiting.quote(topic, node.ip, None, self.time).wait_s

    def register(self, node: Node, topic: bytes) -> float:
        """Retry in time until the ad is in the cache. Return the time that it took."""
        start, decision = self.time, self.ask(node, topic)
        while isinstance(decision, Wait):
            self.time += decision.wait_ms / 1000 + DELAY_S
            decision = self.ask(node, topic, decision.ticket)
        return self.time - start

    def found(self, topic: bytes, limit: int = 10) -> list[Node]:
        return self.registrar.query(topic, self.random, self.now, limit)
