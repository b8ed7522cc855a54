"""Block access lists: the accounts and slots that a block's execution used, with their new values.

A list is in no body; it is asked for by itself and checked against ``block_access_list_hash`` of
the header (EIP-7928). ``index`` is the time of a change: 0 before the transactions, 1 to n
for these, n + 1 after them. Slots and their values are bytes, big end first: 32 of them by
caps/eth.md, without leading zeros in go-ethereum, and the hash depends on which. Order and
completeness are for a client to check. Pure; any thread (devp2p, caps/eth.md, "Block Access List
Encoding").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from p2p.arguments import check_each, check_type
from p2p.codec import encode
from p2p.crypto import keccak256
from p2p.eth.errors import InvalidResponse
from p2p.eth.fields import Address, Uint64, Uint256
from p2p.eth.header import Header


@dataclass(frozen=True, slots=True)
class StorageChange:
    """The value of a slot after ``index``."""

    index: Uint64
    value: bytes


@dataclass(frozen=True, slots=True)
class SlotChanges:
    """The changes of one slot, in the order of their index."""

    slot: bytes
    changes: list[StorageChange]


@dataclass(frozen=True, slots=True)
class BalanceChange:
    """The balance of an account after ``index``, in Wei."""

    index: Uint64
    balance: Uint256


@dataclass(frozen=True, slots=True)
class NonceChange:
    """The nonce of an account after ``index``."""

    index: Uint64
    nonce: Uint64


@dataclass(frozen=True, slots=True)
class CodeChange:
    """The code of an account after ``index``."""

    index: Uint64
    code: bytes


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """The slots that a block read and wrote of one account, and its other changes."""

    address: Address
    storage_changes: list[SlotChanges]
    storage_reads: list[bytes]
    balance_changes: list[BalanceChange]
    nonce_changes: list[NonceChange]
    code_changes: list[CodeChange]


def check_access_list(header: Header, access_list: Sequence[AccountChanges]) -> None:
    """Check that this is the access list of the block; raise InvalidResponse if not.

    Raises ArgumentTypeError for values of other types.
    """
    check_type("header", header, Header, "a Header")
    check_each("access_list", access_list, AccountChanges, "the changes of accounts")
    if keccak256(encode(list(access_list))) != header.block_access_list_hash:
        raise InvalidResponse(f"the access list is not that of block {header.number}")
