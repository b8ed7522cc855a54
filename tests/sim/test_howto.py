"""The program of docs/howto/simulate.md prints what is said there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "howto" / "simulate.md"


def test_the_program_prints_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (shown,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    exec(compile(program, str(DOCUMENT), "exec"), {})
    assert capsys.readouterr().out == shown
