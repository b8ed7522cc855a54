"""Ethereum: which chain a node follows, and the messages of its clients, ``eth`` and ``snap``.

A :class:`Chain` makes and checks fork identifiers, each a :class:`ForkID`; the verdict is a
:class:`Compatibility`. :func:`eth_entry` puts one into our record, :func:`fork_id_of` reads that of
another node, and :func:`node_filter` chooses the nodes of a chain.

:func:`handshake` exchanges a :class:`Status`, which :func:`make_status` makes for a network and
:func:`check_status` checks; a :class:`Client` then asks for what the node has::

    network = p2p.networks.SEPOLIA
    with p2p.connect(url, name="eth", version=69, length=p2p.eth.ETH69.length) as rw:
        theirs = p2p.eth.handshake(rw, p2p.eth.make_status(network, 69), network.chain)
        (header,) = p2p.eth.Client(rw, 69).get_block_headers(theirs.latest_hash)

`ETH69`, `ETH70`, `ETH71`, `ETH72`, `SNAP1` and `SNAP2` are the messages of each version, for
``encode`` and ``decode``. A class whose name ends in a number has the layout since that version.

===============  ===================================================================
Blocks           :class:`Header`, :class:`BlockBody`, :class:`Block`,
                 :class:`LegacyTransaction` (a `Transaction` is one, or bytes),
                 :class:`Withdrawal`, :class:`Receipt`, :class:`Log`,
                 :class:`AccountChanges` with :class:`SlotChanges`,
                 :class:`StorageChange`, :class:`BalanceChange`,
                 :class:`NonceChange`, :class:`CodeChange`
Their checks     :func:`check_chain`, :func:`check_body`, :func:`check_receipts`,
                 :func:`check_access_list`, by :func:`list_root`;
                 :func:`transaction_hash`, :func:`transaction_type`,
                 :func:`consensus_encoding`
Messages of eth  :class:`Status`, :class:`BlockRangeUpdate`,
                 :class:`GetBlockHeaders` with :class:`HeadersQuery`,
                 :class:`BlockHeaders`, :class:`GetBlockBodies`,
                 :class:`BlockBodies`, :class:`GetReceipts69`,
                 :class:`Receipts69`, :class:`GetReceipts70`, :class:`Receipts70`,
                 :class:`GetBlockAccessLists`, :class:`BlockAccessLists`,
                 :class:`Transactions`, :class:`NewPooledTransactionHashes68`,
                 :class:`NewPooledTransactionHashes72`,
                 :class:`GetPooledTransactions`, :class:`PooledTransactions`,
                 :class:`GetCells`, :class:`Cells` (:func:`cell_bitmap`,
                 :func:`cell_indices`), :class:`NewBlock`,
                 :class:`NewBlockHashes` with :class:`BlockAnnouncement`
Messages of      :class:`GetAccountRange`, :class:`AccountRange` with
snap             :class:`AccountEntry` and :class:`Account`,
                 :class:`GetStorageRanges`, :class:`StorageRanges` with
                 :class:`StorageSlot`, :class:`GetByteCodes`, :class:`ByteCodes`,
                 :class:`GetTrieNodes`, :class:`TrieNodes`,
                 :class:`GetAccessLists`, :class:`AccessLists`
Errors           :class:`NoStatus`; :class:`StatusRejected`:
                 :class:`VersionMismatch`, :class:`NetworkMismatch`,
                 :class:`GenesisMismatch`, :class:`ForkIDRejected`,
                 :class:`InvalidBlockRange`; :class:`InvalidResponse`
===============  ===================================================================

The modules are pure, except `client` and `handshake`, which block.
"""

from __future__ import annotations

from p2p.eth.accesslist import (
    AccountChanges,
    BalanceChange,
    CodeChange,
    NonceChange,
    SlotChanges,
    StorageChange,
    check_access_list,
)
from p2p.eth.block import (
    Block,
    BlockBody,
    LegacyTransaction,
    Transaction,
    Withdrawal,
    check_body,
    consensus_encoding,
    transaction_hash,
    transaction_type,
)
from p2p.eth.client import Client
from p2p.eth.errors import (
    ForkIDRejected,
    GenesisMismatch,
    InvalidBlockRange,
    InvalidResponse,
    NetworkMismatch,
    NoStatus,
    StatusRejected,
    VersionMismatch,
)
from p2p.eth.handshake import handshake
from p2p.eth.header import Header, check_chain
from p2p.eth.receipt import Log, Receipt, check_receipts
from p2p.eth.relay import BlockAnnouncement, NewBlock, NewBlockHashes
from p2p.eth.requests import (
    BlockAccessLists,
    BlockBodies,
    BlockHeaders,
    GetBlockAccessLists,
    GetBlockBodies,
    GetBlockHeaders,
    GetReceipts69,
    GetReceipts70,
    HeadersQuery,
    Receipts69,
    Receipts70,
)
from p2p.eth.snap import (
    AccessLists,
    Account,
    AccountEntry,
    AccountRange,
    ByteCodes,
    GetAccessLists,
    GetAccountRange,
    GetByteCodes,
    GetStorageRanges,
    GetTrieNodes,
    StorageRanges,
    StorageSlot,
    TrieNodes,
)
from p2p.eth.status import BlockRangeUpdate, Status, check_status, make_status
from p2p.eth.transactions import (
    Cells,
    GetCells,
    GetPooledTransactions,
    NewPooledTransactionHashes68,
    NewPooledTransactionHashes72,
    PooledTransactions,
    Transactions,
    cell_bitmap,
    cell_indices,
)
from p2p.eth.trie import list_root
from p2p.eth.versions import ETH69, ETH70, ETH71, ETH72, SNAP1, SNAP2
from p2p.forkid import Chain, Compatibility, ForkID, eth_entry, fork_id_of, node_filter

__all__ = [
    "ETH69", "ETH70", "ETH71", "ETH72", "SNAP1", "SNAP2", "AccessLists", "Account",
    "AccountChanges", "AccountEntry", "AccountRange", "BalanceChange", "Block", "BlockAccessLists",
    "BlockAnnouncement", "BlockBodies", "BlockBody", "BlockHeaders", "BlockRangeUpdate",
    "ByteCodes", "Cells", "Chain", "Client", "CodeChange", "Compatibility", "ForkID",
    "ForkIDRejected", "GenesisMismatch", "GetAccessLists", "GetAccountRange", "GetBlockAccessLists",
    "GetBlockBodies", "GetBlockHeaders", "GetByteCodes", "GetCells", "GetPooledTransactions",
    "GetReceipts69", "GetReceipts70", "GetStorageRanges", "GetTrieNodes", "Header", "HeadersQuery",
    "InvalidBlockRange", "InvalidResponse", "LegacyTransaction", "Log", "NetworkMismatch",
    "NewBlock", "NewBlockHashes", "NewPooledTransactionHashes68", "NewPooledTransactionHashes72",
    "NoStatus", "NonceChange", "PooledTransactions", "Receipt", "Receipts69", "Receipts70",
    "SlotChanges", "Status", "StatusRejected", "StorageChange", "StorageRanges", "StorageSlot",
    "Transaction", "Transactions", "TrieNodes", "VersionMismatch", "Withdrawal", "cell_bitmap",
    "cell_indices", "check_access_list", "check_body", "check_chain", "check_receipts",
    "check_status", "consensus_encoding", "eth_entry", "fork_id_of", "handshake", "list_root",
    "make_status", "node_filter", "transaction_hash", "transaction_type",
]  # fmt: skip
