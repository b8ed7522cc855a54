"""Ctrl-C at any moment of the imports of the program, and in programs that import the library."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

#: Presses Ctrl-C when a module is looked for; Python imports it at its start.
PRESSED = """
import os, signal, sys

class Finder:
    def find_spec(name, path=None, target=None):
        if name == os.environ["PRESSED_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder)
"""
#: The entry point, as pip makes it.
SCRIPT = "import sys\nfrom p2p.__main__ import main\nsys.exit(main())\n"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "sitecustomize.py").write_text(PRESSED)
    root = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), root))}


def run(environment: Mapping[str, str], at: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env={**environment, "PRESSED_AT": at},
        capture_output=True,
        text=True,
        timeout=60,
    )


MODULES = ("p2p.discover", "p2p.server", "p2p.cli", "click", "p2p.cli.program", "p2p.cli.key")


@pytest.mark.parametrize("at", MODULES)
@pytest.mark.parametrize("is_script", [False, True])
def test_ctrl_c_while_the_program_is_imported_ends_it_without_a_word(
    environment: dict[str, str], tmp_path: Path, at: str, is_script: bool
) -> None:
    script = tmp_path / "p2p"
    script.write_text(SCRIPT)
    words = [str(script)] if is_script else ["-m", "p2p"]
    done = run(environment, at, *words, "key", "new", "-")
    assert done.returncode in (-signal.SIGINT, 130)
    assert (done.stdout, done.stderr.strip()) == ("", "")  # click ends the line of ^C


def test_import_changes_nothing_in_another_program(environment: dict[str, str]) -> None:
    code = (
        "import signal, sys\n"
        "before = signal.getsignal(signal.SIGINT)\n"
        "import p2p\n"
        "assert signal.getsignal(signal.SIGINT) is before is signal.default_int_handler"
    )
    assert run(environment, "", "-c", code, "p2p").returncode == 0
    done = run(environment, "p2p.server", "-c", code)
    assert "KeyboardInterrupt" in done.stderr


def test_ctrl_c_that_is_ignored_stays_so(environment: dict[str, str]) -> None:
    """As that of a command in the background of a script."""
    command = f"trap '' INT; {sys.executable} -m p2p --version"
    done = subprocess.run(
        ["bash", "-c", command],
        env={**environment, "PRESSED_AT": "p2p.server"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and done.stdout.startswith("p2p ")
