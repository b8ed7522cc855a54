"""The public names: those of the root and of the public modules beside it."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any, get_origin

import p2p
import p2p.capture
import p2p.explain
import p2p.lab
import p2p.monitor
import p2p.sim
import p2p.testing
import p2p.testing.conformance

#: The public modules but for simulation and laboratory, which are a program's own worlds: there a
#: Link is one of a network.
MODULES: dict[str, ModuleType] = {
    "p2p": p2p,
    "p2p.capture": p2p.capture,
    "p2p.explain": p2p.explain,
    "p2p.discover": p2p.discover,
    "p2p.dnsdisc": p2p.dnsdisc,
    "p2p.enode": p2p.enode,
    "p2p.errors": p2p.errors,
    "p2p.eth": p2p.eth,
    "p2p.messages": p2p.messages,
    "p2p.metrics": p2p.metrics,
    "p2p.monitor": p2p.monitor,
    "p2p.nat": p2p.nat,
    "p2p.networks": p2p.networks,
    "p2p.observe": p2p.observe,
    "p2p.requests": p2p.requests,
    "p2p.rlp": p2p.rlp,
    "p2p.testing": p2p.testing,
    "p2p.testing.conformance": p2p.testing.conformance,
}


#: A name that several modules have is documented in the first of these that has it.
HOMES = {name: MODULES[name] for name in ("p2p", "p2p.discover", "p2p.testing")}
HOMES.update({**MODULES, "p2p.lab": p2p.lab, "p2p.sim": p2p.sim})


def home(module: str, name: str) -> str:
    """The dotted name under which the reference documents a public name of a module."""
    thing = getattr(HOMES[module], name)
    return next(
        f"{there}.{name}"
        for there, other in HOMES.items()
        if name in other.__all__ and getattr(other, name) is thing
    )


def public_names() -> dict[str, Any]:
    """Each public name and its object."""
    return {name: getattr(module, name) for module in MODULES.values() for name in module.__all__}


def is_class(thing: object) -> bool:
    """Whether it is a class, and no name of a type such as Callable[[int], str].

    To Python 3.10 that is a class, too.
    """
    return inspect.isclass(thing) and get_origin(thing) is None


def public_classes() -> dict[str, type]:
    """The classes among them."""
    return {name: thing for name, thing in public_names().items() if is_class(thing)}
