"""The fields of messages of discovery v5, and their bounds.

Pure. The messages themselves are in :mod:`p2p.discover.v5.message`, which has the table of their
fields. Functions that write raise EncodeError, those that read DecodeError.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from p2p.codec import decode as decode_rlp
from p2p.codec import encode as encode_rlp
from p2p.codec import encode_list, encode_uint, raw_items
from p2p.enr import SIZE_LIMIT as RECORD_SIZE_LIMIT
from p2p.errors import DecodeError, EncodeError
from p2p.netutil import IPAddress, unmap

MAX_DISTANCE = 256
TOPIC_SIZE = 32
#: Largest ticket, in bytes: the largest REGTOPIC then fits a handshake packet. The specification
#: names no limit; a registrar of ours makes smaller ones.
MAX_TICKET_SIZE = 256
#: Topic distances that are read of a request. A table has fewer buckets with nodes in them.
MAX_TOPIC_DISTANCES = 32
MAX_UINT64 = 2**64 - 1
MAX_PORT = 0xFFFF
#: Bytes of records in one message: 1,280 less the head (71), the tag (16) and the rest of the list
#: (20).
MAX_RECORD_BYTES = 1170
#: Bound for splitting a list; a datagram has no room for more items.
_MAX_ITEMS = 1280


def uint_item(name: str, value: int, limit: int) -> bytes:
    """Return the encoding of a number from 0 to ``limit``."""
    if not 0 <= value <= limit:
        raise EncodeError(f"{name} {value} is not in 0..{limit}")
    return encode_uint(value)


def checked(name: str, value: int, limit: int) -> int:
    """Return a number that was read. Refuses one beyond ``limit``."""
    if value > limit:
        raise DecodeError(f"{name} beyond {limit}")
    return value


def read_ip(packed: bytes) -> IPAddress:
    """Read an address of 4 or 16 bytes; an IPv4 address in IPv6 form becomes IPv4."""
    if len(packed) == 4:
        return IPv4Address(packed)
    if len(packed) == 16:
        return unmap(IPv6Address(packed))
    raise DecodeError(f"an IP address of {len(packed)} bytes")


def read_items(data: bytes, count: int) -> list[bytes]:
    """Split a list of exactly ``count`` items, which stay encoded."""
    items = raw_items(data, _MAX_ITEMS)
    if len(items) != count:
        raise DecodeError(f"a list of {len(items)} items, expected {count}")
    return items


def record_items(total: int, records: Sequence[bytes]) -> list[bytes]:
    """Return the encoding of total and records, as in NODES and TOPICNODES."""
    for record in records:
        check_own_record(record)
    return [uint_item("total", total, 0xFF), encode_list(records)]


def read_records(data: bytes) -> tuple[bytes, int, tuple[bytes, ...]]:
    """Read NODES or TOPICNODES: return request ID, total and records, each a list in RLP."""
    items = read_items(data, 3)
    total = checked("total", decode_rlp(items[1], int), 0xFF)
    records = tuple(raw_items(items[2], _MAX_ITEMS))
    for record in records:
        check_record(record)
    return decode_rlp(items[0], bytes), total, records


def check_own_record(record: bytes) -> None:
    """Refuse to send anything but one list, which would break the message."""
    try:
        check_record(record)
    except DecodeError as error:
        raise EncodeError(f"not a record: {error}") from error


def check_record(record: bytes) -> None:
    """Refuse anything but a list of at most 300 bytes; :class:`p2p.enr.Record` verifies it."""
    if len(record) > RECORD_SIZE_LIMIT:
        raise DecodeError(f"a record of {len(record)} bytes")
    raw_items(record, RECORD_SIZE_LIMIT)


def sized(name: str, value: bytes, limit: int) -> bytes:
    """Return a value to be written, of at most ``limit`` bytes."""
    if len(value) > limit:
        raise EncodeError(f"a {name} of {len(value)} bytes")
    return value


def topic_item(topic: bytes) -> bytes:
    """Return the encoding of a topic."""
    if len(topic) != TOPIC_SIZE:
        raise EncodeError(f"a topic of {len(topic)} bytes")
    return encode_rlp(topic)


def read_topic(data: bytes) -> bytes:
    """Read a topic."""
    topic = decode_rlp(data, bytes)
    if len(topic) != TOPIC_SIZE:
        raise DecodeError(f"a topic of {len(topic)} bytes")
    return topic


def distance_items(distances: Sequence[int]) -> bytes:
    """Return the encoding of topic distances."""
    if len(distances) > MAX_TOPIC_DISTANCES:
        raise EncodeError(f"{len(distances)} topic distances")
    return encode_list([uint_item("topic distance", each, MAX_DISTANCE) for each in distances])


def read_distances(data: bytes) -> tuple[int, ...]:
    """Read topic distances. They are a hint: a longer list is cut, not refused."""
    items = raw_items(data, _MAX_ITEMS)
    return tuple(decode_rlp(item, int) for item in items[:MAX_TOPIC_DISTANCES])


def pack_records(records: Sequence[bytes], max_parts: int) -> list[list[bytes]]:
    """Divide records into lists that fit a message each: at least one, at most ``max_parts``."""
    parts: list[list[bytes]] = [[]]
    room = MAX_RECORD_BYTES
    for record in records:
        if len(record) > room:
            parts.append([])
            room = MAX_RECORD_BYTES
        parts[-1].append(record)
        room -= len(record)
    return parts[:max_parts]
