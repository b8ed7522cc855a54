"""The live page of ``p2p node``: its options, and a browser with it.

The address of the page has a secret token, and every user of the machine sees the arguments of a
program. So the browser gets a file that leads there, which only its owner can read. Main thread.
"""

from __future__ import annotations

import os
import tempfile
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import click

from p2p.cli.node.state import EventLog

#: A free port of loopback.
DEFAULT_ADDRESS = "127.0.0.1:0"

#: The options, the first one with a name of the server's.
OPTIONS = (
    click.option("--page", metavar="[ADDRESS]", is_flag=False, flag_value=DEFAULT_ADDRESS,
                 help="Serve a live page for a browser (a free port of this machine)."),
    click.option("--open", "in_browser", is_flag=True, help="Open the page in a browser."),
)  # fmt: skip


@contextmanager
def page_shown(log: EventLog, in_browser: bool) -> Iterator[Callable[[str | None], None]]:
    """Give a function that reports the address of a page, and opens it if ``in_browser``."""
    with tempfile.TemporaryDirectory(prefix="p2p-page-") as folder:

        def show(url: str | None) -> None:
            if url is None:
                return
            log.report(f"live page: {url}", {"event": "page", "url": url})
            if in_browser and not webbrowser.open(_leading_to(url, Path(folder))):
                log.report("no browser was found; open the address yourself")

        yield show


def _leading_to(url: str, folder: Path) -> str:
    """Return the address of a new file in ``folder`` that leads to ``url``."""
    path = folder / "page.html"
    goal = escape(url, quote=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={goal}">\n')
    return path.as_uri()
