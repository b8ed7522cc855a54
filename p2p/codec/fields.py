"""The fields of a dataclass or NamedTuple that are on the wire, and those that may be missing.

It is a list of its fields in the order they are written. Fields that the constructor does not take
(``init=False``) are not part of it. Fields with a default may be missing at the end of the list,
which is how a protocol adds fields later (EIP-868 did); once a field without a default follows,
none before it can be missing.

Owns only these rules; `p2p.codec.encoder` and `p2p.codec.kinds` apply them. Pure; any thread.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple


class Field(NamedTuple):
    """A field: whether it has a default, and whether the constructor wants its name."""

    name: str
    has_default: bool
    by_name: bool = False


def has_fields(kind: object) -> bool:
    """Whether ``kind`` is a dataclass or a NamedTuple."""
    return isinstance(kind, type) and (dataclasses.is_dataclass(kind) or is_named_tuple(kind))


def is_named_tuple(kind: type) -> bool:
    """Whether ``kind`` is a NamedTuple, or made by ``collections.namedtuple``."""
    return issubclass(kind, tuple) and hasattr(kind, "_field_defaults")


def wire_fields(kind: type[Any]) -> list[Field]:
    """Return the fields that are items of the list of ``kind``, in order."""
    if is_named_tuple(kind):
        return [Field(name, name in kind._field_defaults) for name in kind._fields]
    return [
        Field(field.name, _has_default(field), field.kw_only is True)
        for field in dataclasses.fields(kind)
        if field.init
    ]


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def count_required(fields: Sequence[Field]) -> int:
    """Return the minimum number of fields of a list: up to the last one without a default."""
    needed = [index for index, field in enumerate(fields) if not field.has_default]
    return needed[-1] + 1 if needed else 0
