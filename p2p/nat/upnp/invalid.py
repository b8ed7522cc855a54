"""The error for an answer of a router that breaks the rules. Pure.

It does not leave the package: the front, which knows the router's address, makes a NatError of it.
"""

from __future__ import annotations


class InvalidAnswer(ValueError):
    """An answer that cannot be accepted; the text is printable and short."""
