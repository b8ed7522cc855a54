"""Numbered messages with a running hash: what is lost, doubled, out of order or changed shows.

Layout of a payload; integers are big-endian::

    number    8 bytes    0 for the first message of its direction
    digest   32 bytes    SHA-256 of the digest before (32 zero bytes at first), number and body
    body      the rest   anything

A sender and a receiver have a :class:`Chain` each. The receiver finds a fault with the first
message that is not the next one, and an end that came too early by comparing the counts.
"""

from __future__ import annotations

import hashlib

NUMBER_BYTES = 8
HEAD_BYTES = NUMBER_BYTES + 32


class ChainBroken(AssertionError):
    """A message that is not the next one of its chain."""


class Chain:
    """One direction of a conversation, at one of its ends. One thread at a time."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = bytes(32)

    def next(self, body: bytes) -> bytes:
        """The payload of the next message to be sent."""
        return self._link(body) + body

    def check(self, payload: bytes) -> bytes:
        """The body of the next message received. Raises ChainBroken if it is another one."""
        expected, body = self.count, payload[HEAD_BYTES:]
        if payload[:HEAD_BYTES] != self._link(body):
            number = int.from_bytes(payload[:NUMBER_BYTES], "big")
            raise ChainBroken(f"message {expected} was expected, and {number} came, or a false one")
        return body

    def _link(self, body: bytes) -> bytes:
        number = self.count.to_bytes(NUMBER_BYTES, "big")
        self._digest = hashlib.sha256(self._digest + number + body).digest()
        self.count += 1
        return number + self._digest
