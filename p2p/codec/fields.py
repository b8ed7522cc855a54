"""The fields of a dataclass that are on the wire, and those that may be missing.

A dataclass is a list of its fields in the order they are written. Fields that the constructor does
not take (``init=False``) are not part of it. Fields with a default may be missing at the end of the
list, which is how a protocol adds fields later (EIP-868 did); once a field without a default
follows, none before it can be missing.

Owns only these rules; `p2p.codec.encoder` and `p2p.codec.kinds` apply them. Pure; any thread.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

Field = dataclasses.Field[Any]


def wire_fields(kind: type[Any]) -> list[Field]:
    """Return the fields of the dataclass ``kind`` that are items of its list, in order."""
    return [field for field in dataclasses.fields(kind) if field.init]


def has_default(field: Field) -> bool:
    """Whether the field has a default, so that the constructor does not need it."""
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def count_required(fields: Sequence[Field]) -> int:
    """Return the minimum number of fields of a list: up to the last one without a default."""
    needed = [index for index, field in enumerate(fields) if not has_default(field)]
    return needed[-1] + 1 if needed else 0
