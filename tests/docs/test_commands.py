"""Each command of ``p2p`` is on the site, with all that its definition says."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from p2p.cli.exitcode import ExitCode
from p2p.cli.program import program

PAGE = Path(__file__).resolve().parents[2] / "build" / "docs" / "command-line.html"


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def text() -> str:
    """The text of the page without its tags."""
    article = PAGE.read_text(encoding="utf-8").partition("<article")[2]
    return words(html.unescape(re.sub(r"<[^>]+>", "", article)))


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, inner in getattr(command, "commands", {}).items():
        if isinstance(inner, click.Group):
            yield from leaves(inner, f"{path} {name}")
        elif not inner.hidden:
            yield f"{path} {name}", inner


COMMANDS = dict(leaves(program, "p2p"))


@pytest.mark.parametrize("path", COMMANDS)
def test_command_has_usage_help_options_and_examples(path: str, text: str) -> None:
    command = COMMANDS[path]
    wanted = [f"{path} [OPTIONS]", words((command.help or "").replace("\b", " "))]
    wanted += [f"$ {line}" for line in getattr(command, "examples", [])]
    for option in command.params:
        if isinstance(option, click.Option) and not {"--json", "--debug"} & set(option.opts):
            wanted += [option.opts[0], words(option.help or "")]
    assert [part for part in wanted if part not in text] == []


def test_each_exit_code_is_there(text: str) -> None:
    wanted = [f"{int(code)} {code.meaning}" for code in ExitCode]
    assert [part for part in wanted if words(part) not in text] == []
