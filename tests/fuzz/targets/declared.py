"""Payloads of declared messages (`p2p.messages`), with fields of all kinds.

The variant chooses the code. What is decoded must encode again, and to the same payload,
except for optional fields that the remote left out and a default fills in.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import p2p
from p2p.errors import DecodeError
from p2p.messages import Messages, message
from p2p.rlp import MaxLength
from tests.fuzz.target import Target

T = TypeVar("T")
Hash = Annotated[bytes, 32]
Uint64 = Annotated[int, MaxLength(8)]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Modes(enum.IntFlag):
    READ = 1
    WRITE = 2


class Place(NamedTuple):
    line: Uint64
    column: Uint64 = 0


@dataclass
class Tree(Generic[T]):
    label: T
    children: list[Tree[T]] = field(default_factory=list)


@message(0, max_size=4096)
class Everything:
    reason: p2p.DiscReason
    color: Color
    modes: Modes
    word: Literal["a", "b"]
    node: p2p.NodeID
    cap: p2p.Cap
    name: Annotated[str, MaxLength(16)]
    origin: Hash | Uint64
    either: list[bytes | list[int]]
    hashes: Annotated[list[Hash], MaxLength(4)]
    place: Place
    tree: Tree[Color]
    number: Uint64 | None = None


@message(1, bare=True)
class Trees:
    trees: Annotated[list[Tree[bytes]], MaxLength(8)]


@message(2, bare=True)
class Origin:
    origin: Hash | Uint64


OWN: Messages[Any] = Messages("own", 1, [Everything, Trees, Origin])

SAMPLES: tuple[Any, ...] = (
    Everything(
        *(p2p.DiscReason(66), Color.BLUE, Modes.READ | Modes.WRITE, "a", p2p.NodeID(bytes(32))),
        *(p2p.Cap("eth", 69), "grüß", b"h" * 32, [b"x", [1, 2]], [b"h" * 32] * 3, Place(4, 5)),
        *(Tree(Color.RED, [Tree(Color.BLUE)]), 7),
    ),
    Trees([Tree(b"a", [Tree(b"b", [Tree(b"c")]), Tree(b"d")])]),
    Origin(300),
    Origin(b"h" * 32),
)

Built = tuple[int, bytes]


def build(variant: int, repaired: bool, body: bytes) -> Built:
    return variant % OWN.length, body


def read(built: Built) -> Any:
    return OWN.decode(*built)


def check(built: Built, value: Any) -> None:
    code, payload = built
    again = OWN.encode(value)
    assert again[0] == code
    assert OWN.decode(*again) == value
    assert again[1] == payload or len(again[1]) > len(payload)


def seeds() -> list[bytes]:
    return [bytes([code << 1]) + payload for code, payload in map(OWN.encode, SAMPLES)]


TARGETS = (
    Target(
        "messages",
        seeds=seeds,
        build=build,
        decode=read,
        errors=(DecodeError,),
        check=check,
        repairs=False,
        words=(b"red", b"blue", bytes(32), "\u20ac".encode()),
    ),
)
