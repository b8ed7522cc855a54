"""``.ci/pytest``: a test that fails runs once more, and is named when it passes then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PASSING = "def test_passing(): pass\n"
BROKEN = "def test_broken(): raise ValueError\n"
FLAKY = """
import pathlib, pytest

@pytest.mark.parametrize("case", ["a b", "[::1]"])
def test_flaky(case):
    been = pathlib.Path("been here for " + case)
    if not been.exists():
        been.touch()
        raise ValueError
"""


def run(folder: Path, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(source)
    return subprocess.run(
        [ROOT / ".ci" / "pytest", sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=30,
    )


def flaky(ended: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in ended.stdout.splitlines() if line.startswith("flaky: ")]


def test_flaky_test_is_named_and_does_not_fail_the_run(tmp_path: Path) -> None:
    ended = run(tmp_path, PASSING + FLAKY)
    assert ended.returncode == 0
    assert flaky(ended) == [f"flaky: test_it.py::test_flaky[{case}]" for case in ("a b", "[::1]")]
    assert "2 failed, 1 passed in" in ended.stdout and "2 passed in" in ended.stdout


def test_test_that_fails_twice_fails_the_run(tmp_path: Path) -> None:
    ended = run(tmp_path, BROKEN + FLAKY)
    assert (ended.returncode, flaky(ended)) == (1, [])
    assert "3 failed in" in ended.stdout and "1 failed, 2 passed" in ended.stdout


def test_other_errors_and_passing_tests_run_once(tmp_path: Path) -> None:
    assert run(tmp_path, PASSING).stdout.count("test session starts") == 1
    assert run(tmp_path, "not Python").returncode == 2
    assert run(tmp_path, PASSING, "no such file").returncode == 4
