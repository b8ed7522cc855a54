"""The entries of a node record that EIP-778 defines, and the encoding of their values.

Pure. A key maps to any RLP value; these keys have a type of their own::

    ip  ip6                         address, exactly 4 or 16 bytes, big-endian
    tcp udp quic  tcp6 udp6 quic6   port, an integer of at most 16 bits
    secp256k1                       public key, compressed to 33 bytes

Reading is lenient in one way only: a value that is not of its key's type counts as absent, since
the rest of the record is useful without it. Writing such a value is an error (EIP-778, "RLP
Encoding" and the table of keys).
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, TypeAlias

from p2p.arguments import check_type
from p2p.codec import decode, encode, encode_list, raw_items
from p2p.crypto import PublicKey
from p2p.errors import DecodeError, EncodeError, InvalidKey

MAX_PORT = 0xFFFF


class Raw(bytes):
    """The value of an entry, RLP-encoded already. Written to a record unchanged."""

    __slots__ = ()


def read_port(raw: bytes) -> int | None:
    """Return the port that ``raw`` encodes, 0..65535, or None if it is no such port."""
    try:
        port = decode(raw, int)
    except DecodeError:
        return None
    return port if port <= MAX_PORT else None


def read_ip4(raw: bytes) -> IPv4Address | None:
    """Return the IPv4 address that ``raw`` encodes, or None if it is not 4 bytes."""
    value = read_bytes(raw)
    return IPv4Address(value) if value is not None and len(value) == 4 else None


def read_ip6(raw: bytes) -> IPv6Address | None:
    """Return the IPv6 address that ``raw`` encodes, or None if it is not 16 bytes."""
    value = read_bytes(raw)
    return IPv6Address(value) if value is not None and len(value) == 16 else None


def read_public_key(raw: bytes) -> PublicKey | None:
    """Return the public key that ``raw`` encodes in compressed form, or None if it is invalid."""
    value = read_bytes(raw)
    try:
        return None if value is None else PublicKey.from_compressed(value)
    except InvalidKey:
        return None


def read_bytes(raw: bytes) -> bytes | None:
    """Return the byte string that ``raw`` encodes, or None when it is a list."""
    try:
        return decode(raw, bytes)
    except DecodeError:
        return None


def encode_entry(key: bytes, value: object) -> Raw:
    """Encode the value of an entry.

    Raises EncodeError for a value that its key cannot have, ArgumentTypeError for a type that its
    key cannot have.
    """
    encoded = _encode_value(key, value)
    reader = _READERS.get(key)
    if reader is not None and reader(encoded) is None:
        raise EncodeError(f"{_named(key)}: the value is not of the key's type")
    return encoded


def _encode_value(key: bytes, value: object) -> Raw:
    if isinstance(value, Raw):
        return _checked_raw(key, value)
    kinds, wanted, write = _WRITERS.get(key, _ANY)
    check_type(_named(key), value, kinds, wanted)
    try:
        return Raw(encode(write(value)))
    except (EncodeError, AddressValueError) as error:
        raise EncodeError(f"{_named(key)}: {error}") from error


def _checked_raw(key: bytes, value: Raw) -> Raw:
    try:
        count = len(raw_items(encode_list([value]), max_items=2))
    except DecodeError as error:
        raise EncodeError(f"{_named(key)}: {error}") from error
    if count != 1:
        raise EncodeError(f"{_named(key)}: want one encoded value, not {count}")
    return value


def _port(value: int) -> int:
    if not 0 <= value <= MAX_PORT:
        raise EncodeError(f"a port is a number from 0 to {MAX_PORT}, not {value!r}")
    return value


def _ip4(value: IPv4Address | str) -> bytes:
    return IPv4Address(value).packed


def _ip6(value: IPv6Address | str) -> bytes:
    ip = IPv6Address(value)
    if ip.scope_id is not None:
        raise EncodeError(f"{ip} has a zone, which only this machine knows")
    return ip.packed


def _same(value: object) -> object:
    return value


def _named(key: bytes) -> str:
    return f"record entry {key.decode('utf-8', 'backslashreplace')[:80]!r}"


_PORT_KEYS = (b"tcp", b"tcp6", b"udp", b"udp6", b"quic", b"quic6")

_READERS: dict[bytes, Callable[[bytes], object | None]] = {
    b"ip": read_ip4,
    b"ip6": read_ip6,
    b"secp256k1": read_public_key,
    **dict.fromkeys(_PORT_KEYS, read_port),
}

#: The types of values, their name, and the form in which one is encoded.
_Writer: TypeAlias = tuple[type | tuple[type, ...], str, Callable[[Any], object]]
_ANY: _Writer = (object, "", _same)
_WRITERS: dict[bytes, _Writer] = {
    b"ip": ((IPv4Address, str), "an IPv4 address", _ip4),
    b"ip6": ((IPv6Address, str), "an IPv6 address", _ip6),
    b"secp256k1": (PublicKey, "a PublicKey", PublicKey.to_compressed),
    **dict.fromkeys(_PORT_KEYS, (int, f"a port, from 0 to {MAX_PORT}", _port)),
}
