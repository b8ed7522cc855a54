"""The ID of a node: 32 bytes, the keccak256 of its public key.

Pure. A :class:`NodeID` is ``bytes`` in every way (comparison, hash, slices), so tables and packets
take it without conversion; only its text differs (EIP-778, "v4" identity scheme; discovery v4,
"Node Identities").
"""

from __future__ import annotations

import re

from p2p.arguments import bytes_of, check_type, text_of
from p2p.crypto import PublicKey, keccak256
from p2p.errors import InvalidNode

NODE_ID_SIZE = 32

_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class NodeID(bytes):
    """The 32 bytes that identify a node. ``str()`` is 64 hex digits. Immutable."""

    __slots__ = ()

    def __new__(cls, raw: bytes) -> NodeID:
        """Raise InvalidNode unless ``raw`` has 32 bytes."""
        if type(raw) is not bytes:  # a fast path: packets contain many IDs
            raw = bytes_of(raw, "node ID")
        if len(raw) != NODE_ID_SIZE:
            raise InvalidNode(f"a node ID has {NODE_ID_SIZE} bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def from_public_key(cls, public_key: PublicKey) -> NodeID:
        """Return the ID of the node with this key. Raises ArgumentTypeError for another type."""
        check_type("public_key", public_key, PublicKey, "a PublicKey")
        return cls(keccak256(public_key.to_bytes()))

    @classmethod
    def from_hex(cls, text: str) -> NodeID:
        """Read 64 hex digits, with or without ``0x``. Raises InvalidNode.

        Surrounding white space is ignored.
        """
        text = text_of(text, "node ID")
        digits = text.removeprefix("0x")
        if not _HEX.fullmatch(digits):
            raise InvalidNode(f"{text[:80]!r} is not a node ID, want {NODE_ID_SIZE * 2} hex digits")
        return cls(bytes.fromhex(digits))

    @property
    def short(self) -> str:
        """The first 8 bytes in hex, for logs."""
        return self[:8].hex()

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"NodeID({self.short}…)"
