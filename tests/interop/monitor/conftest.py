"""A browser: Debian's Chromium, driven by Playwright. Without either the tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from .story import Story

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from .storyserver import StoryServer

CHROMIUM = shutil.which("chromium")
WAIT_MS = 20_000


def sandboxed() -> bool:
    """Whether Chromium may have its own sandbox: it refuses root, who runs tests in a container."""
    return os.geteuid() != 0


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install '.[browser]'")
    if not CHROMIUM:
        pytest.skip("needs Debian's package chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=sandboxed())
        yield browser
        browser.close()


class OpenPage(Protocol):
    def __call__(self, url: str, **options: Any) -> Page: ...


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """A function that opens an address in a new page, with options of a context.

    At its end the test fails if the page has logged a line, violated its policy, raised an error,
    or sent a request to another server.
    """
    with ExitStack() as stack:

        def open_page(url: str, **options: Any) -> Page:
            context = browser.new_context(**options)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            complaints: list[str] = []
            stack.callback(lambda: _none(complaints))
            origin = url[: url.index("/", len("http://"))]
            _watch(page, origin, complaints)
            page.goto(url)
            page.wait_for_selector("html[data-drawn]")
            return page

        yield open_page


def _watch(page: Page, origin: str, complaints: list[str]) -> None:
    own = (origin, origin.replace("http:", "ws:"), "blob:" + origin, "data:")
    page.on("console", lambda line: complaints.append(f"console: {line.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on(
        "request", lambda request: request.url.startswith(own) or complaints.append(request.url)
    )
    page.on("websocket", lambda socket: socket.url.startswith(own) or complaints.append(socket.url))


def _none(complaints: list[str]) -> None:
    assert complaints == []


class StartStory(Protocol):
    def __call__(self, story: Story | None = None, **options: Any) -> StoryServer: ...


@pytest.fixture
def start_story() -> Iterator[StartStory]:
    """A function that serves a made-up story."""
    pytest.importorskip("websockets", reason="pip install '.[browser]'")
    from .storyserver import StoryServer

    with ExitStack() as stack:

        def start(story: Story | None = None, **options: Any) -> StoryServer:
            server = StoryServer(story or Story(), **options)
            stack.callback(server.close)
            return server

        yield start
