"""Connections made and ended, beside the curve operations that a handshake cannot do without.

A connection is more than its handshake: two sockets, two threads that are started and end, the
orderly end. The handshake alone, of two machines in one thread, is measured, too.

Each end of a handshake makes two ephemeral keys (its own, and one to seal its packet), multiplies
points four times (static, ephemeral, to seal, to open), and signs or recovers once. One connection
after the other, the two ends take turns, so the operations of both count; with several at a time
on two cores, only those of the slower end do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter

import coincurve

from benchmarks.codec import connected_pair
from benchmarks.node import MAX_LANES
from benchmarks.process import Process
from benchmarks.scale import Scale


class Handshakes:
    """A listener and a process that connects to it, kept for all rounds."""

    def __init__(self, processes: ExitStack) -> None:
        listener = processes.enter_context(Process("listen"))
        self._shaker = processes.enter_context(Process("shake", listener.greeting["url"]))

    def measure(self, scale: Scale) -> dict[str, float]:
        """Seconds for one handshake, and for its curve operations."""
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
    """Seconds of those of one handshake, of the end that dials and of the one that listens."""
    secret, digest = os.urandom(32), os.urandom(32)
    key = coincurve.PrivateKey(secret)
    point = key.public_key
    signature = key.sign_recoverable(digest, hasher=None)
    recover = coincurve.PublicKey.from_signature_and_message
    generate = time_of(lambda: coincurve.PrivateKey(secret).public_key, count)
    multiply = time_of(lambda: point.multiply(secret), count)
    sign = time_of(lambda: key.sign_recoverable(digest, hasher=None), count)
    recovery = time_of(lambda: recover(signature, digest, hasher=None), count)
    both = 2 * generate + 4 * multiply
    return both + sign, both + recovery


def time_of(operation: Callable[[], object], count: int) -> float:
    """Seconds for one."""
    start = perf_counter()
    for _ in range(count):
        operation()
    return (perf_counter() - start) / count
