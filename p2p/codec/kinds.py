"""Kinds, the types that an item can be decoded as, and their shapes.

A kind is one of

============================  ==================================================================
None, object, Any             the raw value: bytes, or nested lists of bytes
bytes, str, int, bool         a string; strict UTF-8; canonical integer; 0x01 or 0x80
bytearray, memoryview         a string
a subclass of bytes, str, int what the class makes of it; refused if it raises ValueError
an Enum, a Literal            one of its values, all of them bytes, str, int, or bool
list, list[T], Sequence[T]    any list; a list of any length whose items are all T
tuple, tuple[T, ...]          the same, as tuples
tuple[A, B], tuple[()]        a list of exactly these items
a dataclass, a NamedTuple     a list of its fields; those with defaults may be missing at the end
Box[int]                      a generic one of these, with its type parameters
Annotated[T, 32]              bytes, str or list of exactly 32 bytes, or items
Annotated[T, MaxLength(32)]   the same, or int, of at most 32
A | B                         of two strings that differ in length, or of a string and a list
X | None                      only for a field with a default: X when it is there
a NewType, a ``type`` alias   the type that it stands for
a sedes, a Serializable       from the ``rlp`` package, see `p2p.codec.sedes`
============================  ==================================================================

Whatever else is given is refused, with what to write instead. Pure; any thread.
"""

from __future__ import annotations

import dataclasses
import datetime
import types
import typing
from collections.abc import Callable, Mapping, MutableSequence, Sequence, Set
from enum import Enum
from typing import Any

from p2p.codec.enums import enum_shape, literal_shape
from p2p.codec.fields import Field, count_required, has_fields, wire_fields
from p2p.codec.hints import bind, field_hints
from p2p.codec.sedes import is_sedes
from p2p.codec.shapes import (
    Choice,
    Custom,
    Form,
    ListOf,
    Make,
    MaxLength,
    Named,
    Raw,
    Record,
    Shape,
    String,
)
from p2p.errors import ArgumentTypeError

#: Limit on the kinds inside one another, beyond which a generic class grows without end.
_MAX_NESTING = 64

_LISTS = (list, Sequence, MutableSequence)

# Pairs, not a dict: a kind need not be hashable.
_SIMPLE: tuple[tuple[object, Callable[[], Shape]], ...] = (
    (None, Raw),
    (object, Raw),
    (Any, Raw),
    (bytes, lambda: String(Form.BYTES)),
    (str, lambda: String(Form.TEXT)),
    (int, lambda: String(Form.INTEGER)),
    (bool, lambda: String(Form.BOOLEAN)),
    (bytearray, lambda: String(Form.BYTES, make=bytearray, name="bytearray")),
    (memoryview, lambda: String(Form.BYTES, make=memoryview, name="memoryview")),
    (list, lambda: Raw(only_lists=True)),
    (typing.List, lambda: Raw(only_lists=True)),  # noqa: UP006
    (Sequence, lambda: Raw(only_lists=True)),
    (typing.Sequence, lambda: Raw(only_lists=True)),
    (MutableSequence, lambda: Raw(only_lists=True)),
    (typing.MutableSequence, lambda: Raw(only_lists=True)),
    (tuple, lambda: Raw(only_lists=True, as_tuple=True)),
    (typing.Tuple, lambda: Raw(only_lists=True, as_tuple=True)),  # noqa: UP006
)

_BASES = {bytes: Form.BYTES, str: Form.TEXT, int: Form.INTEGER}

_ADVICE: tuple[tuple[type, str], ...] = (
    (float, "write int, in a smaller unit, or str"),
    (Mapping, "write list[tuple[K, V]]"),
    (Set, "write list[T]"),
    (datetime.date, "write int, such as the seconds since 1970"),
    (datetime.timedelta, "write int, such as milliseconds"),
)
_ANY_ADVICE = "write bytes, str, int, bool, list[T], tuple[A, B], an Enum or a dataclass"


def shape_of(kind: object) -> Shape:
    """Return the shape of ``kind``. Raises ArgumentTypeError when it is not a kind."""
    finder = _Finder()
    shape = finder.find(kind)
    finder.fill_choices()
    return shape


