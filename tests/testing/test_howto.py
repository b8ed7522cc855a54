"""The tests of docs/howto/test-your-protocol.md and of examples/ pass, as programs of a user."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "howto" / "test-your-protocol.md"


def run_pytest(path: Path, folder: Path) -> str:
    """Run the tests of a file in ``folder``, which has no configuration; return the last line."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "examples")))}
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, "--rootdir", str(folder), "-c", os.devnull, str(path)],
        cwd=folder, env=env, capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.splitlines()[-1]


def test_tests_of_the_how_to_pass(tmp_path: Path) -> None:
    parts = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    path = tmp_path / "test_shout.py"
    path.write_text("\n\n".join(parts), encoding="utf-8")
    assert run_pytest(path, tmp_path).startswith("9 passed")


def test_tests_of_the_example_pass(tmp_path: Path) -> None:
    assert run_pytest(ROOT / "examples" / "test_foo_bar.py", tmp_path).startswith("4 passed")
