"""The page can be used without a mouse and without eyes, in light and in dark, at every width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .seen import drawn, focused, rows
from .story import LabStory, Story

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .conftest import OpenPage, StartStory

schemes = pytest.mark.parametrize("scheme", ["light", "dark"])
widths = pytest.mark.parametrize("width", [360, 1600])


def everything(server: Any) -> None:
    """Have something in each panel."""
    story = server.story
    server.tell(story.happened(set={"stalls": story._stall(), "dials": story._dial()}))


@schemes
@widths
def test_axe_finds_nothing(
    start_story: StartStory, open_page: OpenPage, scheme: str, width: int
) -> None:
    server = start_story(past=40)
    page = open_page(server.url, color_scheme=scheme, viewport={"width": width, "height": 900})
    everything(server)
    drawn(page, server.story._n)
    page.locator("#peers tbody tr").first.click()
    page.locator("#messages .list tbody tr").first.click()
    page.locator("summary").first.click()
    page.wait_for_selector("#peers .detail:not([hidden])")
    assert complaints(page) == []


def test_axe_finds_nothing_in_a_lab(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story(LabStory(nodes=12), kind="lab", past=8)
    assert complaints(open_page(server.url)) == []


def test_axe_finds_nothing_in_the_shortcuts(start_story: StartStory, open_page: OpenPage) -> None:
    page = open_page(start_story().url)
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    assert complaints(page) == []


def complaints(page: Page) -> list[str]:
    """The rules of axe-core that the page breaks, each with the elements."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    violations = axe.run(page).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['any'][:1]}"
        for rule in violations
        for node in rule["nodes"]
    ]


