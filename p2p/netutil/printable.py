"""Escaping of a remote's text for terminals and logs. Pure."""

from __future__ import annotations


def printable(text: str, limit: int) -> str:
    """Escape the unprintable characters of ``text``, and cut it to ``limit`` with an ellipsis."""
    text = text[: limit + 1]  # an escaped character is no shorter
    shown = text
    if not text.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= limit else shown[:limit] + "..."
