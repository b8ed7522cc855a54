"""The files of the page, read once: only names of this list are served, no path is looked up.

Any thread.
"""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

_INDEX = "index.html"
#: MIME types by the ending of a name.
_KINDS = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "mjs": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}


class File(NamedTuple):
    """A file with its MIME type."""

    kind: str
    data: bytes


def page_files() -> dict[str, File]:
    """Return the files by the rest of their address; that of the page itself is empty."""
    folder = resources.files("p2p.monitor") / "page"
    files = {
        entry.name: File(_KINDS[ending], entry.read_bytes())
        for entry in folder.iterdir()
        if (ending := entry.name.rpartition(".")[2]) in _KINDS
    }
    files[""] = files[_INDEX]
    return files
