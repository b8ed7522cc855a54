"""Correct the pages of sphinx.ext.viewcode, which show the source of public names.

Sphinx extension. viewcode assumes that a name is documented under the module that defines it.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from publicnames import by_name, homes

BACK = re.compile(r'(class="viewcode-back" href="[^"#]*#)([\w.]+)"')


def documented(link: re.Match[str], module: str) -> str:
    """Return a link from the source of a module to a name as the reference documents it."""
    parts = link[2].split(".")
    known = vars(sys.modules[module])
    first = next(number for number, part in enumerate(parts) if part in known and number)
    name = homes().get(known[parts[first]]) or by_name()[parts[first]]
    return f'{link[1]}{".".join([name, *parts[first + 1 :]])}"'


def correct_links(app: Any, pagename: str, template: str, context: Any, doctree: Any) -> None:
    folder, _, path = pagename.partition("/")
    if folder == "_modules" and path != "index":
        module = path.replace("/", ".")
        context["body"] = BACK.sub(lambda link: documented(link, module), context["body"])


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
