"""Messages of ``eth`` about transactions that are in no block yet, and about cells of blobs.

Owns only the messages. Pure (devp2p, caps/eth.md)::

    0x02 Transactions
    0x08 NewPooledTransactionHashes      another field since eth/72
    0x09 GetPooledTransactions     0x0a PooledTransactions
    0x14 GetCells                  0x15 Cells               since eth/72

Cells are pieces of the blobs of a transaction, each with an index within its blob. They are checked
against the transaction's commitments by a client; what is checked here is their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from p2p.arguments import check_int, check_type
from p2p.codec import MaxLength
from p2p.errors import ArgumentError
from p2p.eth.block import Transaction
from p2p.eth.fields import Cell, CellBitmap, Hash, Uint32, Uint64
from p2p.eth.limits import MAX_MESSAGE_SIZE, MAX_TRANSACTIONS
from p2p.messages.declaration import message

#: Cells of a blob (EIP-7594), and so bits of a bitmap of them.
_CELLS = 128


@message(0x02, max_size=MAX_MESSAGE_SIZE, bare=True)
@dataclass(frozen=True, slots=True)
class Transactions:
    """Transactions that the remote may not know, at most 5,000."""

    transactions: Annotated[list[Transaction], MaxLength(MAX_TRANSACTIONS)]


@message(0x08, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class NewPooledTransactionHashes68:
    """Transactions that the sender has, as eth/69 to eth/71 announce them.

    ``types`` has a byte for each, ``sizes`` the length of its consensus encoding, ``hashes`` its
    hash. Raises ArgumentError if their numbers differ.
    """

    types: bytes
    sizes: list[Uint32]
    hashes: list[Hash]

    def __post_init__(self) -> None:
        _check_equal(self.types, self.sizes, self.hashes)


@message(0x08, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class NewPooledTransactionHashes72:
    """Transactions that the sender has (eth/72, EIP-8070).

    As before, and ``cells`` are the indices of the cells that it has of each blob of the announced
    blob transactions. Raises ArgumentError if the numbers of items differ.
    """

    types: bytes
    sizes: list[Uint32]
    hashes: list[Hash]
    cells: CellBitmap

    def __post_init__(self) -> None:
        _check_equal(self.types, self.sizes, self.hashes)


@message(0x09, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class GetPooledTransactions:
    """Request for transactions that were announced, by hash."""

    request_id: Uint64
    hashes: list[Hash]


@message(0x0A, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class PooledTransactions:
    """Response to GetPooledTransactions, in their order, without those that are not there.

    A blob transaction has its sidecar, without the blobs since eth/72.
    """

    request_id: Uint64
    transactions: list[Transaction]


@message(0x14, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class GetCells:
    """Request for the cells with these indices of each blob of transactions, by hash."""

    request_id: Uint64
    hashes: list[Hash]
    cells: CellBitmap


@message(0x15, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class Cells:
    """Response to GetCells: for each transaction the cells of ``indices``, of all its blobs.

    Within a transaction they are in the order of indices, and for an index in that of the blobs.
    Raises ArgumentError if there is not one group for each hash, or a group is not of whole blobs.
    """

    request_id: Uint64
    hashes: list[Hash]
    cells: list[list[Cell]]
    indices: CellBitmap

    def __post_init__(self) -> None:
        if len(self.hashes) != len(self.cells):
            raise ArgumentError(f"{len(self.cells)} groups of cells for {len(self.hashes)} hashes")
        per_blob = len(cell_indices(self.indices))
        if any(len(group) % per_blob if per_blob else group for group in self.cells):
            raise ArgumentError(f"a group of cells is not a multiple of {per_blob}")


def cell_bitmap(*indices: int) -> bytes:
    """Return the bitmap of some cell indices. Raises ArgumentError outside of 0 to 127."""
    bits = 0
    for index in indices:
        check_int("cell index", index, 0, _CELLS - 1, f"a number from 0 to {_CELLS - 1}")
        bits |= 1 << index
    return bits.to_bytes(_CELLS // 8, "little")


def cell_indices(bitmap: bytes) -> list[int]:
    """Return the cell indices of a bitmap, ascending. Raises ArgumentTypeError for no bytes."""
    check_type("bitmap", bitmap, bytes, f"a bitmap of {_CELLS // 8} bytes")
    bits = int.from_bytes(bitmap, "little")
    return [index for index in range(_CELLS) if bits >> index & 1]


def _check_equal(types: bytes, sizes: list[Uint32], hashes: list[bytes]) -> None:
    if not len(types) == len(sizes) == len(hashes):
        counts = f"{len(types)} types, {len(sizes)} sizes and {len(hashes)} hashes"
        raise ArgumentError(f"{counts}: not the same number")
