"""Distance between two nodes: the XOR metric of Kademlia.

Pure. The distance of two IDs is their exclusive or, read as a big-endian number; its logarithm is
the position of the first bit in which they differ (discovery v4, "Kademlia Table"). The functions
take IDs of any one length, and raise ArgumentError when the lengths differ.
"""

from __future__ import annotations

from p2p.arguments import wrong


def xor_distance(a: bytes, b: bytes) -> int:
    """Return the distance itself, 0 when equal; nodes are sorted by it."""
    if len(a) != len(b):
        raise wrong("b", b, f"an ID of {len(a)} bytes, as the other one")
    return int.from_bytes(a, "big") ^ int.from_bytes(b, "big")


def log_distance(a: bytes, b: bytes) -> int:
    """Return the bit length of the distance: 0 when equal, 256 when the first of 256 differs."""
    return xor_distance(a, b).bit_length()


def compare_distance(target: bytes, a: bytes, b: bytes) -> int:
    """Return -1 if ``a`` is nearer to ``target`` than ``b``, 1 if farther, 0 if they are equal."""
    to_a, to_b = xor_distance(target, a), xor_distance(target, b)
    return (to_a > to_b) - (to_a < to_b)


def closer(target: bytes, a: bytes, b: bytes) -> bool:
    """Whether ``a`` is nearer to ``target`` than ``b``."""
    return xor_distance(target, a) < xor_distance(target, b)
