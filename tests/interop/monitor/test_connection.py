"""The page whose connection ends, is silent, or is refused: what it says, and that it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .seen import drawn
from .story import Story

if TYPE_CHECKING:
    from .conftest import OpenPage, StartStory


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (1001, "The server has stopped."),
        (1011, "The server does not answer."),
        (1013, "Too many pages of the server are open."),
    ],
)
def test_page_says_why_it_has_no_connection(
    start_story: StartStory, open_page: OpenPage, code: int, said: str
) -> None:
    server = start_story(Story(peers=3))
    page = open_page(server.url)
    server.hang_up(code)
    page.wait_for_selector("#status[data-state=lost]")
    assert page.locator("#notice").inner_text().startswith(said)
    page.wait_for_selector("#status[data-state=live]")
    assert not page.locator("#notice").is_visible()


def test_page_connects_again_when_the_server_is_silent(
    start_story: StartStory, open_page: OpenPage
) -> None:
    """As at the end of a tunnel that is gone without a word."""
    server = start_story(Story(peers=3), hello={"alive_s": 0.2})
    open_page(server.url)
    server.wait_for_connection(3)


def test_error_is_shown_until_the_next_connection(
    start_story: StartStory, open_page: OpenPage
) -> None:
    server = start_story(Story(peers=3))
    page = open_page(server.url)
    server.tell_text('{"type": "error", "text": "a request that is not of the contract"}')
    page.wait_for_selector("#notice:not([hidden])")
    server.hang_up()
    page.wait_for_selector("#status[data-state=live]")
    page.wait_for_selector("#notice", state="hidden")


def test_pause_outlasts_a_connection(start_story: StartStory, open_page: OpenPage) -> None:
    server = start_story(Story(peers=3))
    page = open_page(server.url)
    page.locator("#back").click()
    page.wait_for_selector("#status[data-state=paused]")
    shown = page.locator("#shown").inner_text()[:8]
    server.hang_up()
    server.wait_for_connection(2)
    server.tell(update := server.story.happened(remove={"peers": ["0"]}))
    page.wait_for_selector("#status[data-state=paused]")
    assert page.locator("#peers tbody tr").count() == 3
    assert page.locator("#shown").inner_text()[:8] == shown
    page.locator("#pause").click()
    drawn(page, update["n"])
    assert page.locator("#peers tbody tr").count() == 2
