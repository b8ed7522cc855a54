"""examples/classroom.ipynb runs from top to bottom, and its outputs are those that it shows.

A process of its own runs it, with nbclient; that and the kernel, ipykernel, are in the extra
``test`` for Python 3.10 to 3.13. Cells with the tag "varies" may print something else each time.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "classroom.ipynb"
TIMEOUT_S = 150.0

HAS_KERNEL = all(importlib.util.find_spec(name) for name in ("ipykernel", "nbclient"))
needs_kernel = pytest.mark.skipif(
    not HAS_KERNEL,
    reason="nbclient and ipykernel are not installed; the extra test has them up to Python 3.13",
)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.fixture
def shown() -> Any:
    """The notebook as it is in the repository."""
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


@pytest.fixture
def executed(tmp_path: Path) -> Any:
    """The notebook with the outputs of today."""
    target = tmp_path / "executed.ipynb"
    folders = {name: str(tmp_path / name) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.examples.notebook", str(NOTEBOOK), str(target)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **folders},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(target.read_text(encoding="utf-8"))


def output(cell: Any, kind: str) -> str:
    """The output of a cell, or the data of another kind that it shows."""
    found = []
    for one in cell["outputs"]:
        text = one.get("text", "") if kind == "text" else one.get("data", {}).get(kind, "")
        found.append("".join(text))
    return "".join(found)


@pytest.mark.slow
@pytest.mark.timeout(180)
@needs_kernel
def test_notebook_runs_and_shows_what_it_shows_here(shown: Any, executed: Any) -> None:
    before, after = code_cells(shown), code_cells(executed)
    fixed = [number for number, cell in enumerate(before) if "varies" not in tags(cell)]
    assert [output(after[n], "text") for n in fixed] == [output(before[n], "text") for n in fixed]
    assert all(output(cell, "text") for cell in after)
    pictures = [output(cell, "image/svg+xml") for cell in after]
    assert [picture.startswith("<svg ") for picture in pictures if picture] == [True]


def tags(cell: Any) -> list[str]:
    found: list[str] = cell["metadata"].get("tags", [])
    return found


def test_cells_are_python_and_have_outputs(shown: Any) -> None:
    cells = code_cells(shown)
    for number, cell in enumerate(cells):
        compile("".join(cell["source"]), f"cell {number}", "exec")
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert all(cell["outputs"] for cell in cells)
