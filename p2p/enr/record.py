"""One node record: its entries, and the check of its signature (EIP-778).

Pure. The layout of a record is in :mod:`p2p.enr.layout`, the types of its entries in
:mod:`p2p.enr.entries`. A :class:`Record` is always valid: none can be made from invalid input.

The identity scheme "v4" is the only one in use; records of any other are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Any, TypeVar, overload

from p2p.arguments import BYTES, bytes_of, check_type
from p2p.codec import decode, encode, encode_list
from p2p.crypto import PrivateKey, PublicKey, keccak256
from p2p.enr import entries as entry
from p2p.enr.entries import Raw
from p2p.enr.layout import assemble, format_text, parse_rlp, parse_text, signed_items
from p2p.errors import DecodeError, EncodeError, InvalidNode

_SIGNATURE_SIZE = 64

_T = TypeVar("_T")


class Record:
    """A valid node record. Immutable; equal records are equal values; any thread may use it."""

    __slots__ = ("_pairs", "_public_key", "_rlp", "_seq", "_signature")

    def __init__(self, rlp: bytes) -> None:
        """Read the RLP form. Raises InvalidNode for anything but a valid record."""
        self._rlp = bytes_of(rlp, "node record")
        self._signature, self._seq, self._pairs, content = parse_rlp(self._rlp)
        self._public_key = self._verify(content)

    @classmethod
    def from_rlp(cls, data: bytes) -> Record:
        """Read the RLP form. Raises InvalidNode for anything but a valid record."""
        return cls(data)

    @classmethod
    def from_text(cls, text: str) -> Record:
        """Read ``enr:...``. Raises InvalidNode for anything but a valid record.

        Surrounding white space is ignored. Stricter than go-ethereum, so that a record has only one
        text: bits after the last byte must be zero, line breaks inside are refused, and values must
        be canonical RLP.
        """
        return cls(parse_text(text))

    @classmethod
    def sign(
        cls,
        private_key: PrivateKey,
        seq: int,
        entries: Mapping[str, object] | Mapping[bytes, object] | None = None,
        **more: object,
    ) -> Record:
        """Make a record of the scheme "v4": ``Record.sign(key, 1, ip="203.0.113.7", tcp=30303)``.

        ``entries`` and ``more`` map keys to values that have an RLP encoding, or to :class:`Raw`;
        the ``pairs`` of another record will do. An ``id`` or ``secp256k1`` among them is replaced.
        Raises EncodeError for a value that its key cannot have, a ``seq`` that does not fit 64
        bits, and a record of more than 300 bytes; ArgumentTypeError for arguments of other types.
        """
        check_type("private_key", private_key, PrivateKey, "a PrivateKey")
        pairs = _encode_pairs(_mapping(entries), more)
        pairs[b"id"] = Raw(encode("v4"))
        pairs[b"secp256k1"] = entry.encode_entry(b"secp256k1", private_key.public_key)
        items = signed_items(seq, pairs)
        signature = private_key.sign(keccak256(encode_list(items)))[:_SIGNATURE_SIZE]
        return cls(assemble(signature, items))

    def updated(
        self,
        private_key: PrivateKey,
        entries: Mapping[str, object] | Mapping[bytes, object] | None = None,
        **more: object,
    ) -> Record:
        """Return this record with entries set, or removed if the value is None; ``seq`` plus one.

        ``private_key`` signs it. Raises EncodeError as :meth:`sign` does.
        """
        changes = {**_byte_keys(_mapping(entries)), **_byte_keys(more)}
        pairs: dict[bytes, object] = {**self._pairs, **changes}
        kept = {key: value for key, value in pairs.items() if value is not None}
        return Record.sign(private_key, self._seq + 1, kept)

    def to_rlp(self) -> bytes:
        """Return the record as it is sent: RLP, at most 300 bytes."""
        return self._rlp

    def to_text(self) -> str:
        """Return the record as text, ``enr:...``."""
        return format_text(self._rlp)

    @property
    def seq(self) -> int:
        """The sequence number, 0..2**64-1: of two records of a node, the higher one counts."""
        return self._seq

    @property
    def signature(self) -> bytes:
        """r || s, 64 bytes."""
        return self._signature

    @property
    def pairs(self) -> Mapping[bytes, Raw]:
        """Every key with its value, still RLP-encoded, in the order of the record."""
        return MappingProxyType(self._pairs)

    @overload
    def get(self, key: str | bytes, kind: type[_T]) -> _T | None: ...

    @overload
    def get(self, key: str | bytes, kind: object = None) -> Any: ...

    def get(self, key: str | bytes, kind: Any = None) -> Any:
        """Return the value of ``key``, decoded as ``kind`` (as in :func:`p2p.codec.decode`).

        None when there is no such key, or its value is not of that kind.
        """
        raw = self._pairs.get(_byte_key(key))
        try:
            return None if raw is None else decode(raw, kind)
        except DecodeError:
            return None

    @property
    def public_key(self) -> PublicKey:
        """The key that signed the record."""
        return self._public_key

    @property
    def ip(self) -> IPv4Address | None:
        """The IPv4 address, None when absent."""
        raw = self._pairs.get(b"ip")
        return None if raw is None else entry.read_ip4(raw)

    @property
    def ip6(self) -> IPv6Address | None:
        """The IPv6 address, None when absent."""
        raw = self._pairs.get(b"ip6")
        return None if raw is None else entry.read_ip6(raw)

    @property
    def tcp(self) -> int | None:
        """The TCP port, None when absent."""
        return self._port(b"tcp")

    @property
    def tcp6(self) -> int | None:
        """The TCP port that goes with :attr:`ip6`; None when absent, then it is :attr:`tcp`."""
        return self._port(b"tcp6")

    @property
    def udp(self) -> int | None:
        """The UDP port, None when absent."""
        return self._port(b"udp")

    @property
    def udp6(self) -> int | None:
        """The UDP port that goes with :attr:`ip6`; None when absent, then it is :attr:`udp`."""
        return self._port(b"udp6")

    @property
    def quic(self) -> int | None:
        """The QUIC port that goes with :attr:`ip`, None when absent."""
        return self._port(b"quic")

    @property
    def quic6(self) -> int | None:
        """The QUIC port that goes with :attr:`ip6`, None when absent."""
        return self._port(b"quic6")

    def __contains__(self, key: str | bytes) -> bool:
        return _byte_key(key) in self._pairs

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self._rlp == other._rlp

    def __hash__(self) -> int:
        return hash(self._rlp)

    def __reduce__(self) -> tuple[Any, ...]:
        return Record, (self._rlp,)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        keys = ", ".join(repr(key)[1:] for key in self._pairs)
        return f"Record(seq={self._seq}, keys=[{keys}])"

    def _port(self, key: bytes) -> int | None:
        raw = self._pairs.get(key)
        return None if raw is None else entry.read_port(raw)

    def _verify(self, content: bytes) -> PublicKey:
        if self.get("id", bytes) != b"v4":
            raise InvalidNode("invalid node record: the identity scheme is missing or not known")
        raw = self._pairs.get(b"secp256k1")
        public_key = None if raw is None else entry.read_public_key(raw)
        if public_key is None:
            raise InvalidNode("invalid node record: no valid public key in it")
        if not public_key.verify(keccak256(content), self._signature):
            raise InvalidNode("invalid node record: invalid signature")
        return public_key


def _mapping(entries: Mapping[Any, object] | None) -> Mapping[Any, object]:
    if entries is None:
        return {}
    check_type("entries", entries, Mapping, "a mapping of keys to values, or None")
    return entries


def _byte_key(key: str | bytes) -> bytes:
    if isinstance(key, str):
        return key.encode()
    check_type("key of a record", key, BYTES, "str or bytes")
    return bytes(key)


def _byte_keys(entries: Mapping[Any, object]) -> dict[bytes, object]:
    return {_byte_key(key): value for key, value in entries.items()}


def _encode_pairs(*groups: Mapping[Any, object]) -> dict[bytes, Raw]:
    values: dict[bytes, object] = {}
    for group in groups:
        for key, value in group.items():
            name = _byte_key(key)
            if name in values:
                raise EncodeError(f"record entry {name!r} is given twice")
            values[name] = value
    return {key: entry.encode_entry(key, value) for key, value in values.items()}
