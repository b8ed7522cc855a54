"""The entries of a node record whose meaning EIP-778 fixes, and how their values are encoded.

Pure. A key maps to any RLP value; these keys have a type of their own::

    ip  ip6                         address, exactly 4 or 16 bytes, big-endian
    tcp udp quic  tcp6 udp6 quic6   port, an integer of at most 16 bits
    secp256k1                       public key, compressed to 33 bytes

Reading is lenient in one way only: a value that is not of its key's type counts as absent, since
the rest of the record is of use without it. Writing such a value is an error (EIP-778, "RLP
Encoding" and the table of keys).
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TypeAlias

from ..codec import decode, encode, encode_list, raw_items
from ..crypto import PublicKey
from ..errors import DecodeError, EncodeError, InvalidKey

IPAddress: TypeAlias = IPv4Address | IPv6Address

MAX_PORT = 0xFFFF


class Raw(bytes):
    """The value of an entry, RLP-encoded already. Written to a record as it is."""

    __slots__ = ()


def read_port(raw: bytes) -> int | None:
    """The port that ``raw`` encodes, 0..65535, or None."""
    try:
        port = decode(raw, int)
    except DecodeError:
        return None
    return port if port <= MAX_PORT else None


def read_ip4(raw: bytes) -> IPv4Address | None:
    """The IPv4 address that ``raw`` encodes, or None."""
    value = read_bytes(raw)
    return IPv4Address(value) if value is not None and len(value) == 4 else None


def read_ip6(raw: bytes) -> IPv6Address | None:
    """The IPv6 address that ``raw`` encodes, or None."""
    value = read_bytes(raw)
    return IPv6Address(value) if value is not None and len(value) == 16 else None


def read_public_key(raw: bytes) -> PublicKey | None:
    """The public key that ``raw`` encodes, or None."""
    value = read_bytes(raw)
    try:
        return None if value is None else PublicKey.from_compressed(value)
    except InvalidKey:
        return None


def read_bytes(raw: bytes) -> bytes | None:
    """The byte string that ``raw`` encodes, or None when it is a list."""
    try:
        return decode(raw, bytes)
    except DecodeError:
        return None


def encode_entry(key: bytes, value: object) -> Raw:
    """Encode the value of an entry. Raises EncodeError for a value that its key cannot have."""
    encoded = _encode_value(key, value)
    reader = _READERS.get(key)
    if reader is not None and reader(encoded) is None:
        raise EncodeError(f"record entry {_text(key)}: the value is not of the key's type")
    return encoded


def _encode_value(key: bytes, value: object) -> Raw:
    if isinstance(value, Raw):
        return _checked_raw(key, value)
    writer = _WRITERS.get(key)
    try:
        return Raw(encode(value) if writer is None else encode(writer(value)))
    except (EncodeError, AddressValueError) as error:
        raise EncodeError(f"record entry {_text(key)}: {error}") from error


def _checked_raw(key: bytes, value: Raw) -> Raw:
    try:
        count = len(raw_items(encode_list([value]), max_items=2))
    except DecodeError as error:
        raise EncodeError(f"record entry {_text(key)}: {error}") from error
    if count != 1:
        raise EncodeError(f"record entry {_text(key)}: want one encoded value, not {count}")
    return value


def _port(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_PORT:
        raise EncodeError(f"a port is a number from 0 to {MAX_PORT}, not {value!r}")
    return value


def _ip4(value: object) -> bytes:
    if not isinstance(value, (IPv4Address, str)):
        raise EncodeError(f"want an IPv4 address, not {value!r}")
    return IPv4Address(value).packed


def _ip6(value: object) -> bytes:
    if not isinstance(value, (IPv6Address, str)):
        raise EncodeError(f"want an IPv6 address, not {value!r}")
    return IPv6Address(value).packed


def _public_key(value: object) -> bytes:
    if not isinstance(value, PublicKey):
        raise EncodeError(f"want a PublicKey, not {value!r}")
    return value.to_compressed()


def _text(key: bytes) -> str:
    return repr(key.decode("utf-8", "backslashreplace")[:80])


_PORT_KEYS = (b"tcp", b"tcp6", b"udp", b"udp6", b"quic", b"quic6")

_READERS: dict[bytes, Callable[[bytes], object | None]] = {
    b"ip": read_ip4,
    b"ip6": read_ip6,
    b"secp256k1": read_public_key,
    **dict.fromkeys(_PORT_KEYS, read_port),
}

_WRITERS: dict[bytes, Callable[[object], object]] = {
    b"ip": _ip4,
    b"ip6": _ip6,
    b"secp256k1": _public_key,
    **dict.fromkeys(_PORT_KEYS, _port),
}
