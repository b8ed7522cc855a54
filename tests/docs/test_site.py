"""The site is complete and needs no network. ``make docs`` builds it into build/docs first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "docs"

#: Attributes by which a page loads something, and not only links to it.
LOADS = {
    "audio": {"src"}, "embed": {"src"}, "iframe": {"src"}, "image": {"href", "xlink:href"},
    "img": {"src", "srcset"}, "input": {"src"}, "link": {"href"}, "object": {"data"},
    "script": {"src"}, "source": {"src", "srcset"}, "track": {"src"}, "use": {"href"},
    "video": {"src", "poster"},
}  # fmt: skip
#: A link tag of these kinds is not fetched.
NOT_FETCHED = {"canonical", "index", "next", "prev", "search", "author"}
#: Pages that the builder adds, beside those of docs.
BUILDERS = {"genindex", "py-modindex", "search"}


class Page(HTMLParser):
    """The links, the loads and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.navigation: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
            if given.get("class") == "reference internal":
                self.navigation.append(given["href"])
        if not NOT_FETCHED & set(given.get("rel", "").split()):
            self.loads += [given[name] for name in LOADS.get(tag, ()) if name in given]


@pytest.fixture(scope="module")
def pages() -> dict[str, Page]:
    """Each page of the site by its path."""
    assert (SITE / "index.html").exists(), "make docs builds the site"
    paths = sorted(SITE.rglob("*.html"))
    return {str(path.relative_to(SITE)): Page(path) for path in paths}


def targets(pages: dict[str, Page], kind: str) -> Iterator[tuple[str, str, str]]:
    """Each address of a kind in the site, with its page: the page, the file, the anchor."""
    for page, parsed in pages.items():
        for address in getattr(parsed, kind):
            parts = urlsplit(address)
            if not parts.scheme and not parts.netloc:
                file = (SITE / page).parent / unquote(parts.path) if parts.path else SITE / page
                yield page, str(file.resolve().relative_to(SITE)), unquote(parts.fragment)


def test_each_document_is_a_page_and_in_the_contents(pages: dict[str, Page]) -> None:
    paths = (ROOT / "docs").rglob("*.md")
    documents = {str(path.relative_to(ROOT / "docs").with_suffix("")) for path in paths}
    linked = {unquote(address).split("#")[0] for address in pages["index.html"].navigation}
    assert {name for name in documents if f"{name}.html" not in pages} == set()
    assert {name for name in documents if f"{name}.html" not in linked} == {"index"}


def test_links_lead_to_a_page_and_to_an_anchor_of_it(pages: dict[str, Page]) -> None:
    broken = [
        (page, file, anchor)
        for page, file, anchor in targets(pages, "links")
        if not (SITE / file).exists()
        or (anchor and file in pages and anchor not in pages[file].anchors)
    ]
    assert broken == []


def test_what_a_page_loads_is_in_the_site(pages: dict[str, Page]) -> None:
    loaded = list(targets(pages, "loads"))
    assert {file for _, file, _ in loaded if not (SITE / file).is_file()} == set()
    outside = {
        address
        for page in pages.values()
        for address in page.loads
        if urlsplit(address).netloc or urlsplit(address).scheme not in ("", "data")
    }
    assert outside == set()


def test_styles_load_nothing_from_elsewhere() -> None:
    for style in SITE.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        loads = re.findall(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""", text)
        addresses = [first or second for first, second in loads]
        assert [one for one in addresses if re.match(r"(https?:)?//", one)] == [], style


def test_scripts_name_no_address_to_load_from() -> None:
    """Comments and links name addresses; a request needs a call."""
    call = re.compile(r"""(?:fetch|import|open|src\s*=|href\s*=)\s*\(?\s*["'`]https?://""")
    found = [script.name for script in SITE.rglob("*.js") if call.search(script.read_text("utf-8"))]
    assert found == []


def test_each_page_is_found_by_the_search(pages: dict[str, Page]) -> None:
    text = (SITE / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    written = {name.removesuffix(".html") for name in pages if not name.startswith("_modules/")}
    assert written - set(index["docnames"]) == BUILDERS & written
    assert index["docnames"][0] and index["terms"]["bootnod"]


def test_only_files_of_the_documents_are_downloads() -> None:
    downloads = {path.name for path in SITE.glob("_downloads/*/*")}
    assert downloads <= {path.name for path in (ROOT / "docs").rglob("*") if path.suffix != ".md"}
