"""The error for an answer of a router that breaks the rules. Pure."""

from __future__ import annotations

from p2p.nat.mapping import NatError


class InvalidAnswer(NatError):
    """An answer that cannot be accepted; the text is printable and short, without the router."""
