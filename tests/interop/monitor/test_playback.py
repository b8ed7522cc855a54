"""Pause and steps: a moment that is shown stays, whatever happens in the meantime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .seen import drawn, rows
from .story import START_T, LabStory, Story

if TYPE_CHECKING:
    from .conftest import OpenPage, StartStory


def test_a_moment_stays_longer_than_the_history(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(Story(peers=3), hello={"history_s": 5})
    page = open_page(server.url)
    page.locator("#pause").click()
    page.wait_for_selector("#status[data-state=paused]")
    shown = page.locator("#shown").inner_text()[:8]
    samples = rows(page, "Samples of messages")
    slider = page.locator("#moment").get_attribute("max")
    server.tell(server.story.happened(remove={"peers": ["0", "1"]}))
    server.tell(*server.story.updates(30))
    page.wait_for_function(
        "() => document.querySelector('#shown').textContent.includes('15 s ago')"
    )
    assert page.locator("#peers tbody tr").count() == 3
    assert rows(page, "Samples of messages") == samples
    assert page.locator("#shown").inner_text()[:8] == shown
    assert page.locator("#moment").get_attribute("max") == slider
    page.locator("#back").click()
    page.wait_for_function(
        "shown => document.querySelector('#shown').textContent.slice(0, 8) !== shown", arg=shown
    )
    assert page.locator("#peers tbody tr").count() == 3
    page.locator("#pause").click()
    page.wait_for_selector("#status[data-state=live]")
    page.wait_for_function("() => document.querySelectorAll('#peers tbody tr').length === 1")


def test_steps_forward_reach_what_came_during_the_pause(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(Story(peers=3))
    page = open_page(server.url)
    page.locator("#pause").click()
    page.wait_for_selector("#status[data-state=paused]")
    server.story.t += 1
    server.tell(server.story.happened(remove={"peers": ["0"]}))
    page.wait_for_function("() => document.querySelector('#shown').textContent.includes(' ago')")
    assert page.locator("#peers tbody tr").count() == 3
    page.locator("#forward").click()
    page.wait_for_function("() => document.querySelectorAll('#peers tbody tr').length === 2")


def test_clock_that_was_set_back_leaves_the_page_in_order(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(Story(peers=3), past=40)
    page = open_page(server.url)
    story = server.story
    story.t = START_T - 3600
    last = [*story.updates(10)]
    server.tell(*last)
    drawn(page, last[-1]["n"])
    assert page.locator("#moment").get_attribute("max") == "9", "of the times until then none"
    assert page.locator("#status-text").inner_text() == "Live"
    newest = max(message["m"] for message in last[-1]["messages"])
    first = page.locator("#messages .list tbody tr").first
    assert first.get_attribute("data-key") == str(newest)
    page.locator("#back").click()
    page.wait_for_function(
        "() => document.querySelector('#shown').textContent.includes('500 ms ago')"
    )


def test_nodes_of_a_lab_stay_in_their_places_when_another_comes(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(LabStory(nodes=30), kind="lab", past=2)
    page = open_page(server.url)
    moved = page.evaluate(MOVED)
    assert moved < 0.25, "a network of the width 2"


#: The mean way of the nodes of a ring of 30 when one of them gets a neighbour.
MOVED = """async () => {
    const { Springs } = await import("./layout.js");
    const edges = Array.from({ length: 30 }, (_, n) => [n, (n + 1) % 30]);
    const settled = (springs) => {
        while (!springs.done) springs.advance();
        return springs;
    };
    const before = settled(new Springs(30, edges));
    const known = new Map(before.places.map((place, n) => [n, place]));
    const after = settled(new Springs(31, [...edges, [3, 30]], known));
    const [old, now] = [before.fitted(), after.fitted()];
    const ways = old.map(([x, y], n) => Math.hypot(now[n][0] - x, now[n][1] - y));
    return ways.reduce((sum, way) => sum + way) / 30;
}"""
