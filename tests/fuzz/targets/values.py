"""RLP values: raw, and decoded as a kind.

Raw values are compared with two others: canonical RLP has one encoding for each value, so encoding
must give the very bytes again; and what the ``rlp`` package reads, when it is asked to be strict,
must be the same (short inputs only, it is slow). Decoded as a kind, a value must come through
encoding and decoding unchanged. The variant chooses the kind.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import rlp
from rlp.sedes import CountableList, List, big_endian_int, binary, boolean, text

import p2p
from p2p import codec
from p2p.errors import DecodeError
from tests.fuzz.target import Target

#: Longest input that the package is asked about too, in bytes.
ASK_PACKAGE = 200


@dataclass
class Status:
    """A message as protocols have them, with fields that came later."""

    version: int
    name: str
    hashes: list[bytes]
    is_full: bool = True
    extra: tuple[int, bytes] | None = None


@dataclass
class Branch:
    """A kind that contains itself."""

    value: bytes
    branches: list[Branch] = field(default_factory=list)


class Level(enum.IntEnum):
    """A kind with few values."""

    LOW = 1
    HIGH = 300


class Header(rlp.Serializable):  # type: ignore[misc]
    """A class of the package."""

    fields = [("number", big_endian_int), ("hash", binary), ("is_final", boolean)]


KINDS: tuple[Any, ...] = (
    bytes,
    str,
    int,
    bool,
    list[int],
    list[bytes],
    tuple[str, int],
    tuple[str, ...],
    tuple[()],
    list[tuple[bytes, int]],
    list[list[list[bool]]],
    Status,
    list[Status],
    Branch,
    big_endian_int,
    text,
    CountableList(big_endian_int),
    List([binary, CountableList(binary)]),
    Header,
    p2p.Cap,
    p2p.NodeID,
    Level,
    Literal["foo", "bar"],
    Annotated[list[Annotated[bytes, 32]], codec.MaxLength(3)],
    Annotated[bytes, 32] | Annotated[int, codec.MaxLength(8)],
    list[bytes | list[str]],
    bytearray,
)

SAMPLES: tuple[Any, ...] = (
    b"",
    b"\x7f",
    b"\x80",
    b"b" * 55,
    b"b" * 56,
    b"b" * 300,
    "text \u00e9\u20ac",
    0,
    1,
    2**64,
    [],
    [[]],
    [1, 2, 300, 2**200],
    ["foo", 7],
    [[[True], [False, True]], []],
    [[b"key", 1], [b"other", 2**32]],
    Status(4, "eth", [b"h" * 32] * 3),
    Status(4, "eth", [], False, (1, b"x")),
    [Status(0, "", [])] * 2,
    Branch(b"a", [Branch(b"b", [Branch(b"c")]), Branch(b"d")]),
    Header(7, b"h" * 32, True),
    [b"x", [b"y", b"z"]],
    p2p.Cap("eth", 69),
    Level.HIGH,
    [b"h" * 32] * 2,
    [[bytes(8)] * 40, [[[[[b"deep"]]]]]],
)


# Raw.


def build_raw(variant: int, repaired: bool, body: bytes) -> bytes:
    return body


def check_raw(data: bytes, value: Any) -> None:
    assert codec.encode(value) == data
    assert codec.decode(memoryview(data)) == value
    if isinstance(value, list):
        assert b"".join(codec.raw_items(data, len(data))) == b"".join(map(codec.encode, value))
        fields = codec.decode_fields(data + b"more", (None,) * len(value))
        assert fields == (tuple(value), len(data))
    if len(data) <= ASK_PACKAGE:
        assert rlp.decode(data, strict=True) == value


def check_raw_refused(data: bytes, error: Exception) -> None:
    if len(data) > ASK_PACKAGE or "nested more than" in str(error):
        return
    try:
        value = rlp.decode(data, strict=True)
    except rlp.DecodingError:
        return
    raise AssertionError(f"the package reads {value!r}")


# As a kind.

Typed = tuple[Any, bytes]


def build_typed(variant: int, repaired: bool, body: bytes) -> Typed:
    return KINDS[variant % len(KINDS)], body


def read_typed(built: Typed) -> Any:
    kind, data = built
    return codec.decode(data, kind)


def check_typed(built: Typed, value: Any) -> None:
    kind, data = built
    raw = codec.decode(data)  # what is of a kind is an RLP value
    if hasattr(kind, "serialize"):
        again = rlp.encode(value, kind if kind is not Header else None)
    else:
        again = codec.encode(value)
    assert codec.decode(again, kind) == value
    if kind not in (Status, list[Status], Branch) and not hasattr(kind, "serialize"):
        assert again == data
    if isinstance(raw, list):
        check_fields(data, raw)


def check_fields(data: bytes, raw: list[Any]) -> None:
    """Fewer fields than there are may be asked for, and data may follow."""
    kinds = (None,) * (len(raw) // 2)
    assert codec.decode_fields(data + b"\xff", kinds) == (tuple(raw[: len(kinds)]), len(data))


def _encoded() -> list[bytes]:
    return [codec.encode(value) for value in SAMPLES]


def raw_seeds() -> list[bytes]:
    return [b"\0" + data for data in _encoded()]


def typed_seeds() -> list[bytes]:
    """Each sample under each kind that takes it."""
    seeds = []
    for data in _encoded():
        for index, kind in enumerate(KINDS):
            try:
                codec.decode(data, kind)
            except DecodeError:
                continue
            seeds.append(bytes([index << 1]) + data)
    return seeds


TARGETS = (
    Target(
        "rlp",
        seeds=raw_seeds,
        build=build_raw,
        decode=codec.decode,
        errors=(DecodeError,),
        check=check_raw,
        repairs=False,
        check_refused=check_raw_refused,
    ),
    Target(
        "rlp-typed",
        seeds=typed_seeds,
        build=build_typed,
        decode=read_typed,
        errors=(DecodeError,),
        check=check_typed,
        repairs=False,
        words=("\u20ac".encode(), b"\xff", b"\xed\xa0\x80"),
    ),
)
