"""Errors of port mapping. Pure.

None of them reaches the program: the thread of port mappings logs them and tries again. Those of
one protocol only are in its module.
"""

from __future__ import annotations

from p2p.errors import P2PError


class NatError(P2PError):
    """A router refuses a request, answers wrongly, or not at all; or there is no way to it."""


class NoAnswer(NatError):
    """Nothing answers."""


class InvalidAnswer(NatError):
    """An answer that cannot be accepted; the text is printable and short, without the router."""


class Restarted(NatError):
    """The router has lost its mappings, by the time in its answer: all must be made again."""


class Interrupted(NatError):
    """:meth:`p2p.nat.gateway.Stop.set` was called during a wait."""
