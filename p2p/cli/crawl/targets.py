"""Targets for questions of discovery v4 at a wanted distance from a node.

Discovery v4 asks for the nodes next to a public key, and a node's place is the hash of its key: a
key at a distance can only be found by trying. Keys are kept for all nodes: to get to distance
257 - n from any node takes 2**n of them. Used by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import p2p

#: Bits that a target has in common with a node, at most, and the last one differs. More would take
#: seconds to find; a network has to be larger than this for more to matter.
MAX_BITS = 12
#: Most keys to try for one target.
MAX_TRIES = 1 << (MAX_BITS + 2)


class Targets:
    """Public keys by the first bits of their node IDs."""

    def __init__(self, new_key: Callable[[], p2p.PrivateKey] = p2p.generate_key) -> None:
        self._new_key = new_key
        self._by_prefix: dict[tuple[int, int], p2p.PublicKey] = {}

    def at(self, node_id: p2p.NodeID, distance: int) -> p2p.PublicKey:
        """Return a key at ``distance`` from a node; at the last one that is kept if it is less."""
        bits = min(257 - distance, MAX_BITS)
        wanted = bits, _prefix(node_id, bits) ^ 1
        for _ in range(MAX_TRIES):
            found = self._by_prefix.get(wanted)
            if found is not None:
                return found
            self._add(self._new_key().public_key)
        raise AssertionError("keys are not random")

    def _add(self, key: p2p.PublicKey) -> None:
        node_id = p2p.NodeID.from_public_key(key)
        for bits in range(1, MAX_BITS + 1):
            self._by_prefix.setdefault((bits, _prefix(node_id, bits)), key)


def _prefix(node_id: bytes, bits: int) -> int:
    return int.from_bytes(node_id[:4], "big") >> (32 - bits)
