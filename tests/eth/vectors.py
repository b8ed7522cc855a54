"""The messages of ``tests/testdata/eth_messages.json`` as values: those of ethvectors/main.go."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from p2p.eth import (
    ETH69,
    ETH70,
    ETH71,
    ETH72,
    SNAP1,
    SNAP2,
    AccessLists,
    Account,
    AccountChanges,
    AccountEntry,
    AccountRange,
    BalanceChange,
    Block,
    BlockAccessLists,
    BlockAnnouncement,
    BlockBodies,
    BlockBody,
    BlockHeaders,
    BlockRangeUpdate,
    ByteCodes,
    Cells,
    CodeChange,
    ForkID,
    GetAccessLists,
    GetAccountRange,
    GetBlockAccessLists,
    GetBlockBodies,
    GetBlockHeaders,
    GetByteCodes,
    GetCells,
    GetPooledTransactions,
    GetReceipts69,
    GetReceipts70,
    GetStorageRanges,
    GetTrieNodes,
    Header,
    HeadersQuery,
    LegacyTransaction,
    Log,
    NewBlock,
    NewBlockHashes,
    NewPooledTransactionHashes68,
    NewPooledTransactionHashes72,
    NonceChange,
    PooledTransactions,
    Receipt,
    Receipts69,
    Receipts70,
    SlotChanges,
    Status,
    StorageChange,
    StorageRanges,
    StorageSlot,
    Transactions,
    TrieNodes,
    Withdrawal,
    cell_bitmap,
)

DATA: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "testdata" / "eth_messages.json").read_text(encoding="utf-8")
)
PROTOCOLS = {f"{m.name}{m.version}": m for m in (ETH69, ETH70, ETH71, ETH72, SNAP1, SNAP2)}


def hash_of(value: int) -> bytes:
    """32 bytes of one value."""
    return bytes([value]) * 32


def address(value: int) -> bytes:
    return bytes([value]) * 20


_ADDED: list[dict[str, Any]] = [
    {"base_fee_per_gas": 7},
    {"withdrawals_root": hash_of(10)},
    {"blob_gas_used": 0, "excess_blob_gas": 131072, "parent_beacon_root": hash_of(11)},
    {"requests_hash": hash_of(12)},
    {"block_access_list_hash": hash_of(13), "slot_number": 14},
]


def header(fork: int, **changes: Any) -> Header:
    """A header with the fields of a fork, 0 for Frontier to 5 for Amsterdam."""
    fields: dict[str, Any] = {
        "parent_hash": hash_of(1),
        "ommers_hash": hash_of(2),
        "coinbase": address(3),
        "state_root": hash_of(4),
        "transactions_root": hash_of(5),
        "receipts_root": hash_of(6),
        "bloom": bytes([7]) * 256,
        "difficulty": 2**40,
        "number": 1000,
        "gas_limit": 30_000_000,
        "gas_used": 21_000,
        "time": 1_700_000_000,
        "extra_data": b"extra",
        "mix_digest": hash_of(8),
        "nonce": (9).to_bytes(8, "big"),
    }
    for added in _ADDED[:fork]:
        fields |= added
    return Header(**fields | changes)


LEGACY = LegacyTransaction(1, 2, 21000, address(3), 4, b"\x05", 27, 6, 7)
CREATION = LegacyTransaction(0, 0, 0, b"", 0, b"\x01\x02\x03", 28, 6, 7)
_MESSAGES: dict[str, str] = DATA["messages"]
#: The typed transaction, which stays bytes: the third of the first body.
TYPED: bytes = (
    PROTOCOLS["eth69"]
    .decode(  # its own bytes, hence its hash is compared besides
        0x06, bytes.fromhex(_MESSAGES["eth69 BlockBodies"])
    )
    .bodies[0]
    .transactions[2]
)
LOGS = [Log(address(1), [hash_of(2), hash_of(3)], b"data"), Log(address(4), [], b"")]
RECEIPTS = [
    Receipt(0, b"\x01", 21000, LOGS),
    Receipt(2, b"", 42000, []),
    Receipt(0, hash_of(5), 63000, []),
]
ACCESS_LIST = [
    AccountChanges(
        address(1),
        [SlotChanges(b"\x02", [StorageChange(1, b"\x03"), StorageChange(2, b"")])],
        [b"\x04"],
        [BalanceChange(1, 5)],
        [NonceChange(1, 6)],
        [CodeChange(1, b"\x07")],
    )
]
_HASHES = [hash_of(1), hash_of(2)]
_MASK = cell_bitmap(0, 9, 127)
_CELL = b"\x01" * 2048
_FORK_ID = ForkID(b"\x02\x03\x04\x05", 1_700_000_000)
_PROOF = [b"\x01\x02\x03", b""]
_SLOT = StorageSlot(hash_of(1), b"\x02")

MESSAGES: dict[str, Any] = {
    "eth69 Status": Status(69, 1, hash_of(1), _FORK_ID, 15_537_394, 20_000_000, hash_of(6)),
    "eth69 NewBlockHashes": NewBlockHashes(
        [BlockAnnouncement(hash_of(1), 2), BlockAnnouncement(hash_of(3), 4)]
    ),
    "eth69 Transactions": Transactions([LEGACY, TYPED]),
    "eth69 GetBlockHeaders number": GetBlockHeaders(1, HeadersQuery(2**33, 2, 3, True)),
    "eth69 GetBlockHeaders hash": GetBlockHeaders(2**64 - 1, HeadersQuery(hash_of(1), 1, 0, False)),
    "eth69 BlockHeaders": BlockHeaders(1, [header(fork) for fork in range(6)]),
    "eth69 GetBlockBodies": GetBlockBodies(1, _HASHES),
    "eth69 BlockBodies": BlockBodies(
        1,
        [
            BlockBody([LEGACY, CREATION, TYPED], [header(0)]),
            BlockBody([LEGACY, CREATION, TYPED], [], [Withdrawal(1, 2, address(3), 4)]),
        ],
    ),
    "eth69 NewBlock": NewBlock(Block(header(0), [LEGACY], [header(0)]), 2**50),
    "eth69 NewPooledTransactionHashes68": NewPooledTransactionHashes68(
        b"\x00\x02", [100, 200], _HASHES
    ),
    "eth69 GetPooledTransactions": GetPooledTransactions(1, _HASHES),
    "eth69 PooledTransactions": PooledTransactions(1, [LEGACY, TYPED]),
    "eth69 GetReceipts69": GetReceipts69(1, _HASHES),
    "eth69 Receipts69": Receipts69(1, [RECEIPTS, []]),
    "eth69 BlockRangeUpdate": BlockRangeUpdate(0, 5, hash_of(6)),
    "eth70 GetReceipts70": GetReceipts70(1, 300, _HASHES),
    "eth70 Receipts70": Receipts70(1, True, [RECEIPTS]),
    "eth71 GetBlockAccessLists": GetBlockAccessLists(1, _HASHES),
    "eth71 BlockAccessLists": BlockAccessLists(1, [ACCESS_LIST, b"", []]),
    "eth72 NewPooledTransactionHashes72": NewPooledTransactionHashes72(
        b"\x00\x03", [100, 200], _HASHES, _MASK
    ),
    "eth72 GetCells": GetCells(1, _HASHES, _MASK),
    "eth72 Cells": Cells(1, _HASHES[:1], [[_CELL] * 3], _MASK),
    "snap1 GetAccountRange": GetAccountRange(1, hash_of(1), hash_of(2), hash_of(3), 4000),
    "snap1 AccountRange": AccountRange(
        1,
        [
            AccountEntry(hash_of(1), Account(1, 2, b"", b"")),
            AccountEntry(hash_of(2), Account(1, 0, hash_of(3), hash_of(4))),
        ],
        _PROOF,
    ),
    "snap1 GetStorageRanges": GetStorageRanges(1, hash_of(1), _HASHES, b"", hash_of(3), 4000),
    "snap1 StorageRanges": StorageRanges(1, [[_SLOT, _SLOT], []], _PROOF),
    "snap1 GetByteCodes": GetByteCodes(1, _HASHES, 4000),
    "snap1 ByteCodes": ByteCodes(1, [b"\x01", b"\x60\x00"]),
    "snap1 GetTrieNodes": GetTrieNodes(
        1, hash_of(1), [[b"\x01"], [hash_of(2), b"\x03", b"\x04\x05"]], 4000
    ),
    "snap1 TrieNodes": TrieNodes(1, [b"\x01\x02"]),
    "snap2 GetAccessLists": GetAccessLists(1, _HASHES, 4000),
    "snap2 AccessLists": AccessLists(1, [ACCESS_LIST, b""]),
}


def values() -> dict[str, Any]:
    """A value of each class of the messages, and of their fields, by the name of the class."""
    found: dict[str, Any] = {}
    waiting: list[Any] = [*MESSAGES.values()]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif is_dataclass(value) and not isinstance(value, ForkID):
            found[type(value).__name__] = value
            waiting += [getattr(value, field.name) for field in fields(value)]
    return found
