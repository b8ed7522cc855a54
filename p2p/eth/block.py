"""Blocks without their header: transactions, withdrawals, and the check against the header.

A legacy transaction is a list and has fields here. A typed one (EIP-2718) is a string, its type and
then data whose format each type defines; it stays bytes, since ``eth`` only carries it. Its first
byte is the type (caps/eth.md, "Transaction Encoding and Validity"). Signatures and the rules of
forks belong to a client and are not checked here. Pure; any thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from p2p.arguments import check_type
from p2p.codec import encode
from p2p.crypto import keccak256
from p2p.eth.errors import InvalidResponse
from p2p.eth.fields import Address, AddressOrEmpty, Hash, Uint64, Uint256
from p2p.eth.header import Header
from p2p.eth.trie import list_root

_WANTED = "a LegacyTransaction, or a typed transaction as bytes"


@dataclass(frozen=True, slots=True)
class LegacyTransaction:
    """A transaction without a type. ``recipient`` is empty for one that creates a contract."""

    nonce: Uint64
    gas_price: Uint256
    gas_limit: Uint64
    recipient: AddressOrEmpty
    value: Uint256
    data: bytes
    v: Uint256
    r: Uint256
    s: Uint256


#: A transaction on the wire: legacy, or typed as bytes, the first of which is the type.
Transaction: TypeAlias = LegacyTransaction | bytes


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A withdrawal of the consensus layer (EIP-4895); ``amount`` is in Gwei."""

    index: Uint64
    validator_index: Uint64
    address: Address
    amount: Uint64


@dataclass(frozen=True, slots=True)
class BlockBody:
    """The content of a block. ``withdrawals`` is None before the fork Shanghai."""

    transactions: list[Transaction]
    ommers: list[Header]
    withdrawals: list[Withdrawal] | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A whole block as proof of work relayed it (NewBlock)."""

    header: Header
    transactions: list[Transaction]
    ommers: list[Header]
    withdrawals: list[Withdrawal] | None = None


def consensus_encoding(transaction: Transaction) -> bytes:
    """Return the encoding that a transaction is hashed in: a typed one without its string head.

    Its length is the size that NewPooledTransactionHashes announces. Raises ArgumentTypeError for
    anything but a transaction.
    """
    check_type("transaction", transaction, (LegacyTransaction, bytes), _WANTED)
    return transaction if isinstance(transaction, bytes) else encode(transaction)


def transaction_hash(transaction: Transaction) -> bytes:
    """Return the hash of a transaction, 32 bytes.

    A blob transaction from a pool, with or without its sidecar, has another encoding than in a
    block; this is the hash of the given one. Raises ArgumentTypeError for anything but one.
    """
    return keccak256(consensus_encoding(transaction))


def transaction_type(transaction: Transaction) -> int:
    """Return the type of a transaction (EIP-2718), 0 for a legacy one.

    Raises ArgumentTypeError for anything but a transaction.
    """
    check_type("transaction", transaction, (LegacyTransaction, bytes), _WANTED)
    return transaction[0] if isinstance(transaction, bytes) and transaction else 0


def check_body(header: Header, body: BlockBody) -> None:
    """Check that a body is the one that a header commits to; raise InvalidResponse if not.

    Raises ArgumentTypeError for values of other types.
    """
    check_type("header", header, Header, "a Header")
    check_type("body", body, BlockBody, "a BlockBody")
    items = [consensus_encoding(transaction) for transaction in body.transactions]
    _check(header, "transactions", list_root(items), header.transactions_root)
    _check(header, "ommers", keccak256(encode(body.ommers)), header.ommers_hash)
    root = None if body.withdrawals is None else list_root([encode(w) for w in body.withdrawals])
    _check(header, "withdrawals", root, header.withdrawals_root)


def _check(header: Header, what: str, found: Hash | None, expected: Hash | None) -> None:
    if found != expected:
        raise InvalidResponse(f"the {what} are not those of block {header.number}")
