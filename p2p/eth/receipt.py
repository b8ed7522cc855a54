"""Receipts, the results of transactions, and the check of a block's receipts against its header.

On the wire since eth/69 a receipt is a list of four fields, whatever the type of its transaction,
and without the filter of its logs (EIP-7642). A header commits to another format, which is made
here for the check: with the filter, and for a typed transaction behind a byte of its type
(caps/eth.md, "Receipt Encoding and Validity"). Pure; any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from p2p.arguments import check_each, check_type
from p2p.codec import MaxLength, encode
from p2p.crypto import keccak256
from p2p.errors import ArgumentError
from p2p.eth.errors import InvalidResponse
from p2p.eth.fields import Address, Bloom, Hash, Uint64
from p2p.eth.header import Header
from p2p.eth.trie import list_root

#: Limit on the type of a transaction (EIP-2718).
MAX_TRANSACTION_TYPE = 0x7F

#: Size of a bloom filter, and the bits that a value sets in it.
_BLOOM_BYTES = 256
_BLOOM_BITS = 3


@dataclass(frozen=True, slots=True)
class Log:
    """A log entry of a contract; each topic has 32 bytes."""

    address: Address
    topics: list[Hash]
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of a transaction. Immutable; a value; any thread may use it.

    ``post_state_or_status`` is empty for a failure, 0x01 for success, and before the fork Byzantium
    the state root. ``cumulative_gas`` is the gas used in the block up to here.
    """

    tx_type: Uint64
    post_state_or_status: Hash | Annotated[bytes, MaxLength(1)]
    cumulative_gas: Uint64
    logs: list[Log]

    def __post_init__(self) -> None:
        if self.tx_type > MAX_TRANSACTION_TYPE:
            raise ArgumentError(f"tx_type is {self.tx_type}, above {MAX_TRANSACTION_TYPE}")

    @property
    def succeeded(self) -> bool | None:
        """Whether the transaction succeeded; None for a state root, which does not tell."""
        return None if len(self.post_state_or_status) > 1 else self.post_state_or_status == b"\x01"

    @property
    def bloom(self) -> bytes:
        """The filter of the addresses and topics of the logs, 256 bytes."""
        return _bloom(value for log in self.logs for value in (log.address, *log.topics))

    @property
    def consensus_encoding(self) -> bytes:
        """The encoding that the header commits to, with the filter."""
        items = (self.post_state_or_status, self.cumulative_gas, self.bloom, self.logs)
        prefix = bytes([self.tx_type]) if self.tx_type else b""
        return prefix + encode(items)


def check_receipts(header: Header, receipts: Sequence[Receipt]) -> None:
    """Check that these are all receipts of the block; raise InvalidResponse if not.

    Raises ArgumentTypeError for values of other types.
    """
    check_type("header", header, Header, "a Header")
    check_each("receipts", receipts, Receipt, "receipts")
    root = list_root([receipt.consensus_encoding for receipt in receipts])
    if root != header.receipts_root:
        raise InvalidResponse(f"the receipts are not those of block {header.number}")


def _bloom(values: Iterable[bytes]) -> Bloom:
    """Return the filter that has these values (Yellow Paper, section 4.4.1)."""
    bits = 0
    for value in set(values):
        digest = keccak256(value)
        for index in range(0, 2 * _BLOOM_BITS, 2):
            bits |= 1 << (int.from_bytes(digest[index : index + 2], "big") % (8 * _BLOOM_BYTES))
    return bits.to_bytes(_BLOOM_BYTES, "big")
