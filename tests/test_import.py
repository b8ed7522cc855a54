"""The modules that ``import p2p`` loads: none of an extra, no heavy one of the standard library."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Modules of the standard library that take milliseconds, and that no node needs at its start.
HEAVY = {
    *("asyncio", "curses", "doctest", "email", "html", "http", "imaplib", "importlib.metadata"),
    *("json.tool", "multiprocessing", "optparse", "argparse", "pdb", "pydoc", "smtplib", "ssl"),
    *("socketserver", "tarfile", "tkinter", "tomllib", "unittest", "urllib.request", "wsgiref"),
    *("xml.dom", "xml.etree", "xml.sax", "xmlrpc", "zipfile"),
}
#: Libraries of the extras.
EXTRAS = {
    *("bottle", "click", "dns", "flask", "pcapy", "prometheus_client", "rich", "waitress"),
    *("werkzeug", "zeroconf"),
}


def loaded_by(code: str) -> set[str]:
    """Modules that a program loads, by the first name and the first two of each."""
    code = f"import sys; before = set(sys.modules); {code}; print(*(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    parts = [name.split(".") for name in done.stdout.split()]
    return {".".join(part[:number]) for part in parts for number in (1, 2)}


@pytest.fixture(scope="module")
def core() -> set[str]:
    return loaded_by("import p2p")


def test_import_loads_no_heavy_module(core: set[str]) -> None:
    assert {"p2p", "p2p.server", "sqlite3"} <= core
    assert core & HEAVY == set()


def test_import_loads_no_library_of_an_extra(core: set[str]) -> None:
    assert core & EXTRAS == set()


def test_the_names_of_heavy_modules_are_right() -> None:
    tops = {name.partition(".")[0] for name in HEAVY}
    assert tops <= sys.stdlib_module_names | {"tomllib"}  # new in 3.11
    assert "wsgiref" in loaded_by("import p2p.metricsserver")
