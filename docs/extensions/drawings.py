"""Put SVG drawings into the pages, where they follow the light or dark form of the page.

Sphinx extension. In the repository a drawing is an image; on the site it is part of the page, so
that its colours are those of the theme and its text can be searched, selected and read aloud.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes


def put_in(app: Any, doctree: nodes.document) -> None:
    for image in list(doctree.findall(nodes.image)):
        if image["uri"].endswith(".svg"):
            path = Path(app.srcdir, image["uri"])
            app.env.note_dependency(str(path))
            image.replace_self(nodes.raw("", figure(path.read_text("utf-8")), format="html"))


def figure(svg: str) -> str:
    """Return the HTML of a drawing, which a narrow window scrolls."""
    width = re.search(r'viewBox="0 0 (\d+)', svg)
    assert width and "<title" in svg and "<desc" in svg
    return f'<div class="drawing" tabindex="0" style="--width: {width[1]}px">\n{svg}</div>\n'


def setup(app: Any) -> dict[str, bool]:
    app.connect("doctree-read", put_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
