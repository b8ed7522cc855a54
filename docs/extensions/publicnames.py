"""Show public names from their docstrings.

Sphinx extension. A block ``{names}`` in a page lists public names, or ``p2p.rlp.*`` for all of a
module; it becomes a table of them and their docstrings. References to a name resolve wherever the
name is documented, since public names are unique. The options in the docstring of ``Server`` become
entries of the index and of the search, and the errors in the tree of ``p2p.errors`` become links.
The docstring of a module is shown up to a paragraph that begins with "Inside".
"""

from __future__ import annotations

import functools
import inspect
import pydoc
import re
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any, Generic, get_args, get_origin, get_type_hints

from tests.kit.publicnames import HOMES, home

BLOCK = re.compile(r"^```\{names\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^``(\w+)``$")
BRANCH = re.compile(r"^(?P<before>[├└│─ ]*)(?P<name>[A-Z]\w+)(?P<after>.*)$")


def listed(block: str) -> Iterator[str]:
    """Yield the dotted names of a block."""
    for name in block.split():
        module, _, last = name.rpartition(".")
        public = HOMES[module].__all__ if last == "*" else [last]
        yield from (f"{module}.{one}" for one in public if home(module, one) == f"{module}.{one}")


def found(name: str) -> Any:
    """Return what a dotted name of a public module stands for."""
    module, _, last = name.rpartition(".")
    return getattr(HOMES[module], last)


def directive(name: str) -> str:
    """Return the autodoc directive for a public name."""
    thing = found(name)
    if inspect.isclass(thing) and get_origin(thing) is None:
        kind = "autoexception" if issubclass(thing, BaseException) else "autoclass"
        return f".. {kind}:: {name}\n" + "".join(f"   {option}\n" for option in options(thing))
    if inspect.isroutine(thing):
        return f".. autofunction:: {name}\n"
    return f".. autodata:: {name}\n   :no-value:\n"


def options(kind: type) -> Iterator[str]:
    yield ":members:"
    bases = [base for base in kind.__mro__[1:] if base is not object]
    if any(is_public(base) for base in bases):
        yield ":show-inheritance:"
    if issubclass(kind, Enum):
        yield ":undoc-members:"
    if any(base.__name__.startswith("_") and not is_public(base) for base in bases):
        yield ":inherited-members:"  # they are shown nowhere else


def expanded(match: re.Match[str]) -> str:
    """Return the reStructuredText of a block: a table, then the docstrings."""
    names = list(listed(match[1]))
    entries = "\n".join(directive(name) for name in names)
    return f"```{{eval-rst}}\n{table(names) if len(names) > 2 else ''}\n{entries}\n```"


def table(names: list[str]) -> str:
    rows = (f"   * - :py:obj:`{name}`\n     - {summary(name)}\n" for name in names)
    return ".. list-table::\n   :class: names\n\n" + "".join(rows)


def summary(name: str) -> str:
    """Return the first paragraph of a docstring, or nothing for a value."""
    thing = found(name)
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return ""
    paragraph = (inspect.getdoc(thing) or "").split("\n\n")[0]
    text = re.sub(r":meth:`(\w+)`", r"``\1``", paragraph)
    return " ".join(text.removesuffix("::").split())


def read_page(app: Any, docname: str, source: list[str]) -> None:
    source[0] = BLOCK.sub(expanded, source[0])


def process_docstring(
    app: Any, what: str, name: str, obj: Any, settings: Any, lines: list[str]
) -> None:
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()  # of a NamedTuple
    elif name == "p2p.Server":
        lines[:] = [OPTION.sub(r".. serveroption:: \1\n", line) for line in lines]
        lines[:] = "\n".join(lines).split("\n")
    elif name == "p2p.errors":
        start = lines.index("::")
        lines[start] = ".. parsed-literal::"
        lines[start + 1 :] = [linked_branch(line) for line in lines[start + 1 :]]
    elif what == "module":
        inside = [number for number, line in enumerate(lines) if line.startswith("Inside")]
        del lines[inside[0] if inside else len(lines) :]


def linked_branch(line: str) -> str:
    """Return a line of the tree of errors with a link."""
    branch = BRANCH.match(line)
    if not branch:
        return line
    return f"{branch['before']}:exc:`{branch['name']}`{branch['after']}"


