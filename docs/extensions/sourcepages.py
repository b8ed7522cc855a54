"""Correct the pages of sphinx.ext.viewcode, which show the source of public names.

Sphinx extension. viewcode assumes that a name is documented under the module that defines it.
"""

from __future__ import annotations

import re
from typing import Any

from tests.kit.publicnames import HOMES, home

BACK = re.compile(r'(class="viewcode-back" href="[^"#]*#)([\w.]+)"')


def documented(match: re.Match[str]) -> str:
    """Return a link back to the name under which the reference documents it."""
    names = {name for module in HOMES.values() for name in module.__all__}
    parts = match[2].split(".")
    first = next((number for number, part in enumerate(parts) if part in names), None)
    if first is None:
        return match[0]
    return f'{match[1]}{".".join([home(parts[first]), *parts[first + 1 :]])}"'


def correct_links(app: Any, pagename: str, template: str, context: Any, doctree: Any) -> None:
    if pagename.startswith("_modules/"):
        context["body"] = BACK.sub(documented, context["body"])


def drop_modules_without_source(app: Any, env: Any) -> None:
    """Drop what viewcode lists and does not show, such as a module written in C."""
    modules = getattr(env, "_viewcode_modules", {})
    for name in [name for name, entry in modules.items() if not entry]:
        del modules[name]


def setup(app: Any) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.viewcode")
    app.connect("env-updated", drop_modules_without_source)
    app.connect("html-page-context", correct_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
