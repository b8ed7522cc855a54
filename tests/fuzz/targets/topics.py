"""Tickets of topic registrations (discv5-theory, "Tickets"), as a registrar gets them back.

The body of a repaired case is the content of a ticket, sealed with the registrar's key: the three
times of a ticket in any combination, up to nine years, which no clock has run. Otherwise the body
is the ticket as it comes from the wire.

The registrar never raises. A ticket that is not one of its own counts as none; none of any content
gets an ad into a full cache, or makes an advertiser wait longer than an ad lives.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from p2p.crypto import PrivateKey
from p2p.discover.v5.topics.adcache import Ad
from p2p.discover.v5.topics.registrar import Admitted, Decision, Refused, Registrar, Wait
from p2p.discover.v5.topics.ticket import TICKET_SIZE, Ticket, ad_digest
from p2p.discover.v5.topics.waiting import RegistrarConfig
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.inputs import Now
from tests.fuzz.target import REPAIRED, Target

TOPIC = bytes(range(32))
NOW = Now(10_000.0, 1_600_000_000.0)
CAPACITY = 4
NODES = [
    Node.from_record(
        Record.sign(PrivateKey.from_bytes(bytes([n]) * 32), 1, ip=f"20.{n}.0.1", udp=30303)
    )
    for n in range(1, CAPACITY + 2)
]
NODE = NODES[0]
_BODY_SIZE = 20
_NONCE = (1 << 64).to_bytes(12, "big")


@dataclass
class Request:
    """A ticket, and the registrar that gets it."""

    ticket: bytes
    ads: int
    registrar: Registrar = field(init=False)

    def __post_init__(self) -> None:
        config = RegistrarConfig(capacity=CAPACITY)
        self.registrar = Registrar(random.Random(1).randbytes, config)
        for node in NODES[1 : 1 + self.ads]:
            assert node.ip is not None
            self.registrar._admit(Ad(TOPIC, node, node.ip, NOW.monotonic + 900.0), None)


def build(variant: int, repaired: bool, body: bytes) -> Request:
    request = Request(body, variant % (CAPACITY + 1))
    if repaired:
        assert NODE.record is not None and NODE.ip is not None
        content = bytearray(body[:_BODY_SIZE].ljust(_BODY_SIZE, b"\0"))
        content[0:2] = content[8:10] = bytes(2)  # microseconds
        associated = ad_digest(TOPIC, NODE.record) + NODE.ip.packed
        cipher = request.registrar._tickets._cipher
        request.ticket = _NONCE + cipher.encrypt(_NONCE, bytes(content), associated)
    return request


def decode(request: Request) -> Decision:
    assert NODE.ip is not None
    return request.registrar.register(NODE, NODE.ip, TOPIC, request.ticket, NOW)


def check(request: Request, decision: Decision) -> None:
    registrar = request.registrar
    assert not isinstance(decision, Refused)
    assert len(registrar) == request.ads + isinstance(decision, Admitted) <= CAPACITY
    if isinstance(decision, Wait):
        assert 1 <= decision.wait_ms <= 900_000 and len(decision.ticket) == TICKET_SIZE
        assert registrar.counters["waiting"] == 1


def label(decision: Decision) -> str:
    return f"accepted: {type(decision).__name__.lower()}"


def seeds() -> list[bytes]:
    tickets = [
        Ticket(9000.0, 9990.0, 5000),
        Ticket(0.0, 9100.0, 900_000),
        Ticket(9999.0, 9999.0, 60_000),
        Ticket(0.0, 9999.999, 1),
    ]
    bodies = [
        round(first * 1e6).to_bytes(8, "big")
        + round(last * 1e6).to_bytes(8, "big")
        + wait_ms.to_bytes(4, "big")
        for first, last, wait_ms in tickets
    ]
    real = build(0, True, bodies[0]).ticket
    return [
        *(bytes([REPAIRED | variant << 1]) + body for variant in (0, 2, 4) for body in bodies),
        *(b"\0" + ticket for ticket in (b"", real, bytes(TICKET_SIZE), real[:-1])),
    ]


TARGETS = (
    Target(
        "topic-ticket",
        seeds=seeds,
        build=build,
        decode=decode,
        errors=(),
        check=check,
        label=label,
        reads_rlp=False,
        max_size=100,
    ),
)