class _Finder:
    """Search for the shape of one kind. Keeps the outer kinds, which may come again."""

    def __init__(self) -> None:
        #: Kind, its shape, and the number of lists around it.
        self._open: list[tuple[object, Record | Named, int]] = []
        self._depth = 0
        #: Choices to fill at the end, when each of their members is: with kind, members and place.
        self._choices: list[tuple[Choice, object, list[Shape], str]] = []
        self._path: list[str] = []

    def fill_choices(self) -> None:
        """Fill the choices that were found. Raises ArgumentTypeError for ambiguous ones."""
        for choice, kind, members, where in self._choices:
            try:
                _fill_choice(choice, kind, members)
            except TypeError as err:
                raise ArgumentTypeError(f"{where}{err}") from None

    def find(self, kind: Any) -> Shape:
        """Return the shape of ``kind``. Raises ArgumentTypeError when it is not a kind."""
        for simple, make in _SIMPLE:
            if kind is simple:
                return make()
        if is_sedes(kind):
            return Custom(kind)
        if isinstance(kind, typing.NewType):
            return self.find(kind.__supertype__)
        origin = typing.get_origin(kind)
        if _is_alias(kind):
            return self._inside(kind, Named(str(kind)), self._fill_alias)
        if origin is not None:
            return self._find_generic(kind, origin, typing.get_args(kind))
        if isinstance(kind, type):
            return self._find_class(kind, ())
        raise not_a_kind(kind)

    def _find_generic(self, kind: Any, origin: Any, args: tuple[Any, ...]) -> Shape:
        if origin is typing.Annotated:
            return _limited(self.find(args[0]), kind, args[1:])
        if origin is typing.Literal:
            return literal_shape(kind, args)
        if origin is typing.Final:
            return self.find(args[0])
        if origin in (typing.Union, types.UnionType):
            return self._find_choice(kind, args)
        if origin in _LISTS:
            return ListOf(self._find_item(args[0]))
        if origin is tuple:
            return self._find_tuple(args)
        if isinstance(origin, type) and has_fields(origin):
            return self._find_class(kind, args)
        raise not_a_kind(kind)

    def _find_item(self, kind: Any) -> Shape:
        self._depth += 1
        try:
            return self.find(kind)
        finally:
            self._depth -= 1

    def _find_tuple(self, args: tuple[Any, ...]) -> Shape:
        if len(args) == 2 and args[1] is Ellipsis:
            return ListOf(self._find_item(args[0]), as_tuple=True)
        if args == ((),):  # how Python 3.10 spells the arguments of typing.Tuple[()]
            args = ()
        items = [self._find_item(arg) for arg in args]
        labels = [f"[{index}]" for index in range(len(args))]
        return Record("", tuple, labels, items, len(items))

    def _find_class(self, kind: Any, args: tuple[Any, ...]) -> Shape:
        origin = typing.get_origin(kind) or kind
        if issubclass(origin, Enum):
            return enum_shape(origin)
        if has_fields(origin):
            return self._inside(kind, Record(_generic_name(kind, args), tuple), self._fill_record)
        for base, form in _BASES.items():
            if issubclass(origin, base):
                return String(form, make=origin, name=origin.__name__)
        raise not_a_kind(kind)

    def _inside(
        self, kind: Any, shape: Record | Named, fill: Callable[[Any, Any], Shape]
    ) -> Shape:
        """Return a shape that may contain itself: filled, or that which is being filled."""
        for known, opened, depth in self._open:
            if known == kind:
                if depth == self._depth:
                    raise ArgumentTypeError(f"{_name(kind)} is itself, without a list around it")
                return opened
        if len(self._open) >= _MAX_NESTING:
            raise ArgumentTypeError(f"{_name(kind)} grows without end: it contains another Box[T]")
        self._open.append((kind, shape, self._depth))
        try:
            return fill(kind, shape)
        finally:
            self._open.pop()

    def _fill_alias(self, kind: Any, shape: Named) -> Shape:
        alias = typing.get_origin(kind) or kind
        bindings = dict(zip(alias.__type_params__, typing.get_args(kind), strict=False))
        shape.target = self.find(bind(alias.__value__, bindings))
        return shape

    def _fill_record(self, kind: Any, shape: Record) -> Shape:
        origin: type[Any] = typing.get_origin(kind) or kind
        fields = wire_fields(origin)
        hints = field_hints(origin, typing.get_args(kind))
        shape.required = count_required(fields)
        shape.labels = [f".{field.name}" for field in fields]
        shape.make = _maker(origin, fields)
        shape.items = [self._find_field(origin, field, hints) for field in fields]
        return shape

    def _find_field(self, kind: type, field: Field, hints: dict[str, Any]) -> Shape:
        where = f"{kind.__name__}.{field.name}"
        if field.name not in hints:
            raise ArgumentTypeError(f"{where} has no type; write class {kind.__name__}(NamedTuple)")
        hint = hints[field.name]
        self._path.append(where)
        try:
            return self._find_item(_without_none(hint) if field.has_default else hint)
        except TypeError as err:
            raise ArgumentTypeError(f"{where}: {err}") from None
        finally:
            self._path.pop()

    def _find_choice(self, kind: Any, args: tuple[Any, ...]) -> Shape:
        if type(None) in args:
            advice = "give the field a default, seq: int | None = None; then it may be missing"
            raise not_a_kind(kind, advice)
        members = [self.find(arg) for arg in args]
        where = "".join(f"{field}: " for field in self._path)
        self._choices.append((choice := Choice([]), kind, members, where))
        return choice


