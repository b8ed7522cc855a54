"""The TXT record of an announced node: its node record, in strings of at most 255 bytes.

Pure. Layout (RFC 6763, section 6): strings, each a length byte and up to 255 bytes ``key=value``::

    txtvers=1      version of this layout; first (section 6.7)
    enr=...        the text of the node record (EIP-778), "enr:...", up to 404 bytes: the first 251
    enr2=...       the rest, if there is any

Other strings are ignored, of two with one key the first counts, and keys have no case (section
6.4). The record is checked with its signature. This module knows no addresses and no network.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2p.enr import Record
from p2p.errors import InvalidNode

VERSION = "1"
#: Bytes of a string at most, which has one byte for its length (RFC 1035, section 3.3).
STRING_SIZE = 255
#: Bytes of a TXT record that is read: ours, and as much again for strings of a later version
#: (RFC 6763, section 6.2, advises 400 bytes, and warns of more than 1,300).
MAX_SIZE = 1300
_FIRST, _REST = "enr", "enr2"


def txt_of(record: Record) -> bytes:
    """Return the TXT record that announces a node."""
    text = record.to_text()
    room = STRING_SIZE - len(f"{_FIRST}=")
    pairs = {"txtvers": VERSION, _FIRST: text[:room]}
    if text[room:]:
        pairs[_REST] = text[room:]
    strings = [f"{key}={value}".encode("ascii") for key, value in pairs.items()]
    return b"".join(bytes([len(string)]) + string for string in strings)


def record_of(txt: bytes) -> Record:
    """Return the node record in a TXT record, with its signature checked.

    Raises InvalidNode for anything else, with a text that is fit for the log.
    """
    if len(txt) > MAX_SIZE:
        raise InvalidNode(f"a TXT record of {len(txt)} bytes, more than {MAX_SIZE}")
    pairs: dict[str, str] = {}
    for string in _strings(txt):
        key, _, value = string.partition("=")
        pairs.setdefault(key.lower(), value)
    if pairs.get("txtvers") != VERSION:
        raise InvalidNode(f"a TXT record without txtvers={VERSION}")
    text = pairs.get(_FIRST, "") + pairs.get(_REST, "")
    if not text:
        raise InvalidNode("a TXT record without a node record")
    return Record.from_text(text)


def _strings(txt: bytes) -> Iterator[str]:
    """Split a TXT record. Bytes that are not ASCII are in no valid record."""
    at = 0
    while at < len(txt):
        end = at + 1 + txt[at]
        if end > len(txt):
            raise InvalidNode("a TXT record that ends within a string")
        yield txt[at + 1 : end].decode("latin-1")
        at = end
