"""The request id in a message object: its first field, as it is the first item on the wire.

Pure; any thread. Messages are instances of the classes of :mod:`p2p.messages`, dataclasses or
NamedTuples.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from p2p.arguments import wrong, wrong_type

M = TypeVar("M")

_WANTED = "a message whose first field is an int, its request id"


def with_id(message: M, request_id: int) -> M:
    """Return a copy of a message with this id. Raises ArgumentTypeError if it has none."""
    name = _first_field(message)
    if isinstance(message, tuple):
        copy: M = message._replace(**{name: request_id})  # type: ignore[attr-defined]
        return copy
    return dataclasses.replace(message, **{name: request_id})  # type: ignore[type-var]


def id_of(message: object) -> int:
    """Return the id of a message. Raises ArgumentTypeError if it has none."""
    value: Any = getattr(message, _first_field(message))
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong("message", message, _WANTED)
    return value


def _first_field(message: object) -> str:
    names: Any = getattr(message, "_fields", ())
    if dataclasses.is_dataclass(message):
        names = [field.name for field in dataclasses.fields(message)]
    if not names or isinstance(message, type):
        raise wrong_type("message", message, _WANTED)
    name: str = names[0]
    return name
