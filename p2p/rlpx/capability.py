"""Capabilities: what both ends speak, and which message codes belong to whom.

Pure. rlpx.md, "Message ID-based Multiplexing": codes 0 to 15 are the base protocol's; from 16 on
each shared capability has as many as its length says, in the order of names. Of several shared
versions of one name only the highest counts. Both ends must come to the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

#: Message codes that the base protocol keeps for itself.
BASE_LENGTH = 16


class Cap(NamedTuple):
    """A capability as it stands in hello; sorts by name, then version."""

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
    """The shared capabilities in the order of their codes; ``ours`` is (capability, length)."""
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
