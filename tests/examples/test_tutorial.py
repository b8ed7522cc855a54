"""The programs of docs/tutorial.md and of the README run, and do what is said beside them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
URL = re.compile(r"enode://[0-9a-f]{128}@127\.0\.0\.1:[0-9]+")


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, int], str]:
    """Writes the n-th Python program of a document to a file, with any free port for its own."""

    def write(document: str, number: int) -> str:
        text = (ROOT / document).read_text(encoding="utf-8")
        source = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[number]
        path = tmp_path / f"program_{number}.py"
        path.write_text(re.sub(r'"[0-9.]*:30300"', '"127.0.0.1:0"', source), encoding="utf-8")
        return str(path)

    return write


def test_step_1_a_node_prints_its_url(run: Any, program: Any) -> None:
    assert URL.fullmatch(run(program("docs/tutorial.md", 0)).line())


@pytest.mark.parametrize("dialer_step", [2, 3])
def test_steps_2_to_4_the_ends_say_what_is_shown(
    run: Any, program: Any, dialer_step: int
) -> None:
    listener = run(program("docs/tutorial.md", 1))
    dialer = run(program("docs/tutorial.md", dialer_step), listener.line())
    assert dialer.line() == "listener says bar"
    assert [listener.line(), listener.line()] == ["dialer is here", "dialer says foo"]
    if dialer_step == 3:
        assert dialer.end() == (0, [], "")


def test_the_program_of_the_readme_answers(run: Any, program: Any) -> None:
    path = Path(program("README.md", 0))
    added = "    print(server.self().url)\n    server.wait"  # as the README says
    path.write_text(path.read_text().replace("    server.wait", added))
    listener = run(str(path))
    code, lines, errors = run("foo_bar.py", "dial", listener.line()).end()
    assert (code, lines, errors) == (0, ["my node name says bar"], "")
