"""Values of record entries as text, and text as values. Pure.

The keys of EIP-778 and of devp2p's ``enr-entries`` are shown by their meaning. A record has no
types, so all others are shown as what they may be: text in quotes, a number with its bytes, or
bytes as 0x…, and lists of these in brackets. Few letters may also be a number, and have their bytes
beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import p2p

#: Most bytes of an entry that may be a number.
MAX_NUMBER_SIZE = 4
_PORTS = (b"tcp", b"tcp6", b"udp", b"udp6", b"quic", b"quic6")


def key_text(key: bytes) -> str:
    """Return the key of an entry, escaped."""
    text = key.decode("ascii", "backslashreplace")
    return text if text.isprintable() else ascii(text)[1:-1]


def entry_text(key: bytes, value: Any) -> str:
    """Return a decoded RLP value as text; for its key if it fits that, else as raw value."""
    try:
        return _FORMATS.get(key, likely_text)(value)
    except (TypeError, ValueError, AttributeError, LookupError):
        return f"{raw_text(value)} (not as defined for this key)"


def raw_text(value: Any) -> str:
    """Return bytes as 0x…, lists in brackets."""
    if isinstance(value, list):
        return f"[{', '.join(map(raw_text, value))}]"
    return "0x" + bytes(value).hex()


def likely_text(value: Any) -> str:
    """Return a value as what it may be: text, a number, bytes, or a list of these."""
    if isinstance(value, list):
        return f"[{', '.join(map(likely_text, value))}]"
    raw, text = bytes(value), _printable(bytes(value))
    if len(raw) > MAX_NUMBER_SIZE:
        return raw_text(raw) if text is None else f'"{text}"'
    if text is not None:
        return f'"{text}" ({raw_text(raw)})'
    is_number = raw and raw[0]  # RLP has numbers without leading zeros
    return f"{int.from_bytes(raw, 'big')} ({raw_text(raw)})" if is_number else raw_text(raw)


def _printable(value: bytes) -> str | None:
    """Return bytes as text, None if they are none, or have characters that do not show."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if text and text.isprintable() else None


def entry_value(text: str) -> object:
    """Return the value that a user has given: a number, bytes, RLP or text. Raises ValueError."""
    if text.startswith("rlp:0x"):
        return p2p.enode.Raw(bytes.fromhex(text.removeprefix("rlp:0x")))
    if text.startswith("0x"):
        return bytes.fromhex(text.removeprefix("0x"))
    return int(text) if text.isascii() and text.isdigit() else text


def _text(value: bytes) -> str:
    text = value.decode()
    if not text.isprintable():
        raise ValueError("not printable")
    return f'"{text}"'


def _port(value: bytes) -> str:
    if len(value) > 2:
        raise ValueError("not a port")
    return str(int.from_bytes(value, "big"))


def _ip(size: int) -> Callable[[bytes], str]:
    def text(value: bytes) -> str:
        if len(value) != size:
            raise ValueError("of another size")
        return str(ip_address(value))

    return text


def _eth(value: list[Any]) -> str:
    fork = p2p.rlp.decode(p2p.rlp.encode(value[0]), p2p.eth.ForkID)
    return f"fork {fork.hash.hex()}, next {fork.next or 'none'}"


def _client(value: list[bytes]) -> str:
    return " ".join(_text(part)[1:-1] for part in value)


_FORMATS: dict[bytes, Callable[[Any], str]] = {
    b"id": _text,
    b"ip": _ip(4),
    b"ip6": _ip(16),
    b"eth": _eth,
    b"client": _client,
    **dict.fromkeys(_PORTS, _port),
}
