"""Link names where a page or a docstring only writes them.

Sphinx extension. A public name with its module (``p2p.Server``) or its class (``Server.connect``)
and an option of a server (``max_peers``), in code style, lead to their documentation, on every
page; in docstrings, so does the bare name of an error, as in "Raises InvalidNode". A name of one
word (``nat``) may be anything, and is not linked. A term in emphasis, as where it is introduced,
leads to the glossary.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from publicnames import by_name
from sphinx import addnodes

from p2p.config import Config
from tests.kit.publicnames import HOMES

DOTTED = re.compile(r"((?:p2p|[A-Z]\w+)(?:\.\w+)+)(?:\(.*\))?")
OPTION = re.compile(r"(\w+_\w+)(?:=.*)?")
OPTIONS = set(Config.__dataclass_fields__)
#: Errors whose names are also words are linked in code style only.
ERRORS = [name for name in HOMES["p2p.errors"].__all__ if re.search(r"[a-z][A-Z]", name)]
ERROR = re.compile(rf"\b((?:{'|'.join(ERRORS)})(?:\.[A-Z][A-Z_0-9]+)?)\b")
#: Nodes inside of which nothing is linked.
CLOSED = (
    nodes.reference, addnodes.pending_xref, nodes.title, nodes.literal_block,
    addnodes.desc_signature, addnodes.toctree,
)  # fmt: skip


def is_open(node: nodes.Node) -> bool:
    while node is not None:
        if isinstance(node, CLOSED):
            return False
        node = node.parent
    return True


def target_of(text: str) -> tuple[str, str] | None:
    """Return the domain and the name that a text in code style stands for."""
    dotted = DOTTED.fullmatch(text)
    name = documented(dotted[1]) if dotted else None
    if name:
        return "py", name
    option = OPTION.fullmatch(text)
    return ("std", option[1]) if option and option[1] in OPTIONS else None


def documented(text: str) -> str | None:
    """Return the name in the reference for ``p2p.Server.connect`` or ``Server.connect``."""
    parts = text.split(".")
    for start, part in enumerate(parts):
        module = ".".join(parts[:start])
        modules = [HOMES[module]] if module in HOMES else [] if module else HOMES.values()
        if any(part in there.__all__ for there in modules) and part[0] != "_":
            return ".".join([by_name()[part], *parts[start + 1 :]])
    return None


def reference(target: tuple[str, str], content: nodes.Node, docname: str) -> nodes.Node:
    domain, name = target
    kind = "obj" if domain == "py" else "serveroption"
    node = addnodes.pending_xref(
        "", refdomain=domain, reftype=kind, reftarget=name, refexplicit=True, guess=True,
        refdoc=docname,
    )  # fmt: skip
    node += content
    return node


def linked(text: nodes.Text, docname: str) -> Iterator[nodes.Node]:
    """Yield a text with a link for each name of an error."""
    for number, part in enumerate(ERROR.split(text.astext())):
        if part:
            target = target_of(part) if number % 2 else None
            target = target or (("py", by_name()[part]) if number % 2 else None)
            literal = nodes.literal(part, part)
            yield reference(target, literal, docname) if target else nodes.Text(part)


@functools.cache
def terms(glossary: Path) -> dict[str, str]:
    """Return the anchor of each term of the glossary."""
    found = {}
    for heading in re.findall(r"^## (.*)$", glossary.read_text(encoding="utf-8"), re.MULTILINE):
        anchor = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        found.update(dict.fromkeys(heading.lower().split(", "), anchor))
    return found


def term_anchor(app: Any, text: str) -> str | None:
    known = terms(Path(app.srcdir, "glossary.md"))
    return known.get(text.lower()) or known.get(text.lower().removesuffix("s"))


def add_links(app: Any, doctree: nodes.document) -> None:
    docname = app.env.docname
    for emphasis in list(doctree.findall(nodes.emphasis)):
        anchor = term_anchor(app, emphasis.astext())
        if anchor and is_open(emphasis):
            address = app.builder.get_relative_uri(docname, "glossary")
            link = nodes.reference("", "", emphasis.deepcopy(), refuri=f"{address}#{anchor}")
            link["internal"] = True
            emphasis.replace_self(link)
    for literal in list(doctree.findall(nodes.literal)):
        target = target_of(literal.astext())
        if target and is_open(literal):
            literal.replace_self(reference(target, literal.deepcopy(), docname))
    for content in list(doctree.findall(addnodes.desc_content)):
        for text in list(content.findall(nodes.Text)):
            inside = isinstance(text.parent, nodes.literal)
            if not inside and ERROR.search(text.astext()) and is_open(text):
                text.parent.replace(text, list(linked(text, docname)))


def setup(app: Any) -> dict[str, bool]:
    app.connect("doctree-read", add_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
