"""Enums and literals: strings with a fixed set of values.

A member that is a bytes, str or int is its own encoding, any other member that of its value. All
values have one type, which says how the string is read. Pure; any thread.
"""

from __future__ import annotations

from enum import Enum, Flag
from typing import Any

from p2p.codec.shapes import Form, String
from p2p.errors import ArgumentTypeError

_FORMS = {bytes: Form.BYTES, str: Form.TEXT, int: Form.INTEGER, bool: Form.BOOLEAN}

#: Limit on the bits of a Flag. It keeps every combination that it was ever called with.
_MAX_FLAGS = 16


def plain(member: Any) -> Any:
    """Return what is on the wire for an enum member, or for a value of a literal."""
    if isinstance(member, str):
        return str.__str__(member)  # str() may be a method of the class
    if isinstance(member, bytes):
        return bytes(member)
    if isinstance(member, int):
        return member if isinstance(member, bool) else int(member)
    return plain(member.value) if isinstance(member, Enum) else member


def enum_shape(kind: type[Enum]) -> String:
    """Return the shape of an Enum. Raises ArgumentTypeError for one whose values do not fit."""
    members = {plain(member): member for member in kind.__members__.values()}
    form = _form_of(kind.__name__, list(members))
    choices = {name: plain(member) for name, member in kind.__members__.items()}
    if issubclass(kind, Flag):
        return String(form, make=_flags(kind), name=kind.__name__, choices=choices)

    def make(value: object) -> object:
        member = members.get(value)
        return kind(value) if member is None else member  # it may know more values: _missing_

    return String(form, make=make, name=kind.__name__, choices=choices)


def literal_shape(kind: object, values: tuple[Any, ...]) -> String:
    """Return the shape of ``Literal[...]``. Raises ArgumentTypeError for mixed types."""
    name = str(kind).removeprefix("typing.")[:100]
    members = {plain(value): value for value in values}

    def make(value: object) -> object:
        try:
            return members[value]
        except KeyError:
            raise ValueError(f"not of {name}") from None

    return String(_form_of(name, list(members)), make=make, name=name)


def _form_of(name: str, values: list[Any]) -> Form:
    types = {type(value) for value in values}
    form = _FORMS.get(types.pop()) if len(types) == 1 else None
    if form is None:
        text = f"{name} is not a kind that RLP can be decoded as"
        raise ArgumentTypeError(f"{text}; its values must be all int, all str, or all bytes")
    if form is Form.INTEGER and min(values) < 0:
        raise ArgumentTypeError(f"{name} has a value below zero, which has no RLP encoding")
    return form


def _flags(kind: type[Flag]) -> Any:
    known = 0
    for member in kind.__members__.values():
        known |= int(plain(member))
    if known >> _MAX_FLAGS:
        text = f"{kind.__name__} has more than {_MAX_FLAGS} flags"
        raise ArgumentTypeError(f"{text}; write int, and make the flags of it")

    def make(value: int) -> object:
        if value & ~known:
            raise ValueError("unknown flag")
        return kind(value)

    return make
