"""Requests and responses of ``eth`` about blocks: headers, bodies, receipts, access lists.

Each begins with a request id, a number that the response repeats. Owns only the messages; what fits
a request is checked by `p2p.eth.client`. Pure (devp2p, caps/eth.md)::

    0x03 GetBlockHeaders       0x04 BlockHeaders
    0x05 GetBlockBodies        0x06 BlockBodies
    0x0f GetReceipts           0x10 Receipts              other fields since eth/70
    0x12 GetBlockAccessLists   0x13 BlockAccessLists      since eth/71
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.eth.accesslist import AccountChanges
from p2p.eth.block import BlockBody
from p2p.eth.fields import Empty, Hash, Uint64
from p2p.eth.header import Header
from p2p.eth.limits import MAX_MESSAGE_SIZE
from p2p.eth.receipt import Receipt
from p2p.messages.declaration import message


@dataclass(frozen=True, slots=True)
class HeadersQuery:
    """Request for headers: at most ``limit``, from block ``start``, which is a number or a hash.

    ``skip`` is how many blocks to leave out between two; ``reverse`` is whether to go down.
    """

    start: Uint64 | Hash
    limit: Uint64
    skip: Uint64
    reverse: bool


@message(0x03, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class GetBlockHeaders:
    """Request for headers of the canonical chain."""

    request_id: Uint64
    query: HeadersQuery


@message(0x04, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class BlockHeaders:
    """Response to GetBlockHeaders; empty if none was found."""

    request_id: Uint64
    headers: list[Header]


@message(0x05, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class GetBlockBodies:
    """Request for the bodies of blocks, by hash."""

    request_id: Uint64
    hashes: list[Hash]


@message(0x06, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class BlockBodies:
    """Response to GetBlockBodies, in their order."""

    request_id: Uint64
    bodies: list[BlockBody]


@message(0x0F, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class GetReceipts69:
    """Request for the receipts of blocks, by hash (eth/69)."""

    request_id: Uint64
    hashes: list[Hash]


@message(0x10, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class Receipts69:
    """Response to GetReceipts69: a list for each block, in their order."""

    request_id: Uint64
    receipts: list[list[Receipt]]


@message(0x0F, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class GetReceipts70:
    """Request for the receipts of blocks, by hash (eth/70, EIP-7975).

    ``first_index`` is the first receipt wanted of the first block, for the rest of a list that a
    response before had only in part.
    """

    request_id: Uint64
    first_index: Uint64
    hashes: list[Hash]


@message(0x10, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class Receipts70:
    """Response to GetReceipts70: a list for each block, in their order.

    ``last_incomplete`` is whether receipts of the last list are missing, since the message would
    have been longer than 10 MiB.
    """

    request_id: Uint64
    last_incomplete: bool
    receipts: list[list[Receipt]]


@message(0x12, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class GetBlockAccessLists:
    """Request for the access lists of blocks, by hash (eth/71, EIP-8159)."""

    request_id: Uint64
    hashes: list[Hash]


@message(0x13, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class BlockAccessLists:
    """Response to GetBlockAccessLists, in their order; empty bytes for one that is not there."""

    request_id: Uint64
    access_lists: list[list[AccountChanges] | Empty]
