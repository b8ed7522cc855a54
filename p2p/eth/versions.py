"""The messages of each version of ``eth`` and ``snap``, as protocols. Pure.

The codes and lengths are those of go-ethereum (eth/protocols/eth/protocol.go).
"""

from __future__ import annotations

from typing import Any

from p2p.arguments import check_int
from p2p.eth import relay, requests, snap, transactions
from p2p.eth.status import BlockRangeUpdate, Status
from p2p.messages.declaration import Messages

_COMMON: list[type[Any]] = [
    *(Status, BlockRangeUpdate, relay.NewBlockHashes, relay.NewBlock, transactions.Transactions),
    *(transactions.GetPooledTransactions, transactions.PooledTransactions),
    *(requests.GetBlockHeaders, requests.BlockHeaders),
    *(requests.GetBlockBodies, requests.BlockBodies),
]
_HASHES68: type[Any] = transactions.NewPooledTransactionHashes68
_RECEIPTS70: list[type[Any]] = [requests.GetReceipts70, requests.Receipts70]
_ACCESS_LISTS: list[type[Any]] = [requests.GetBlockAccessLists, requests.BlockAccessLists]
_CELLS: list[type[Any]] = [transactions.GetCells, transactions.Cells]
_SNAP: list[type[Any]] = [
    *(snap.GetAccountRange, snap.AccountRange, snap.GetStorageRanges, snap.StorageRanges),
    *(snap.GetByteCodes, snap.ByteCodes),
]

#: eth/69 (EIP-7642): the range of blocks in Status, receipts without filters.
ETH69: Messages[Any] = Messages(
    "eth", 69, [*_COMMON, _HASHES68, requests.GetReceipts69, requests.Receipts69]
)
#: eth/70 (EIP-7975): receipts of a block in parts.
ETH70: Messages[Any] = Messages("eth", 70, [*_COMMON, _HASHES68, *_RECEIPTS70])
#: eth/71 (EIP-8159): block access lists.
ETH71: Messages[Any] = Messages("eth", 71, [*_COMMON, _HASHES68, *_RECEIPTS70, *_ACCESS_LISTS])
#: eth/72 (EIP-8070): cells of blobs.
ETH72: Messages[Any] = Messages(
    "eth",
    72,
    [
        *(*_COMMON, transactions.NewPooledTransactionHashes72),
        *(*_RECEIPTS70, *_ACCESS_LISTS, *_CELLS),
    ],
)
#: snap/1.
SNAP1: Messages[Any] = Messages("snap", 1, [*_SNAP, snap.GetTrieNodes, snap.TrieNodes])
#: snap/2 (EIP-8189): block access lists in place of trie nodes.
SNAP2: Messages[Any] = Messages("snap", 2, [*_SNAP, snap.GetAccessLists, snap.AccessLists])

_ETH = {messages.version: messages for messages in (ETH69, ETH70, ETH71, ETH72)}


def messages_of(version: int) -> Messages[Any]:
    """Return the messages of a version of ``eth``. Raises ArgumentError for one without."""
    first, last = min(_ETH), max(_ETH)
    check_int("version", version, first, last, f"a version of eth from {first} to {last}")
    return _ETH[version]
