"""Capabilities: the choice of those that both ends have, and their message codes.

Pure. rlpx.md, "Message ID-based Multiplexing": codes 0 to 15 are the base protocol's; from 16 on
each shared capability has as many codes as its length, in the order of names. Of several shared
versions of one name only the highest counts. Both ends must get the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from p2p.errors import InvalidMessageCode

#: Number of message codes reserved for the base protocol.
BASE_LENGTH = 16


class Cap(NamedTuple):
    """A capability as in the hello; sorts by name, then version."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


class SharedCap(NamedTuple):
    """A capability of this connection: its codes are ``offset`` to ``offset + length - 1``."""

    cap: Cap
    offset: int
    length: int


def match(ours: Sequence[tuple[Cap, int]], theirs: Iterable[Cap]) -> list[SharedCap]:
    """Return the shared capabilities in the order of their codes.

    ``ours`` has pairs (capability, number of its codes), ``theirs`` the capabilities of the hello.
    """
    offered = set(theirs)
    best: dict[str, tuple[Cap, int]] = {}
    for cap, length in sorted(ours):
        if cap in offered:
            best[cap.name] = (cap, length)
    shared = []
    offset = BASE_LENGTH
    for name in sorted(best):
        cap, length = best[name]
        shared.append(SharedCap(cap, offset, length))
        offset += length
    return shared


def find(shared: Iterable[SharedCap], code: int) -> tuple[int, int, int]:
    """Return index, first code, and code after the last of the capability that has ``code``.

    Raises InvalidMessageCode if none has it.
    """
    for index, (_cap, offset, length) in enumerate(shared):
        if offset <= code < offset + length:
            return index, offset, offset + length
    own = code - BASE_LENGTH
    raise InvalidMessageCode(f"message code {own} ({code} on the wire) belongs to no protocol")
