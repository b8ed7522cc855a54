"""Draw the pictures of the page in the documents: ``python -m tests.interop.monitor.pictures``.

They show made-up messages, so that each run draws the same.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from .conftest import CHROMIUM, sandboxed
from .story import LabStory, Story
from .storyserver import StoryServer

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "howto" / "pictures"
QUALITY = 70
#: Time for the layout of a lab and for the colours of the controls, in milliseconds.
SETTLE_MS = 700


def draw(
    browser: Browser, server: StoryServer, name: str, scheme: str, size: tuple[int, int]
) -> None:
    """Draw the page of a server into a file."""
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": size[0], "height": size[1]},
        reduced_motion="reduce",
        timezone_id="UTC",
    )
    page = context.new_page()
    page.goto(server.url)
    page.wait_for_selector("html[data-drawn]")
    page.wait_for_timeout(SETTLE_MS)
    path = FOLDER / f"{name}.jpg"
    page.screenshot(path=path, type="jpeg", quality=QUALITY)
    context.close()
    print(f"{path}: {path.stat().st_size} bytes")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    story = StoryServer(Story(), past=600)
    lab = StoryServer(LabStory(), past=7, kind="lab")
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=sandboxed())
            draw(browser, story, "live-page-light", "light", (1600, 1000))
            draw(browser, story, "live-page-narrow", "dark", (360, 1000))
            draw(browser, lab, "live-page-lab", "dark", (1600, 1000))
            browser.close()
    finally:
        story.close()
        lab.close()


if __name__ == "__main__":
    main()