def test_tab_walks_every_control_once_and_each_table_is_one_stop(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(past=40)
    page = open_page(server.url, viewport={"width": 1600, "height": 1000})
    everything(server)
    drawn(page, server.story._n)
    page.locator("#pause").click()  # rows that move would have more than one stop in the walk
    page.locator(".skip").focus()
    walked = [tab(page) for _ in range(40)]
    ids = [stop["id"] for stop in walked]
    assert ids[:5] == ["copy-id", "search", "theme", "export", "help"]
    walked = walked[: ids.index("forward") + 1]
    assert [stop["id"] for stop in walked[-4:]] == ["pause", "back", "moment", "forward"]
    tables = [stop["table"] for stop in walked if stop["table"]]
    assert set(tables) == {
        *("Peers", "Messages by protocol and code", "Samples of messages", "Nodes by bucket"),
        *("Lookups", "Queries of the lookup", "Dials", "Stalled handlers"),
    }
    assert len(tables) == len(set(tables))


def tab(page: Page) -> dict[str, Any]:
    page.keyboard.press("Tab")
    return focused(page)


def test_each_stop_of_the_walk_shows_that_it_has_the_focus(
    start_story: StartStory, open_page: OpenPage
) -> None:
    page = open_page(start_story(past=40).url, viewport={"width": 1600, "height": 1000})
    for _ in range(16):
        tab(page)
        outline = page.evaluate(
            "() => { const style = getComputedStyle(document.activeElement);"
            " return [style.outlineStyle, parseFloat(style.outlineWidth)]; }"
        )
        assert outline[0] == "solid" and outline[1] >= 2, focused(page)


def test_arrow_keys_walk_the_rows_and_enter_selects(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(Story(peers=15))
    page = open_page(server.url)
    page.locator("#peers tbody tr").first.focus()
    keys = [row.get_attribute("data-key") for row in page.locator("#peers tbody tr").all()]
    for press, place in (
        *(("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("End", 14), ("ArrowDown", 14)),
        *(("Home", 0), ("ArrowUp", 0), ("PageDown", 10), ("PageUp", 0), ("ArrowDown", 1)),
    ):
        page.keyboard.press(press)
        assert focused(page)["row"] == keys[place], press
    page.keyboard.press("Enter")
    page.wait_for_selector(f'#peers tr[data-key="{keys[1]}"][aria-selected=true]')
    page.wait_for_selector("#peers .detail:not([hidden])")
    page.keyboard.press("Escape")
    page.wait_for_selector("#peers .detail", state="hidden")


def test_focus_stays_in_its_row_while_the_table_changes(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(Story(peers=5))
    page = open_page(server.url)
    page.locator("#peers tbody tr").nth(3).focus()
    row = focused(page)["row"]
    others = [key for key in server.story.state["peers"] if key != row]
    newcomer = {**server.story.state["peers"][row], "id": "00" * 32, "distance": 1}
    server.tell(
        server.story.happened(set={"peers": {"50": newcomer}}, remove={"peers": others[:2]})
    )
    server.tell(update := server.story.update())
    drawn(page, update["n"])
    assert focused(page)["row"] == row


def test_samples_hold_still_while_one_of_them_is_read(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story()
    page = open_page(server.url)
    page.locator("#messages .list tbody tr").first.focus()
    before = rows(page, "Samples of messages")
    server.tell(update := server.story.update())
    drawn(page, update["n"])
    assert rows(page, "Samples of messages") == before
    assert "held, 4 newer" in page.locator("#messages .count").inner_text()
    page.locator("#pause").focus()
    server.tell(update := server.story.update())
    drawn(page, update["n"])
    assert rows(page, "Samples of messages") != before


@pytest.mark.parametrize(
    "key, section",
    [
        ("p", "peers"),
        ("m", "messages"),
        ("n", "table"),
        ("l", "lookups"),
        ("d", "dials"),
        ("s", "stalls"),
    ],
)
def test_key_leads_to_its_section(
    start_story: StartStory, open_page: OpenPage, key: str, section: str
) -> None:
    page = open_page(start_story().url)
    page.keyboard.press(key)
    assert focused(page)["id"] == section


def test_keys_of_time_and_filter(start_story: StartStory, open_page: OpenPage) -> None:
    page = open_page(start_story().url)
    page.keyboard.press(" ")
    page.wait_for_selector("#status[data-state=paused]")
    shown = page.locator("#shown").inner_text()
    page.keyboard.press(",")
    page.wait_for_function(
        "text => document.querySelector('#shown').textContent !== text", arg=shown
    )
    page.keyboard.press(".")
    page.wait_for_function(
        "text => document.querySelector('#shown').textContent === text", arg=shown
    )
    page.keyboard.press("/")
    assert focused(page)["id"] == "search"
    page.keyboard.type("p m , e")
    assert page.locator("#search").input_value() == "p m , e", "letters are typed, not commands"


def test_shortcuts_are_listed(start_story: StartStory, open_page: OpenPage) -> None:
    page = open_page(start_story().url)
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    keys = page.locator("dialog kbd").all_inner_texts()
    assert {"Space", ",", ".", "/", "Escape", "e", "t", "?"} <= set(keys)
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="hidden")
    assert focused(page)["tag"] in ("body", "button")


def test_theme_goes_round_and_stays(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story()
    page = open_page(server.url, color_scheme="light")
    grounds = []
    for _ in range(3):
        page.keyboard.press("t")
        grounds.append(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    assert grounds[0] == grounds[2] != grounds[1], "light, dark, and that of the system"
    page.keyboard.press("t")
    page.keyboard.press("t")
    page.reload()
    page.wait_for_selector("html[data-theme=dark]")


def test_screen_reader_hears_of_a_change_and_not_of_each(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(Story(peers=5))
    page = open_page(server.url)
    page.evaluate(
        """() => {
            const news = document.querySelector("#news");
            window.said = [];
            const observer = new MutationObserver(() => window.said.push(news.textContent));
            observer.observe(news, { childList: true });
        }"""
    )
    for key in ("0", "1", "2"):
        server.tell(update := server.story.happened(remove={"peers": [key]}))
        drawn(page, update["n"])
    assert page.evaluate("window.said") == ["4 peers"]


def test_reduced_motion_moves_nothing(start_story: StartStory, open_page: OpenPage) -> None:
    page = open_page(start_story().url, reduced_motion="reduce")
    assert page.evaluate("document.getAnimations().length") == 0
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_landmarks_and_headings(start_story: StartStory, open_page: OpenPage) -> None:
    page = open_page(start_story().url)
    landmarks = page.evaluate(
        "[...document.querySelectorAll('header.bar, nav, main, footer.bar')].map((e) => e.tagName)"
    )
    assert landmarks == ["HEADER", "NAV", "MAIN", "FOOTER"]
    headings = page.locator("main h2").all_inner_texts()
    assert {"Peers", "Messages", "Node table", "Lookups", "Dials", "Stalled handlers"} <= set(
        headings
    )
    assert page.locator("h1").count() == 1


@schemes
def test_graphic_colours_differ_enough(
    start_story: StartStory, open_page: OpenPage, scheme: str
) -> None:
    """WCAG 2 wants 3 to 1 for what is drawn; axe looks at text only."""
    page = open_page(start_story().url, color_scheme=scheme)
    for name in ("accent", "out", "alarm", "soft"):
        assert contrast(page, name, "panel") >= 3, name


def contrast(page: Page, first: str, second: str) -> float:
    lights = sorted(luminance(colour(page, name)) + 0.05 for name in (first, second))
    return lights[1] / lights[0]


def colour(page: Page, name: str) -> list[int]:
    """Red, green and blue of a colour of the style sheet, as drawn."""
    found: list[int] = page.evaluate(
        """name => {
            const canvas = new OffscreenCanvas(1, 1).getContext("2d");
            const probe = document.createElement("i");
            document.body.append(probe);
            probe.style.color = `var(--${name})`;
            canvas.fillStyle = getComputedStyle(probe).color;
            probe.remove();
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
        }""",
        name,
    )
    return found


def luminance(rgb: list[int]) -> float:
    channels = [value / 255 for value in rgb]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
