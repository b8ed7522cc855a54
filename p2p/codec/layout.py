"""Shapes as words: the type and the length of an item, for people.

Pure; any thread. `p2p.messages.layout` makes tables of these.
"""

from __future__ import annotations

from collections.abc import Iterator

from p2p.codec.shapes import LONGEST, Choice, ListOf, Named, Raw, Record, Shape, String


def type_of(shape: Shape) -> str:
    """Return the type of an item in words, such as ``list of text``."""
    if isinstance(shape, String):
        return f"{shape.name} ({shape.form.value})" if shape.name else shape.form.value
    if isinstance(shape, ListOf):
        item = type_of(shape.item)
        return f"list of ({item})" if isinstance(shape.item, Choice) else f"list of {item}"
    if isinstance(shape, Record):
        return shape.name or f"({', '.join(map(type_of, shape.items))})"
    if isinstance(shape, Choice):
        return " or ".join(dict.fromkeys(map(type_of, _members(shape))))  # each type once
    if isinstance(shape, Raw):
        return "list" if shape.only_lists else "any item"
    return shape.name if isinstance(shape, Named) else f"sedes {type(shape.sedes).__name__}"


def length_of(shape: Shape) -> str:
    """Return the limits on the length of an item in words, empty if it has none of its own."""
    if isinstance(shape, String):
        most = None if shape.most == LONGEST[shape.form] else shape.most
        return _range(shape.least, most, "byte")
    if isinstance(shape, ListOf):
        parts = [_range(shape.least, shape.most, "item"), length_of(shape.item)]
        return ", each ".join(filter(None, parts)) if parts[0] else _each(parts[1])
    if isinstance(shape, Choice):
        return " or ".join(filter(None, map(length_of, _members(shape))))
    if isinstance(shape, Record) and not shape.name:
        lengths = [length_of(item) for item in shape.items]
        return f"({', '.join(one or 'any' for one in lengths)})" if any(lengths) else ""
    return ""


def named_in(shape: Shape) -> Iterator[Record | Named | String]:
    """Yield the records with a name, aliases and enums in ``shape``, itself included."""
    seen: set[int] = set()
    left = [shape]
    while left:
        one = left.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, String):
            if one.choices:
                yield one
        elif isinstance(one, Named) or (isinstance(one, Record) and one.name):
            yield one
        left += _inside(one)


def _inside(shape: Shape) -> list[Shape]:
    if isinstance(shape, Record):
        return shape.items
    if isinstance(shape, ListOf):
        return [shape.item]
    if isinstance(shape, Named):
        return [shape.target]
    return _members(shape) if isinstance(shape, Choice) else []


def _members(shape: Choice) -> list[Shape]:
    return [*shape.strings, *([] if shape.a_list is None else [shape.a_list])]


def _range(least: int, most: int | None, unit: str) -> str:
    if most is None:
        return f"at least {least} {unit}s" if least else ""
    number = f"{most} {unit}" + ("" if most == 1 else "s")
    if least == most:
        return number
    return f"{least} to {number}" if least else f"up to {number}"


def _each(length: str) -> str:
    return f"each {length}" if length else ""
