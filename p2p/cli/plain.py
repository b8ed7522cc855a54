"""Values of the library as JSON, and as a short text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import p2p
from p2p.cli.shown import shown


def plain(value: object) -> Any:
    """Return a value in the types of JSON: classes as objects, bytes as hex digits."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, (p2p.NodeID, p2p.Endpoint, p2p.Cap)):
        return str(value)
    if isinstance(value, (int, str)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return "0x" + value.hex()
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return str(value)


def summary(value: object, limit: int) -> str:
    """Return a value as text of at most ``limit`` characters, with unprintable ones escaped."""
    return shown(_text(plain(value), limit), limit)


def _text(value: Any, limit: int) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={_text(part, limit)}" for name, part in value.items())
    if isinstance(value, list):
        return "[" + ", ".join(_text(part, limit) for part in value[:limit]) + "]"
    if isinstance(value, str):
        return shown(value, limit)
    return str(value)
