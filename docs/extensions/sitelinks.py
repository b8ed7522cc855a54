"""Make the pages of the site from Markdown that is also read in the repository.

Sphinx extension, pure but for reading files. An ``index.md`` lists the pages under it by links, as
readers of the repository need them; the site has them as its table of contents, a caption for each
heading. A link to a file outside of ``docs`` leads to the page that shows the file, and that page
contains the file itself; if there is none, the link becomes the path of the file.
"""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

#: The page of each file outside of docs, and of the examples, which are one page.
PAGES = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "README.md": "index.md",
    "SECURITY.md": "project/security.md",
}
EXAMPLES = "examples.md"

LINK = re.compile(r"\[([^]]*)\]\((?!\w+:)([^)#\s]+)((?:#[^)\s]*)?)\)")
TITLED = re.compile(r"\[([^]]+)\]\(([^):#\s]+\.md)\)")
HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
SHOWN = "<!-- On the site: the source of each. -->"
INCLUDE = re.compile(r"```\{include\} (\S+)\n```")


def page_of(path: str) -> tuple[str, str]:
    """Return the page in ``docs`` for a path in the repository, and the anchor in it."""
    if path in PAGES:
        return PAGES[path], ""
    example = re.fullmatch(r"examples(?:/(\w+)\.py)?", path)
    if example:
        return EXAMPLES, f"#{example[1]}py" if example[1] else ""
    return posixpath.relpath(path, "docs"), ""


def site_links(text: str, folder: str, page: str) -> str:
    """Return Markdown of ``folder`` with its links as ``page`` needs them."""

    def link(match: re.Match[str]) -> str:
        title, path, given = match.groups()
        path = posixpath.normpath(posixpath.join(folder, path))
        target, anchor = page_of(path)
        if target.startswith("../"):
            return f"{title} (`{path}` in the repository)"
        there = posixpath.relpath(target, posixpath.relpath(posixpath.dirname(page), "docs"))
        return f"[{title}]({there}{given or anchor})"

    return LINK.sub(link, text)


def contents(text: str, folder: Path) -> str:
    """Return the hidden tables of contents that the links of an index page in ``folder`` stand for.

    A page in a folder with an index of its own is in the contents of that one.
    """
    first, *parts = HEADING.split(text)
    listed = {"index.md"}
    tables = []
    for heading, part in [("", first), *zip(parts[::2], parts[1::2], strict=True)]:
        pages = {path: title for title, path in TITLED.findall(part) if path not in listed}
        own = [path for path in pages if is_under(folder, path)]
        listed.update(own)
        if own:
            caption = f":caption: {heading}\n" if heading else ""
            entries = "\n".join(f"{pages[path]} <{path.removesuffix('.md')}>" for path in own)
            tables.append(f"```{{toctree}}\n:hidden:\n{caption}\n{entries}\n```\n")
    return "\n".join(tables)


def is_under(folder: Path, path: str) -> bool:
    """Whether the index of ``folder`` is the one that lists ``path``."""
    if path.startswith("../"):
        return False
    head, _, name = path.rpartition("/")
    return not head or name == "index.md" or not (folder / head / "index.md").exists()


def examples() -> str:
    """Return a section for each program of ``examples``: its summary and its source."""
    sections = []
    for path in sorted((ROOT / "examples").glob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        summary = docstring.split("\n\n")[0]
        source = f"```{{literalinclude}} ../examples/{path.name}\n```"
        sections.append(f"## {path.name}\n\n{summary}\n\n{source}\n")
    return "\n".join(sections)


def read_page(app: Any, docname: str, source: list[str]) -> None:
    page = f"docs/{docname}.md"
    folder = posixpath.dirname(page)
    included = INCLUDE.fullmatch(source[0].strip())
    if included:
        path = posixpath.normpath(posixpath.join(folder, included[1]))
        app.env.note_dependency(str(ROOT / path))
        source[0] = (ROOT / path).read_text(encoding="utf-8")
        folder = posixpath.dirname(path)
    source[0] = site_links(source[0], folder, page)
    source[0] = source[0].replace(SHOWN, examples())
    if posixpath.basename(docname) == "index":
        source[0] += "\n" + contents(source[0], ROOT / folder)


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", read_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
