"""Text of remotes for a terminal, a page or a drawing. Pure."""

from __future__ import annotations

import p2p

#: Most characters of a text of a remote.
MAX_TEXT = 80


def shown(text: object, limit: int = MAX_TEXT) -> str:
    """Return ``text`` with unprintable characters escaped, cut to ``limit`` characters."""
    whole = str(text)[: 2 * limit]
    escaped = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in whole
    )
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


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