def _is_alias(kind: object) -> bool:
    """Whether it is a TypeAliasType, of typing or, before Python 3.12, of typing_extensions."""
    return hasattr(kind, "__value__") and hasattr(kind, "__type_params__")


def _maker(kind: type[Any], fields: list[Field]) -> Make:
    if not any(field.by_name for field in fields):
        return lambda values: kind(*values)
    names = [field.name for field in fields]
    return lambda values: kind(**dict(zip(names, values, strict=False)))  # they may end early


def _limited(shape: Shape, kind: object, marks: tuple[object, ...]) -> Shape:
    """Return the shape within the limits among the metadata of ``Annotated``."""
    for mark in marks:
        if type(mark) is int:
            shape = _within(shape, kind, mark, mark)
        elif isinstance(mark, MaxLength):
            shape = _within(shape, kind, 0, mark.length)
    return shape


def _within(shape: Shape, kind: object, least: int, most: int) -> Shape:
    while isinstance(shape, Named):
        shape = shape.target
    if isinstance(shape, Raw) and shape.only_lists:
        shape = ListOf(Raw(), shape.as_tuple)
    if isinstance(shape, String) and shape.form in (Form.BYTES, Form.TEXT):
        fits = True
    elif isinstance(shape, String) and shape.form is Form.INTEGER:
        fits = least == 0
    else:
        fits = isinstance(shape, ListOf)
    if not fits or most < 0 or not isinstance(shape, (String, ListOf)):
        raise not_a_kind(kind, _LENGTH_ADVICE)
    least = max(least, shape.least)
    most = most if shape.most is None else min(most, shape.most)
    if least > most:
        raise not_a_kind(kind, "its limits exclude each other")
    return dataclasses.replace(shape, least=least, most=most)


_CHOICE_ADVICE = (
    "strings must differ in length, as Annotated[bytes, 32] and Annotated[int, MaxLength(8)] do"
)
_LENGTH_ADVICE = (
    "a length is for bytes, str and list; of an int, write Annotated[int, MaxLength(8)] for 64 bits"
)


def _fill_choice(choice: Choice, kind: object, members: list[Shape]) -> None:
    """Fill a choice with shapes that the first bytes of an item tell apart."""
    strings = choice.strings
    lists: list[Shape] = []
    for given in members:
        member = given
        while isinstance(member, Named):
            member = member.target
        if isinstance(member, Choice):
            strings += member.strings
            lists += [] if member.a_list is None else [member.a_list]
        elif isinstance(member, String):
            strings.append(member)
        elif isinstance(member, Custom) or (isinstance(member, Raw) and not member.only_lists):
            raise not_a_kind(kind, "Any, and a sedes, stand for any item: write it alone")
        else:
            lists.append(given)  # by its name, since it may contain itself
    strings.sort(key=lambda one: one.least)
    if len(lists) > 1:
        raise not_a_kind(kind, "lists look alike: write one dataclass, or a message for each")
    for shorter, longer in zip(strings, strings[1:], strict=False):
        if shorter.most is None or shorter.most >= longer.least:
            raise not_a_kind(kind, _CHOICE_ADVICE)
    choice.a_list = lists[0] if lists else None


def _without_none(hint: Any) -> Any:
    """Return X for ``X | None``, any other hint unchanged."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    members = [member for member in typing.get_args(hint) if member is not type(None)]
    return typing.Union[tuple(members)]  # noqa: UP007


def not_a_kind(kind: object, advice: str = "") -> ArgumentTypeError:
    """Return the error for anything that is not a kind, with what to write instead."""
    text = f"{_name(kind)} is not a kind that RLP can be decoded as"
    return ArgumentTypeError(f"{text}; {advice or _advice(kind)}")


def _advice(kind: object) -> str:
    if isinstance(kind, (str, typing.ForwardRef)):
        return "write the type itself, not its name"
    if isinstance(kind, typing.TypeVar):
        return "it is a type parameter: write the class with its types, such as Box[int]"
    origin = typing.get_origin(kind) or kind
    if isinstance(origin, type):
        for base, advice in _ADVICE:
            if issubclass(origin, base):
                return advice
    return _ANY_ADVICE


def _generic_name(kind: Any, args: tuple[Any, ...]) -> str:
    name: str = (typing.get_origin(kind) or kind).__name__
    return f"{name}[{', '.join(map(_name, args))}]" if args else name


def _name(kind: object) -> str:
    return kind.__name__ if type(kind) is type else repr(kind)[:100]
