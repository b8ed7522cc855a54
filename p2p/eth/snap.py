"""The messages of ``snap``, by which a client downloads the state of a recent block.

Each begins with a request id, as those of ``eth``. Ranges go by the hash of the address or slot.
The Merkle proof of a range is a list of trie nodes, which a client verifies. Owns only the
messages; pure (devp2p, caps/snap.md)::

    0x00 GetAccountRange    0x01 AccountRange
    0x02 GetStorageRanges   0x03 StorageRanges
    0x04 GetByteCodes       0x05 ByteCodes
    0x06 GetTrieNodes       0x07 TrieNodes      snap/1 only
    0x08 GetAccessLists     0x09 AccessLists    snap/2: GetBlockAccessLists, BlockAccessLists there

``response_bytes`` of a request is a soft limit on its response, in bytes. ``snap`` runs beside
``eth`` only: a client answers once both are shared and the handshake of ``eth`` is done.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p.crypto import keccak256
from p2p.eth.accesslist import AccountChanges
from p2p.eth.fields import Empty, Hash, HashOrEmpty, Uint64, Uint256
from p2p.eth.limits import MAX_MESSAGE_SIZE
from p2p.eth.trie import EMPTY_ROOT
from p2p.messages.declaration import message

#: The hash of the code of an account without any.
EMPTY_CODE_HASH = keccak256(b"")


@dataclass(frozen=True, slots=True)
class Account:
    """An account in the slim format: empty bytes stand for no storage and for no code."""

    nonce: Uint64
    balance: Uint256
    slim_storage_root: HashOrEmpty
    slim_code_hash: HashOrEmpty

    @property
    def storage_root(self) -> bytes:
        """The root of its storage trie, that of the empty trie for none."""
        return self.slim_storage_root or EMPTY_ROOT

    @property
    def code_hash(self) -> bytes:
        """The hash of its code, that of empty code for none."""
        return self.slim_code_hash or EMPTY_CODE_HASH


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account of a range, with the hash of its address."""

    hash: Hash
    account: Account


@dataclass(frozen=True, slots=True)
class StorageSlot:
    """A slot of a range: the hash of its key, and the RLP of its value as the trie has it."""

    hash: Hash
    data: bytes


@message(0x00, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class GetAccountRange:
    """Request for accounts of the state ``root``, from ``start`` to ``limit``."""

    request_id: Uint64
    root: Hash
    start: Hash
    limit: Hash
    response_bytes: Uint64


@message(0x01, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class AccountRange:
    """Response to GetAccountRange; both lists are empty for a state that is not there."""

    request_id: Uint64
    accounts: list[AccountEntry]
    proof: list[bytes]


@message(0x02, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class GetStorageRanges:
    """Request for the slots of accounts; ``start`` and ``limit`` may be empty, for all."""

    request_id: Uint64
    root: Hash
    accounts: list[Hash]
    start: HashOrEmpty
    limit: HashOrEmpty
    response_bytes: Uint64


@message(0x03, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class StorageRanges:
    """Response to GetStorageRanges: a list for each account; ``proof`` is about the last one."""

    request_id: Uint64
    slots: list[list[StorageSlot]]
    proof: list[bytes]


@message(0x04, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class GetByteCodes:
    """Request for the code of contracts, by hash."""

    request_id: Uint64
    hashes: list[Hash]
    response_bytes: Uint64


@message(0x05, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class ByteCodes:
    """Response to GetByteCodes, in their order, without those that are not there."""

    request_id: Uint64
    codes: list[bytes]


@message(0x06, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class GetTrieNodes:
    """Request for trie nodes by path (snap/1).

    Each of ``paths`` is the path of a node in the account trie, or that of an account and then
    those of nodes in its storage trie.
    """

    request_id: Uint64
    root: Hash
    paths: list[list[bytes]]
    response_bytes: Uint64


@message(0x07, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class TrieNodes:
    """Response to GetTrieNodes, in their order, up to the first that is not there."""

    request_id: Uint64
    nodes: list[bytes]


@message(0x08, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class GetAccessLists:
    """Request for the access lists of blocks, by hash (snap/2, EIP-8189)."""

    request_id: Uint64
    hashes: list[Hash]
    response_bytes: Uint64


@message(0x09, max_size=MAX_MESSAGE_SIZE)
@dataclass(frozen=True, slots=True)
class AccessLists:
    """Response to GetAccessLists, in their order; empty bytes for one that is not there."""

    request_id: Uint64
    access_lists: list[list[AccountChanges] | Empty]
