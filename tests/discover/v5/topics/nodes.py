"""Nodes that support topics, by number, and those at a distance from a topic."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import count, islice

from p2p.crypto import PrivateKey
from p2p.discover.v5.topics.table import TOPICS_ENTRY, TOPICS_VERSION
from p2p.enode.distance import log_distance
from p2p.enode.node import Node
from p2p.enr import Record
from p2p.netutil import IPAddress
from tests.discover.v5.net import PORT, address_of, key_of

TOPIC = bytes(32)


@lru_cache(maxsize=4096)
def node_of(
    number: int,
    *,
    key: str | None = TOPICS_ENTRY,
    version: int = TOPICS_VERSION,
    ip: IPAddress | str | None = None,
    seq: int = 1,
) -> Node:
    """A node whose record has the entry ``key``, in a network of its own unless ``ip`` is given."""
    entries = {} if key is None else {key: version}
    place = address_of(number).ip if ip is None else ip
    return Node.from_record(
        Record.sign(key_of(number), seq, {**entries, "ip": str(place), "udp": PORT})
    )


def numbers_at(distance: int, topic: bytes = TOPIC, start: int = 1) -> Iterator[int]:
    """The numbers of the nodes at a distance from a topic, without end."""
    return (n for n in count(start) if log_distance(_id_of(n), topic) == distance)


def nodes_at(distance: int, how_many: int, topic: bytes = TOPIC) -> list[Node]:
    """Some nodes at a distance from a topic."""
    return [node_of(number) for number in islice(numbers_at(distance, topic), how_many)]


@lru_cache(maxsize=4096)
def _id_of(number: int) -> bytes:
    return Node.from_parts(PrivateKey.from_bytes(number.to_bytes(32, "big")).public_key).id
