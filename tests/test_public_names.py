"""The public names: one home for each, documented there, and no way from there to the inside."""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

import pytest

import p2p
from tests.kit.publicnames import MODULES, public_classes, public_names

modules = pytest.mark.parametrize("name", MODULES)

#: Made by the library only, so that their constructors are its own.
MADE_BY_US = {
    *("ClientReadWriter", "Discovery", "MsgPipe", "Peer", "ProtocolReadWriter", "RandomNodes"),
    "Request",
    *("Advertisement", "Subscription", "TopicNodes"),
}


@modules
def test_names_of_a_module_are_sorted_and_there(name: str) -> None:
    names = MODULES[name].__all__
    assert len(set(names)) == len(names)
    kinds = [(not name.isupper(), not name[0].isupper()) for name in names]
    assert [*zip(kinds, names, strict=True)] == sorted(zip(kinds, names, strict=True))
    assert all(hasattr(MODULES[name], public) for public in names)


def test_a_name_stands_for_one_thing() -> None:
    known = public_names()
    for module in MODULES.values():
        assert all(getattr(module, name) is known[name] for name in module.__all__)


def test_the_root_has_names_that_most_programs_need_and_no_more() -> None:
    assert len(p2p.__all__) < 50
    errors = [name for name in p2p.__all__ if name in p2p.errors.__all__]
    assert len(errors) < 20


@modules
def test_docstring_of_a_module_tells_of_each_of_its_names(name: str) -> None:
    text = inspect.getdoc(MODULES[name]) or ""
    told = {public for public in MODULES[name].__all__ if re.search(rf"\b{public}\b", text)}
    elsewhere = set(p2p.__all__) if name in ("p2p", "p2p.enode") else set()  # docs/reference
    assert set(MODULES[name].__all__) - told <= elsewhere


def test_docstring_of_the_root_names_the_public_modules() -> None:
    named = re.findall(r"^`(p2p\.[\w.]+)`", inspect.getdoc(p2p) or "", re.MULTILINE)
    assert {"p2p", *named} - {"p2p.lab", "p2p.sim"} == MODULES.keys()


def test_each_error_is_public() -> None:
    defined = {
        name
        for name, thing in vars(p2p.errors).items()
        if inspect.isclass(thing) and issubclass(thing, (p2p.P2PError, Enum))
        if thing.__module__.startswith("p2p.") and not name.startswith("_")
    }
    assert set(p2p.errors.__all__) == defined


# What leads from a public name to others.


def attributes(kind: type) -> Iterator[tuple[str, Any]]:
    """The functions of a class that are for programs, by name."""
    for name, thing in inspect.getmembers(kind):
        thing = thing.fget if isinstance(thing, property) else thing
        is_made = name == "__init__" and kind.__name__ not in MADE_BY_US
        if inspect.isroutine(thing) and (is_made or name == "__next__" or name[0] != "_"):
            if (getattr(thing, "__module__", None) or "").startswith("p2p."):
                yield name, thing


def named(hint: Any) -> Iterator[type]:
    """The classes of this package that a type names."""
    hint = get_origin(hint) or hint if not get_args(hint) else hint
    for part in (get_origin(hint), *get_args(hint)) if get_args(hint) else (hint,):
        if isinstance(part, list):
            for inner in part:
                yield from named(inner)
        elif get_args(part):
            yield from named(part)
        elif inspect.isclass(part) and part.__module__.startswith("p2p."):
            yield part


def leaks(owner: str, hints: dict[str, Any]) -> set[tuple[str, str, str]]:
    public = set(public_classes().values())
    return {
        (owner, name, kind.__name__)
        for name, hint in hints.items()
        for kind in named(hint)
        if kind not in public
    }


def hints_of(thing: Any) -> dict[str, Any]:
    """Type hints, of names that are imported for types only, too."""
    module = sys.modules[thing.__module__]  # where a name may be another one's: Counter
    return get_type_hints(thing, localns={**public_names(), **vars(module)})


def test_public_functions_take_and_return_public_types() -> None:
    functions = {
        name: thing for name, thing in public_names().items() if inspect.isfunction(thing)
    }
    found = [leaks(name, hints_of(function)) for name, function in functions.items()]
    assert set().union(*found) == set()


def test_public_classes_take_and_return_public_types() -> None:
    found: set[tuple[str, str, str]] = set()
    for name, kind in public_classes().items():
        for attribute, function in attributes(kind):
            if isinstance(function, (types.FunctionType, types.MethodType)):
                found |= leaks(f"{name}.{attribute}", hints_of(function))
        if is_dataclass(kind):
            hints = hints_of(kind)
            found |= leaks(name, {field.name: hints[field.name] for field in fields(kind)})
    assert found == set()
