"""Run a notebook, and write it with its outputs to another file.

``python -m tests.examples.notebook examples/classroom.ipynb examples/classroom.ipynb`` renews the
outputs that it shows. The kernel is a process of its own, in the folder of the notebook, and ends
with this one. Needs nbclient and ipykernel, of the extra ``test``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TIMEOUT_S = 120


def run(source: Path, target: Path) -> None:
    notebook = nbformat.read(source, as_version=4)
    kept = dict(notebook.metadata)
    NotebookClient(
        notebook,
        timeout=TIMEOUT_S,
        record_timing=False,
        resources={"metadata": {"path": str(source.parent)}},
    ).execute()
    notebook.metadata = nbformat.from_dict(kept)  # nothing about this Python
    nbformat.write(notebook, target)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
