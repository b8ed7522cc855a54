"""The output in docs/howto/experiments.md is that of the commands, but for times of threads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "howto" / "experiments.md"


def printed_by(command):
    """The lines beneath a command of the page."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    parts = [part for block in blocks for part in re.split(r"(?m)^\$ ", block)]
    (found,) = [part for part in parts if part.startswith(f"{command}\n")]
    return found.removeprefix(f"{command}\n")


def test_list_of_the_page(run):
    assert run("lab", "list").out == printed_by("p2p lab list")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["tables", "eclipse"])
def test_output_of_the_page(run, name):
    file = run("lab", "new", name).out
    assert run("lab", "run", "-", stdin=file).out == printed_by(f"p2p lab run {name}.toml")


def test_rumour_of_the_page(run):
    """Times and hops are those of threads; all the rest is the same."""
    command = "p2p lab run rumour.toml --report rumour.html"
    result = run("lab", "run", "-", stdin=run("lab", "new", "rumour").out)
    assert _without_times(result.out) == _without_times(printed_by(command))


def _without_times(text):
    return re.sub(r"[\d.]+ (s|hops)\b", r"N \1", text)
