"""The fields that messages of ``eth`` and ``snap`` have in common: bytes of one length, integers.

Decoding enforces the lengths. The specification does not bound integers; these are as long as in
go-ethereum. Owns only these types; pure (devp2p, caps/eth.md).
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from p2p.codec import MaxLength

#: An integer of at most 32 bits.
Uint32: TypeAlias = Annotated[int, MaxLength(4)]
#: An integer of at most 64 bits, such as a request id or the number of a block.
Uint64: TypeAlias = Annotated[int, MaxLength(8)]
#: An integer of at most 256 bits, such as an amount in Wei.
Uint256: TypeAlias = Annotated[int, MaxLength(32)]
#: A hash by Keccak-256, or another value of 32 bytes.
Hash: TypeAlias = Annotated[bytes, 32]
#: The address of an account.
Address: TypeAlias = Annotated[bytes, 20]
#: Empty bytes, where something is missing.
Empty: TypeAlias = Annotated[bytes, 0]
#: A hash that may be missing: empty then.
HashOrEmpty: TypeAlias = Hash | Empty
#: The address of an account, or empty.
AddressOrEmpty: TypeAlias = Address | Empty
#: A filter for the addresses and topics of logs.
Bloom: TypeAlias = Annotated[bytes, 256]
#: A set of cell indices, 0 to 127: index i is the bit ``1 << i % 8`` of byte ``i // 8``.
CellBitmap: TypeAlias = Annotated[bytes, 16]
#: One cell of a blob (EIP-7594).
Cell: TypeAlias = Annotated[bytes, 2048]
