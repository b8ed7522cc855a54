"""The programs of docs/howto/laboratory.md, one after the other, print what is shown there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "laboratory.md"
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\nprints\n\n```text\n(.*?)```)?", re.DOTALL)


@pytest.mark.slow
def test_the_programs_print_what_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    world: dict[str, Any] = {}
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 6
    for program, shown in blocks:
        exec(compile(program, str(PAGE), "exec"), world)
        printed = capsys.readouterr().out
        if "events" in program:
            printed, shown = events_of(printed), events_of(shown_events())
        if "monitor_url" in program:
            assert re.fullmatch(r"look at http://127\.0\.0\.1:\d+/[\w-]+/\n", printed)
        else:
            assert printed == shown


def shown_events() -> str:
    """The lines of the program that prints events."""
    lines = re.findall(r"^    (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return "\n".join(line for line in lines if re.match(r"\w+ed n\d|note ", line))


def events_of(text: str) -> str:
    """The lines without what differs from run to run: which node is the first to start or lose."""
    lines = text.replace("(remote)", "(local)").splitlines()
    return "\n".join(re.sub(r"\bn[01]\b", "n", line).rstrip() for line in lines)
