"""Text of remotes for a terminal, a page or a drawing. Pure."""

from __future__ import annotations

import re

import p2p

#: Most characters of a text of a remote.
MAX_TEXT = 80
_LAYOUT = re.compile("([\n\t])")


def shown(text: object, limit: int = MAX_TEXT) -> str:
    """Return ``text`` with unprintable characters escaped, cut to ``limit`` characters."""
    escaped = _escaped(str(text)[: 2 * limit])
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


def safe(text: str) -> str:
    """Return a text with its lines and tabs, and all other unprintable characters escaped."""
    parts = _LAYOUT.split(text)
    return "".join(part if part in ("\n", "\t") else _escaped(part) for part in parts)


def on_one_line(text: str) -> str:
    """Return a text with each white space as one blank, and unprintable characters escaped."""
    return _escaped(" ".join(text.split()))


def address_of(node: p2p.Node, udp: bool = False) -> str:
    """Return "host:port" of a node, with the UDP port if wanted; "" if no address is known."""
    port = node.udp if udp else node.tcp
    host = node.hostname or ("" if node.ip is None else str(node.ip))
    if not host:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{shown(host)}:{port}"


def milliseconds(seconds: float) -> str:
    """Return a duration as text, "1.2 ms"."""
    return f"{seconds * 1000:.1f} ms"


def number_of(count: int, noun: str) -> str:
    """Return "1 node", "2 nodes"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
