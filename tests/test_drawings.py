"""Drawings of the documents can be read by everybody: title, description, both colour schemes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
DRAWINGS = sorted((DOCS / "explanation" / "drawings").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"

drawings = pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)


@drawings
def test_drawing_has_a_title_and_a_description_for_screen_readers(path: Path) -> None:
    root = ElementTree.parse(path).getroot()
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and desc is not None
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert len(desc.text or "") > len(title.text or "") > 10


@drawings
def test_drawing_is_shown_by_a_page_with_words_in_its_place(path: Path) -> None:
    pages = "".join(page.read_text("utf-8") for page in (DOCS / "explanation").glob("*.md"))
    assert re.search(rf"!\[[^]]{{10,}}\]\(drawings/{path.name}\)", pages)


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@drawings
def test_text_has_contrast_in_light_and_in_dark(path: Path) -> None:
    """WCAG 2 AA: 4.5 to 1 for text on each ground that it may stand on."""
    schemes = re.findall(r"svg\.drawing \{([^}]*)\}", path.read_text("utf-8"))
    assert len(schemes) == 2
    grounds = ("paper", "fill", "bluefill", "greenfill", "orangefill")
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        for text in ("ink", "soft"):
            for ground in grounds:
                pair = sorted(luminance(colours[name]) + 0.05 for name in (text, ground))
                assert pair[1] / pair[0] >= 4.5, (text, ground)


def test_drawings_share_their_colours_with_the_site() -> None:
    """A page can hold several drawings, and the button of the theme sets the colours of all."""
    css = (DOCS / "_static" / "site.css").read_text("utf-8")
    blocks = re.findall(r"svg\.drawing \{([^}]*)\}", css)
    of_site = [re.findall(r"--\w+: #\w{6}", block) for block in blocks]
    found = [
        [re.findall(r"--\w+: #\w{6}", block)
         for block in re.findall(r"svg\.drawing \{([^}]*)\}", path.read_text("utf-8"))]
        for path in DRAWINGS
    ]  # fmt: skip
    assert all(one == other for one, other in combinations([of_site, *found], 2))