def process_signature(
    app: Any, what: str, name: str, obj: Any, settings: Any, args: Any, returned: Any
) -> Any:
    """Leave out the arguments of a class that only the library makes, and factories of defaults."""
    if what == "class" and inspect.isclass(obj) and not is_made_by_programs(obj):
        return "", None
    return args and args.replace("<factory>", "..."), returned


def is_made_by_programs(kind: type) -> bool:
    """Whether the arguments of a class are public types."""
    try:
        known = vars(sys.modules[kind.__module__])
        others = {name: thing for name, thing in public().items() if name not in known}
        hints = get_type_hints(kind.__init__, localns=others)
    except NameError:  # imported for type checkers only
        return False
    return all(is_public(part) for hint in hints.values() for part in parts(hint))


def parts(hint: Any) -> Iterator[Any]:
    """Yield the types that a type is made of."""
    yield get_origin(hint) or hint
    for part in get_args(hint):
        for inner in part if isinstance(part, list) else [part]:
            yield from parts(inner)


def is_public(kind: Any) -> bool:
    """Whether a type is public, or not ours."""
    ours = inspect.isclass(kind) and kind.__module__.startswith("p2p.")
    return not ours or kind in homes()


@functools.cache
def by_name() -> dict[str, str]:
    """Return the dotted name in the reference of each public name."""
    return {
        name: home(module, name)
        for module in reversed(HOMES)
        for name in HOMES[module].__all__
    }


@functools.cache
def homes() -> dict[Any, str]:
    """Return the dotted name in the reference of each public class and function."""
    names = [(module, name) for module in HOMES for name in HOMES[module].__all__]
    found = [(getattr(HOMES[module], name), home(module, name)) for module, name in names]
    return {thing: name for thing, name in found if callable(thing)}


@functools.cache
def public() -> dict[str, Any]:
    """Return what the public names stand for, by name and by dotted name."""
    known = {}
    for module in HOMES.values():
        for name in module.__all__:
            known[name] = known[f"{module.__name__}.{name}"] = getattr(module, name)
    return known


def process_bases(app: Any, name: str, obj: Any, settings: Any, bases: list[Any]) -> None:
    origins = {base: get_origin(base) or base for base in bases}
    bases[:] = [base for base in bases if origins[base] is not Generic and is_public(origins[base])]


def resolve(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Find a name that is documented in another module, or by another class.

    A type in a signature that is not public, such as a type variable, stays plain text, and so do
    the parts of the library that its docstrings name.
    """
    if node.get("refdomain") != "py":
        return None
    domain = env.get_domain("py")
    target = inherited(node, domain) or elsewhere(node["reftarget"], domain)
    if target:
        return domain.resolve_xref(
            env, node.get("refdoc"), app.builder, "obj", target, node, contnode
        )
    is_of_signature = "refexplicit" not in node
    is_of_others = not node["reftarget"].startswith("p2p") and "." in node["reftarget"]
    is_inside = node["reftarget"].startswith("p2p") and pydoc.locate(node["reftarget"])
    is_guess = "guess" in node
    return contnode if is_guess or is_of_signature or is_of_others or is_inside else None


def inherited(node: Any, domain: Any) -> str:
    """Return the documented name of a method that the class of a docstring inherits, or ""."""
    owner = public().get(f"{node.get('py:module')}.{node.get('py:class')}")
    for base in owner.__mro__ if inspect.isclass(owner) else ():
        documented = f"{homes().get(base)}.{node['reftarget']}"
        if documented in domain.objects:
            return documented
    return ""


def elsewhere(target: str, domain: Any) -> str:
    """Return the documented name of a public name, or of an attribute of one, or ""."""
    *_, owner, last = ["", *target.split(".")]
    for documented in (by_name().get(last, ""), f"{by_name().get(owner)}.{last}"):
        if documented in domain.objects:
            return documented
    return ""


def setup(app: Any) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.autodoc")
    app.add_object_type(
        "serveroption", "serveroption", objname="option of Server",
        indextemplate="pair: %s; option of Server",
    )  # fmt: skip
    app.connect("source-read", read_page)
    app.connect("autodoc-process-docstring", process_docstring)
    app.connect("autodoc-process-signature", process_signature)
    app.connect("autodoc-process-bases", process_bases)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
