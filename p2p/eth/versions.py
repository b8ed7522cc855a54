"""The messages of each version of ``eth`` and ``snap``, as protocols. Pure.

The codes and lengths are those of go-ethereum (eth/protocols/eth/protocol.go).
"""

from __future__ import annotations

from typing import Any

from p2p.arguments import check_int
from p2p.eth.relay import NewBlock, NewBlockHashes
from p2p.eth.requests import (
    BlockAccessLists,
    BlockBodies,
    BlockHeaders,
    GetBlockAccessLists,
    GetBlockBodies,
    GetBlockHeaders,
    GetReceipts69,
    GetReceipts70,
    Receipts69,
    Receipts70,
)
from p2p.eth.snap import (
    AccessLists,
    AccountRange,
    ByteCodes,
    GetAccessLists,
    GetAccountRange,
    GetByteCodes,
    GetStorageRanges,
    GetTrieNodes,
    StorageRanges,
    TrieNodes,
)
from p2p.eth.status import BlockRangeUpdate, Status
from p2p.eth.transactions import (
    Cells,
    GetCells,
    GetPooledTransactions,
    NewPooledTransactionHashes68,
    NewPooledTransactionHashes72,
    PooledTransactions,
    Transactions,
)
from p2p.messages.declaration import Messages

_COMMON: list[type[Any]] = [
    *(Status, NewBlockHashes, Transactions, GetBlockHeaders, BlockHeaders, GetBlockBodies),
    *(BlockBodies, NewBlock, GetPooledTransactions, PooledTransactions, BlockRangeUpdate),
]
_ACCESS_LISTS: list[type[Any]] = [GetBlockAccessLists, BlockAccessLists]
_SNAP: list[type[Any]] = [
    *(GetAccountRange, AccountRange, GetStorageRanges, StorageRanges, GetByteCodes, ByteCodes),
]

#: eth/69 (EIP-7642): the range of blocks in Status, receipts without filters.
ETH69: Messages[Any] = Messages(
    "eth", 69, [*_COMMON, NewPooledTransactionHashes68, GetReceipts69, Receipts69]
)
#: eth/70 (EIP-7975): receipts of a block in parts.
ETH70: Messages[Any] = Messages(
    "eth", 70, [*_COMMON, NewPooledTransactionHashes68, GetReceipts70, Receipts70]
)
#: eth/71 (EIP-8159): block access lists.
ETH71: Messages[Any] = Messages(
    "eth",
    71,
    [*_COMMON, NewPooledTransactionHashes68, GetReceipts70, Receipts70, *_ACCESS_LISTS],
)
#: eth/72 (EIP-8070): cells of blobs.
ETH72: Messages[Any] = Messages(
    "eth",
    72,
    [
        *(*_COMMON, NewPooledTransactionHashes72, GetReceipts70, Receipts70, *_ACCESS_LISTS),
        *(GetCells, Cells),
    ],
)
#: snap/1.
SNAP1: Messages[Any] = Messages("snap", 1, [*_SNAP, GetTrieNodes, TrieNodes])
#: snap/2 (EIP-8189): block access lists in place of trie nodes.
SNAP2: Messages[Any] = Messages("snap", 2, [*_SNAP, GetAccessLists, AccessLists])

_ETH = {messages.version: messages for messages in (ETH69, ETH70, ETH71, ETH72)}


def messages_of(version: int) -> Messages[Any]:
    """Return the messages of a version of ``eth``. Raises ArgumentError for one without."""
    first, last = min(_ETH), max(_ETH)
    check_int("version", version, first, last, f"a version of eth from {first} to {last}")
    return _ETH[version]
