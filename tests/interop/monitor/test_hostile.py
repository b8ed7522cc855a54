"""Whatever a remote calls itself, the page shows it as text, in its place, and stays usable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .seen import details, drawn, rows
from .story import Json, Story

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .conftest import OpenPage, StartStory

#: Texts that a page must not take for anything but text. The server escapes and cuts what remotes
#: say; here it does neither.
HOSTILE = {
    "script": "<script>document.title = 'taken'</script>",
    "image": "<img src=x onerror=\"document.title = 'taken'\">",
    "template": "${document.title = 'taken'} {{constructor.constructor('document.title=1')()}}",
    "entity": "&lt;b&gt; &#x3c;b&#x3e; &amp;",
    "url": "javascript:document.title='taken'",
    "quote": "\" onfocus=\"document.title='taken'\" autofocus x='",
    "right to left": "\u202egnp.exe \u2067\u05d0\u05d1\u05d2 \u0627\u0644\u0639\u0631\u0628",
    "combining": "Z" + "\u0300\u0316\u0327" * 200,
    "controls": "a\u0000b\u0007c\u001b[31md\u200b\ufeff\u2028e",
    "surrogate": "\ud800 alone",
    "wide": "\ufdfd" * 50,
    "long": "n" * 1_000_000,
    "prototype": "__proto__",
}
#: Characters that the page shows of a text at most.
MAX_TEXT = 2000


def hostile_update(story: Story, text: str) -> Json:
    """An update in which every text that can come from a remote is this one."""
    peer = {
        **story.state["peers"]["0"],
        "name": text,
        "addr": text,
        "caps": [text],
        "shared": [text],
    }
    sample = dict(next(story._messages()), t=story.t, name=text, peer="66", error=text)
    sample |= {"cap": text, "addr": text, "fields": [["field", text], [text, "value"]]}
    node = {**next(iter(story.state["nodes"].values())), "addr": text, "bucket": 250}
    dial = {
        **next(iter(story._dial().values())),
        "text": text,
        "error": text,
        "addr": text,
        "outcome": "failed",
    }
    stall = {**next(iter(story._stall().values())), "name": text, "where": text, "peer": "66"}
    lookups = story._lookup()
    for hop in lookups["hops"].values():
        hop["addr"] = text
    count = {**story.state["counts"]["eth/69/in/2"], "name": text, "code": 77}
    changes = {
        **{"peers": {"66": peer}, "nodes": {"v4/66": node}, "dials": {"0": dial}},
        **{"stalls": {"66/eth/69": stall}, "counts": {"eth/69/in/77": count}, **lookups},
    }
    event = {"t": story.t, "kind": "note", "text": text}
    return story.happened(set=changes, messages=[sample], events=[event])


def shown_as(page: Page, text: str) -> str:
    """The text as the browser has it after JSON, and cut."""
    found: str = page.evaluate("text => text", text)
    return found if len(found) <= MAX_TEXT else found[:MAX_TEXT] + "…"


@pytest.mark.parametrize("width", [360, 1600])
def test_hostile_text_is_shown_as_text(
    start_story: StartStory, open_page: OpenPage, width: int
) -> None:
    server = start_story(Story(peers=4))
    page = open_page(server.url, viewport={"width": width, "height": 800})
    tags_before = tags(page)
    for text in HOSTILE.values():
        server.tell(update := hostile_update(server.story, text))
        drawn(page, update["n"])
        shown_in_its_place(page, shown_as(page, text))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, text[:80]
        assert max(heights(page)) <= min(heights(page)) + 8, text[:80]
    assert page.title() != "taken"
    assert tags(page) - tags_before <= {"DL", "DT", "DD", "DIV", "TIME"}, "details, events"


def shown_in_its_place(page: Page, text: str) -> None:
    assert text in {row["Name"] for row in rows(page, "Peers")}
    assert page.locator("#events bdi").first.text_content() == text
    assert rows(page, "Samples of messages")[0]["Message"] == text
    for row in ('#peers tr[data-key="66"]', "#messages .list tbody tr"):
        page.locator(row).first.press("Enter")
    page.wait_for_selector("#peers .detail:not([hidden])")
    assert details(page, "peers")["Name"] == text
    assert details(page, "messages")["field"] == text
    page.keyboard.press("Escape")
    page.wait_for_selector("#peers .detail", state="hidden")
    page.locator("#search").focus()  # samples hold still while one of them has the focus


def tags(page: Page) -> set[str]:
    return set(page.evaluate("[...document.querySelectorAll('*')].map((node) => node.tagName)"))


def heights(page: Page) -> list[int]:
    """The heights of all rows that are shown, which no text may change."""
    found: list[int] = page.evaluate(
        "[...document.querySelectorAll('tbody tr')].filter((row) => row.offsetParent)"
        ".map((row) => row.offsetHeight)"
    )
    return found


def test_right_to_left_name_moves_nothing_beside_it(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(Story(peers=2))
    page = open_page(server.url, viewport={"width": 1600, "height": 1000})
    plain = cells_of(page, "0")
    server.tell(update := server.story.happened(set={"peers": {"0": {"name": "\u202e\u05d0 gnp"}}}))
    drawn(page, update["n"])
    assert cells_of(page, "0") == plain
    assert (
        page.locator('#peers tr[data-key="0"] bdi').first.evaluate(
            "node => getComputedStyle(node).unicodeBidi"
        )
        == "isolate"
    )


def cells_of(page: Page, key: str) -> list[float]:
    """The left edge of each cell of a row of the peers but the name."""
    edges: list[float] = page.evaluate(
        """key => [...document.querySelector(`#peers tr[data-key="${key}"]`).cells]
                 .map((cell) => Math.round(cell.getBoundingClientRect().left))""",
        key,
    )
    return edges


def test_own_title_is_text(start_story: StartStory, open_page: OpenPage) -> None:
    story = Story(peers=1)
    story.state["node"]["self"]["name"] = HOSTILE["script"]
    page = open_page(start_story(story).url)
    assert page.locator("#name").inner_text() == HOSTILE["script"]
    assert page.title().startswith("<script>")
