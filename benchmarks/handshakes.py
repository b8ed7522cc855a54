"""Connections made and ended, compared with the curve operations that a handshake needs.

A connection is more than its handshake: two sockets, two threads that start and end, the orderly
end. The handshake alone, of two machines in one thread, is also measured.

Each end of a handshake makes two ephemeral keys (its own, and one to encrypt its packet),
multiplies points four times (static, ephemeral, to encrypt, to decrypt), and signs or recovers
once. The chosen binding of libsecp256k1 does these, without its classes. With one connection after
the other, the two ends take turns, so the operations of both count; with several at a time on two
cores, only those of the slower end do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter

from benchmarks.codec import connected_pair
from benchmarks.node import MAX_LANES
from benchmarks.process import Process
from benchmarks.scale import Scale
from p2p.crypto.backend import secp256k1


class Handshakes:
    """A listener and a process that connects to it, kept for all rounds."""

    def __init__(self, processes: ExitStack) -> None:
        listener = processes.enter_context(Process("listen"))
        self._shaker = processes.enter_context(Process("shake", listener.greeting["url"]))

    def measure(self, scale: Scale) -> dict[str, float]:
        """Return the seconds for one handshake, and for its curve operations."""
        initiator, recipient = curve_operations(scale.handshakes)
        return {
            "handshake of machines": time_of(connected_pair, scale.handshakes),
            "handshake": self._shake(scale.handshakes, 1),
            "handshake at a time": self._shake(scale.handshakes, MAX_LANES),
            "curve operations": initiator + recipient,
            "curve operations of one end": max(initiator, recipient),
        }

    def _shake(self, count: int, lanes: int) -> float:
        answer = self._shaker.ask("shake", count=count, lanes=lanes)
        return float(answer["seconds"]) / int(answer["count"])


def curve_operations(count: int) -> tuple[float, float]:
    """Return the seconds for the operations of the dialing, and of the listening end."""
    secret, digest = os.urandom(32), os.urandom(32)
    point = secp256k1.public_key(secret)
    sign_digest = secp256k1.signer(secret)
    signature = sign_digest(digest)
    generate = time_of(lambda: secp256k1.public_key(secret), count)
    multiply = time_of(lambda: secp256k1.agree_once(secret, point), count)
    sign = time_of(lambda: sign_digest(digest), count)
    recovery = time_of(lambda: secp256k1.recover(digest, signature), count)
    both = 2 * generate + 4 * multiply
    return both + sign, both + recovery


def time_of(operation: Callable[[], object], count: int) -> float:
    """Return the seconds for one call of ``operation``."""
    start = perf_counter()
    for _ in range(count):
        operation()
    return (perf_counter() - start) / count
