"""The types that a class gives its fields: names resolved, type parameters bound.

The annotations of a module with ``from __future__ import annotations`` are text. A name in them is
looked up in the module of the class and, for a class that is defined in a function, among the local
names of that function while it runs. A generic class has the types that ``Box[int]`` gives its
parameters, also those of the generic classes it inherits from.

Pure, but for looking at the frames of its callers; any thread.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from p2p.errors import ArgumentTypeError

Bindings = Mapping[Any, Any]


def field_hints(kind: type, args: tuple[object, ...] = ()) -> dict[str, Any]:
    """Return the type of each field of a class whose type parameters are ``args``.

    Raises ArgumentTypeError, with the remedy, for a name that cannot be resolved.
    """
    found: dict[str, Any] = {}
    bindings = dict(_bindings(kind, args))
    for base in reversed(kind.__mro__):
        hints = _resolved(base, kind)
        found |= {name: bind(hint, bindings.get(base, {})) for name, hint in hints.items()}
    for name, hint in found.items():
        if isinstance(hint, dataclasses.InitVar):
            text = f"{kind.__name__}.{name} is an InitVar, which is no field and not on the wire"
            raise ArgumentTypeError(f"{text}; write a field")
    return found


def bind(hint: Any, bindings: Bindings) -> Any:
    """Return ``hint`` with its type parameters replaced by the types that they stand for."""
    if isinstance(hint, typing.TypeVar):
        return bindings.get(hint, hint)
    if typing.get_origin(hint) is None or not bindings:
        return hint
    parameters = getattr(hint, "__parameters__", ())
    return hint[tuple(bindings.get(one, one) for one in parameters)] if parameters else hint


def _bindings(kind: type, args: tuple[object, ...]) -> Iterator[tuple[type, Bindings]]:
    """Yield each class that ``kind`` inherits from, with the types of its type parameters."""
    own = dict(zip(getattr(kind, "__parameters__", ()), args, strict=False))
    yield kind, own
    for base in vars(kind).get("__orig_bases__", kind.__bases__):
        origin = typing.get_origin(base) or base
        if isinstance(origin, type) and origin.__module__ != "typing":
            yield from _bindings(origin, typing.get_args(bind(base, own)))


def _resolved(base: type, kind: type) -> dict[str, Any]:
    """Return the own annotations of ``base``, as types. ``kind`` inherits from it."""
    try:
        own = inspect.get_annotations(base)
        if not own:
            return {}
        try:
            hints = typing.get_type_hints(base, include_extras=True)
        except NameError:
            hints = typing.get_type_hints(base, None, _local_names(base), include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as err:
        raise ArgumentTypeError(_unresolved(kind, err)) from err
    return {name: hints[name] for name in own}


def _local_names(kind: type) -> dict[str, Any]:
    """Return the names around a class: itself, its type parameters, its functions' local names."""
    names: dict[str, Any] = {}
    for function in kind.__qualname__.split(".<locals>.")[:-1]:
        frame = _frame_of(kind.__module__, function)
        names.update({} if frame is None else frame.f_locals)
    names[kind.__name__] = kind
    names.update({one.__name__: one for one in getattr(kind, "__type_params__", ())})
    return names


def _frame_of(module: str, function: str) -> FrameType | None:
    """Return the frame of a function that is running on this thread."""
    name = function.rpartition(".")[2]
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == name and frame.f_globals.get("__name__") == module:
            return frame
        frame = frame.f_back
    return None


def _unresolved(kind: type, err: Exception) -> str:
    text = f"the types of {kind.__name__} cannot be resolved: {err}"
    if not isinstance(err, NameError):
        return text
    if ".<locals>." in kind.__qualname__:
        return (
            f"{text}; it is a local class: define the classes that it names at the top of the "
            f"module, or use it first in the function that defines it"
        )
    return f"{text}; import it at the top of the module, not under TYPE_CHECKING only"
