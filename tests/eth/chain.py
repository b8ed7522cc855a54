"""A chain of blocks that fit together, and a node that serves it: a Python node that speaks eth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import p2p
from p2p.crypto import keccak256
from p2p.eth import (
    AccountChanges,
    BlockAccessLists,
    BlockBodies,
    BlockBody,
    BlockHeaders,
    GetBlockAccessLists,
    GetBlockBodies,
    GetBlockHeaders,
    GetPooledTransactions,
    GetReceipts69,
    GetReceipts70,
    Header,
    LegacyTransaction,
    PooledTransactions,
    Receipt,
    Receipts69,
    Receipts70,
    Transaction,
    Withdrawal,
    handshake,
    list_root,
    make_status,
    transaction_hash,
)
from p2p.eth.block import consensus_encoding
from p2p.eth.versions import messages_of
from p2p.messages import TypedReadWriter
from p2p.networks import Network
from p2p.rlp import encode
from tests.eth.vectors import ACCESS_LIST, LOGS, TYPED, address, header

GENESIS_TIME = 1_700_000_000
BLOCK_TIME_S = 12


@dataclass(frozen=True)
class FullBlock:
    """A block with all that commits to it."""

    header: Header
    body: BlockBody
    receipts: list[Receipt]
    access_list: list[AccountChanges]


def make_chain(length: int, transactions: int = 2) -> list[FullBlock]:
    """Blocks from the genesis block on, which has no transactions."""
    blocks: list[FullBlock] = []
    for number in range(length):
        parent = blocks[-1].header.hash if blocks else bytes(32)
        blocks.append(_block(number, parent, transactions if number else 0))
    return blocks


def _block(number: int, parent: bytes, count: int) -> FullBlock:
    legacy = [LegacyTransaction(n, 1, 21000, address(5), n, b"", 27, 1, 1) for n in range(count)]
    transactions: list[Transaction] = [*legacy, *([TYPED] if count else [])]
    receipts = [
        Receipt(2 if isinstance(transaction, bytes) else 0, b"\x01", 21000 * (index + 1), LOGS)
        for index, transaction in enumerate(transactions)
    ]
    withdrawals = [Withdrawal(number, 1, address(6), 7)]
    return FullBlock(
        header(
            5,
            parent_hash=parent,
            number=number,
            time=GENESIS_TIME + BLOCK_TIME_S * number,
            ommers_hash=keccak256(b"\xc0"),
            transactions_root=list_root([consensus_encoding(item) for item in transactions]),
            receipts_root=list_root([receipt.consensus_encoding for receipt in receipts]),
            withdrawals_root=list_root([encode(item) for item in withdrawals]),
            block_access_list_hash=keccak256(encode(ACCESS_LIST)),
        ),
        BlockBody(transactions, [], withdrawals),
        receipts,
        ACCESS_LIST,
    )


class EthNode:
    """Serves a chain: what it responds to each request, as a handler or to a pipe.

    ``most_receipts`` bounds the receipts of one response, so that they come in parts.
    """

    def __init__(self, blocks: list[FullBlock], most_receipts: int = 1000) -> None:
        self.blocks = blocks
        self.most_receipts = most_receipts
        genesis = blocks[0].header
        chain = p2p.eth.Chain(genesis.hash, genesis_time=genesis.time)
        self.network = Network("test", 1337, chain)
        self.pool = {transaction_hash(TYPED): TYPED}
        self._by_hash = {block.header.hash: block for block in blocks}

    @property
    def head(self) -> tuple[int, int, bytes]:
        last = self.blocks[-1].header
        return last.number, last.time, last.hash

    def run(self, peer: object, rw: p2p.MsgReadWriter, version: int = 69) -> None:
        """Shake hands and serve until the peer leaves."""
        handshake(rw, make_status(self.network, version, head=self.head), self.network.chain)
        self.serve(rw, version)

    def serve(self, rw: p2p.MsgReadWriter, version: int) -> None:
        eth = TypedReadWriter(rw, messages_of(version))
        for request in eth:
            eth.write(self.respond(request))

    def respond(self, request: Any) -> Any:
        return self._RESPONSES[type(request)](self, request)

    def _headers(self, request: GetBlockHeaders) -> BlockHeaders:
        query = request.query
        number = query.start
        if isinstance(number, bytes):
            block = self._by_hash.get(number)
            number = len(self.blocks) if block is None else block.header.number
        step = (query.skip + 1) * (-1 if query.reverse else 1)
        stop = -1 if query.reverse else len(self.blocks)
        numbers = range(number, stop, step)[: query.limit] if number < len(self.blocks) else ()
        return BlockHeaders(request.request_id, [self.blocks[n].header for n in numbers])

    def _found(self, hashes: list[bytes]) -> list[FullBlock]:
        return [self._by_hash[block_hash] for block_hash in hashes if block_hash in self._by_hash]

    def _bodies(self, request: GetBlockBodies) -> BlockBodies:
        return BlockBodies(request.request_id, [b.body for b in self._found(request.hashes)])

    def _receipts69(self, request: GetReceipts69) -> Receipts69:
        return Receipts69(request.request_id, [b.receipts for b in self._found(request.hashes)])

    def _receipts70(self, request: GetReceipts70) -> Receipts70:
        lists: list[list[Receipt]] = []
        left, first = self.most_receipts, request.first_index
        for block in self._found(request.hashes):
            wanted, first = block.receipts[first:], 0
            lists.append(wanted[:left])
            if len(wanted) > left:
                return Receipts70(request.request_id, True, lists)
            left -= len(wanted)
        return Receipts70(request.request_id, False, lists)

    def _access_lists(self, request: GetBlockAccessLists) -> BlockAccessLists:
        lists: list[Any] = [block.access_list for block in self._found(request.hashes)]
        return BlockAccessLists(request.request_id, [b"", *lists[1:]])

    def _pooled(self, request: GetPooledTransactions) -> PooledTransactions:
        found = [self.pool[item] for item in request.hashes if item in self.pool]
        return PooledTransactions(request.request_id, [*found])

    _RESPONSES: dict[type[Any], Callable[[EthNode, Any], Any]] = {
        GetBlockHeaders: _headers,
        GetBlockBodies: _bodies,
        GetReceipts69: _receipts69,
        GetReceipts70: _receipts70,
        GetBlockAccessLists: _access_lists,
        GetPooledTransactions: _pooled,
    }
