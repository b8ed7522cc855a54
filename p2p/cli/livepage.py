"""The live page of a node or of a lab: its options, and a browser with it.

The address of the page has a secret token, and every user of the machine sees the arguments of a
program. So the browser gets a file that leads there, which only its owner can read. Main thread.
"""

from __future__ import annotations

import os
import tempfile
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import click

#: A free port of loopback.
DEFAULT_ADDRESS = "127.0.0.1:0"

Function = TypeVar("Function", bound=Callable[..., Any])

#: The function that reports a text, and the same as a record.
Report = Callable[[str, Mapping[str, object]], object]

#: The options; :func:`address_of` reads both.
OPTIONS = (
    click.option("--page", metavar="[ADDRESS]", is_flag=False, flag_value=DEFAULT_ADDRESS,
                 help="Serve a live page for a browser (a free port of this machine)."),
    click.option("--open", "in_browser", is_flag=True, help="Open the page in a browser."),
)  # fmt: skip


def with_page_options(function: Function) -> Function:
    """Add the options to a command."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def address_of(page: str | None, in_browser: bool) -> str | None:
    """Return the address of the page that the options ask for, None for no page."""
    return page or (DEFAULT_ADDRESS if in_browser else None)


@contextmanager
def page_shown(report: Report, in_browser: bool) -> Iterator[Callable[[str | None], None]]:
    """Give a function that reports the address of a page, and opens it if ``in_browser``."""
    with tempfile.TemporaryDirectory(prefix="p2p-page-") as folder:

        def show(url: str | None) -> None:
            if url is None:
                return
            report(f"live page: {url}", {"event": "page", "url": url})
            if in_browser and not webbrowser.open(_leading_to(url, Path(folder))):
                text = "no browser was found; open the address yourself"
                report(text, {"event": "message", "text": text})

        yield show


def _leading_to(url: str, folder: Path) -> str:
    """Return the address of a new file in ``folder`` that leads to ``url``."""
    path = folder / "page.html"
    goal = escape(url, quote=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={goal}">\n')
    return path.as_uri()
