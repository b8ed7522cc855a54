"""Block headers: their fields, their hash, and the checks of a chain of them.

The fields after ``nonce`` were added by forks, in this order. A header of a fork has all up to its
own, so they are optional at the end of the list (caps/eth.md, "Block Encoding and Validity")::

    London        base_fee_per_gas (EIP-1559)
    Shanghai      withdrawals_root (EIP-4895)
    Cancun        blob_gas_used, excess_blob_gas (EIP-4844), parent_beacon_root (EIP-4788)
    Prague        requests_hash (EIP-7685)
    Amsterdam     block_access_list_hash (EIP-7928), slot_number (EIP-7843)

``slot_number`` is not in caps/eth.md; go-ethereum has it. The seal of proof of work, the rules of
gas and those of each fork belong to a client and are not checked here. Pure; any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated

from p2p.arguments import check_each
from p2p.codec import encode
from p2p.crypto import keccak256
from p2p.errors import ArgumentError
from p2p.eth.errors import InvalidResponse
from p2p.eth.fields import Address, Bloom, Hash, Uint64, Uint256

_BLOCK_NONCE = Annotated[bytes, 8]


@dataclass(frozen=True, slots=True)
class Header:
    """A block header. Immutable; a value; any thread may use it.

    ``time`` is in seconds since 1970. Fields of later forks are None. Raises ArgumentError if one
    of them is None and a later one is not, since the wire format cannot express it.
    """

    parent_hash: Hash
    ommers_hash: Hash
    coinbase: Address
    state_root: Hash
    transactions_root: Hash
    receipts_root: Hash
    bloom: Bloom
    difficulty: Uint256
    number: Uint64
    gas_limit: Uint64
    gas_used: Uint64
    time: Uint64
    extra_data: bytes
    mix_digest: Hash
    nonce: _BLOCK_NONCE
    base_fee_per_gas: Uint256 | None = None
    withdrawals_root: Hash | None = None
    blob_gas_used: Uint64 | None = None
    excess_blob_gas: Uint64 | None = None
    parent_beacon_root: Hash | None = None
    requests_hash: Hash | None = None
    block_access_list_hash: Hash | None = None
    slot_number: Uint64 | None = None

    def __post_init__(self) -> None:
        absent = ""
        for name in _ADDED:
            if getattr(self, name) is None:
                absent = absent or name
            elif absent:
                raise ArgumentError(f"{name} is given and {absent}, which precedes it, is not")

    @property
    def hash(self) -> bytes:
        """The hash of the block, Keccak-256 of the header's encoding. Computed at each access."""
        return keccak256(encode(self))


_ADDED = tuple(field.name for field in fields(Header) if field.default is None)


def check_chain(headers: Sequence[Header]) -> None:
    """Check that each header is that of the child of the one before it.

    Raises InvalidResponse for a number that does not follow, a ``parent_hash`` that is not the hash
    before, and more gas used than the limit; ArgumentTypeError for values of other types.
    """
    check_each("headers", headers, Header, "headers, such as those of get_block_headers")
    for header in headers:
        if header.gas_used > header.gas_limit:
            raise InvalidResponse(f"block {header.number} uses more gas than its limit")
    for parent, child in zip(headers, headers[1:], strict=False):
        if child.number != parent.number + 1:
            raise InvalidResponse(f"block {child.number} follows block {parent.number}")
        if child.parent_hash != parent.hash:
            raise InvalidResponse(f"block {child.number} is not the child of the block before it")
