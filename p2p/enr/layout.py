"""The two forms of a node record, RLP and text; not the meaning of its entries (EIP-778).

Pure. Layout, an RLP list of at most 300 bytes::

    [signature, seq, k, v, k, v, ...]

``signature`` is r || s, 64 bytes, over keccak256 of the list without it; ``seq`` is an integer of
at most 64 bits that grows with each change; keys are byte strings, sorted, each at most once; a
value is any RLP item. The text form is ``enr:`` and the RLP in base64 for URLs, without padding.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from p2p.arguments import check_type, text_of
from p2p.codec import decode, encode, encode_list, raw_items
from p2p.enr.entries import Raw
from p2p.errors import DecodeError, EncodeError, InvalidNode

#: Largest record, in bytes: it must fit into a discovery packet beside other fields.
SIZE_LIMIT = 300
#: Largest sequence number.
MAX_SEQ = 2**64 - 1

_PREFIX = "enr:"
#: Quotes that may surround a text from a file or a shell.
QUOTES = ("'", '"', "`", "\u201c", "\u2018", "\u201e", "\u201d", "\u2019")
#: 300 bytes in base64.
_TEXT_LIMIT = SIZE_LIMIT * 4 // 3
_BASE64 = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)


class Parts(NamedTuple):
    """The parts of a record. ``content`` is the RLP that is signed."""

    signature: bytes
    seq: int
    pairs: dict[bytes, Raw]
    content: bytes


def parse_rlp(data: bytes) -> Parts:
    """Split a record into its parts; the signature is not verified. Raises InvalidNode."""
    try:
        items = _split(data)
        signature, seq = decode(items[0], bytes), decode(items[1], int)
        pairs = _read_pairs(items[2:])
    except DecodeError as error:
        raise InvalidNode(f"invalid node record: {error}") from error
    if seq > MAX_SEQ:
        raise InvalidNode("invalid node record: sequence number does not fit 64 bits")
    return Parts(signature, seq, pairs, encode_list(items[1:]))


def signed_items(seq: int, pairs: Mapping[bytes, Raw]) -> list[bytes]:
    """Return the encoded items that are signed: seq, then keys and values in order of the keys.

    Raises ArgumentTypeError for a ``seq`` that is not an int, EncodeError for one that does not fit
    64 bits.
    """
    check_type("seq", seq, int, "an int from 0 to 2**64 - 1")
    if not 0 <= seq <= MAX_SEQ:
        raise EncodeError(f"sequence number {seq} does not fit 64 bits")
    items = [encode(seq)]
    for key in sorted(pairs):
        items += (encode(key), pairs[key])
    return items


def assemble(signature: bytes, items: Sequence[bytes]) -> bytes:
    """Return the RLP of a record. Raises EncodeError when it is larger than 300 bytes."""
    rlp = encode_list([encode(signature), *items])
    if len(rlp) > SIZE_LIMIT:
        raise EncodeError(f"node record of {len(rlp)} bytes, at most {SIZE_LIMIT} allowed")
    return rlp


def format_text(rlp: bytes) -> str:
    """Return the text form of a record."""
    return _PREFIX + base64.urlsafe_b64encode(rlp).rstrip(b"=").decode("ascii")


def parse_text(text: str) -> bytes:
    """Return the RLP in the text form of a record. Raises InvalidNode with the reason."""
    text = text_of(text, "node record")
    if text[:1] in QUOTES:
        raise InvalidNode("invalid node record: quotes around the text")
    if not text.startswith(_PREFIX):
        raise InvalidNode(f"invalid node record: missing {_PREFIX!r} prefix")
    payload = text[len(_PREFIX) :]
    if len(payload) > _TEXT_LIMIT:
        raise InvalidNode(f"invalid node record: more than {SIZE_LIMIT} bytes")
    # b64decode ignores characters outside of its alphabet, and bits after the last byte.
    legal = _BASE64.match(payload)
    assert legal is not None
    if legal.end() < len(payload):
        why = _explain_illegal(payload[legal.end()])
        raise InvalidNode(f"invalid node record: illegal base64: {why}")
    if len(payload) % 4 == 1:
        raise InvalidNode("invalid node record: illegal base64: a character too many or too few")
    data = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    if format_text(data) != text:
        raise InvalidNode("invalid node record: base64 with stray bits at the end")
    return data


def _explain_illegal(character: str) -> str:
    """Return the reason why a character is not in the base64 alphabet for URLs."""
    if character == "=":
        return "padding with '=', the text has none"
    if character.isspace():
        return "white space inside"
    if character in QUOTES:
        return "quotes around the text"
    if character in "+/":
        return f"{character!r} is of the other alphabet, want '-' and '_'"
    return f"{character!r} is not of its alphabet"


def _split(data: bytes) -> list[bytes]:
    if len(data) > SIZE_LIMIT:
        raise InvalidNode(f"invalid node record: {len(data)} bytes, at most {SIZE_LIMIT} allowed")
    items = raw_items(data, max_items=SIZE_LIMIT)
    if len(items) < 2:
        raise InvalidNode("invalid node record: less than two list elements")
    return items


def _read_pairs(items: list[bytes]) -> dict[bytes, Raw]:
    if len(items) % 2:
        raise InvalidNode("invalid node record: incomplete key/value pair")
    pairs: dict[bytes, Raw] = {}
    last: bytes | None = None
    for raw_key, value in zip(items[::2], items[1::2], strict=True):
        key = decode(raw_key, bytes)
        if last is not None and key <= last:
            problem = "duplicate key" if key == last else "keys are not sorted"
            raise InvalidNode(f"invalid node record: {problem}")
        pairs[key] = Raw(value)
        last = key
    return pairs
