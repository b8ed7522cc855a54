"""Show the commands of ``p2p`` from their definitions.

Sphinx extension. The line ``<!-- On the site: the commands. -->`` of a page becomes a section for
each command: usage, help, options, examples. ``<!-- On the site: the exit codes. -->`` becomes a
table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click

from p2p.cli.exitcode import ExitCode
from p2p.cli.program import program

COMMANDS = "<!-- On the site: the commands. -->"
EXIT_CODES = "<!-- On the site: the exit codes. -->"
#: Options of every command, which the page itself explains.
COMMON = {"--json", "--debug", "--help"}
#: click's mark of a paragraph whose lines stay as they are.
AS_IT_IS = "\b\n"


def escaped(text: str) -> str:
    """Return text without a meaning in Markdown."""
    return re.sub(r"([\\`*_<>\[\]|{}#~$])", r"\\\1", " ".join(text.split()))


def sections(command: click.Command, parent: click.Context | None, level: int) -> Iterator[str]:
    """Yield the Markdown of a command, and of those under it."""
    context = click.Context(command, info_name=command.name, parent=parent)
    if parent:
        yield f"{'#' * level} {context.command_path}"
        yield "\n\n".join(paragraphs(command.help or ""))
        if not isinstance(command, click.Group):
            yield from manual(command, context)
    for inner in getattr(command, "commands", {}).values():
        if not inner.hidden:
            yield from sections(inner, context, level + 1 if parent else level)


def paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.startswith(AS_IT_IS):
            yield f"```text\n{paragraph.removeprefix(AS_IT_IS)}\n```"
        else:
            yield escaped(paragraph)


def manual(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the usage, the options and the examples of a command."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```"
    rows = list(options(command, context))
    if rows:
        yield "| option | |\n|---|---|\n" + "\n".join(rows)
    examples = getattr(command, "examples", [])
    if examples:
        yield "```console\n" + "".join(f"$ {line}\n" for line in examples) + "```"


def options(command: click.Command, context: click.Context) -> Iterator[str]:
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if record and record[1] and not COMMON & set(option.opts):
            names = record[0].replace("|", r"\|")
            yield f"| `{names}` | {escaped(record[1])} |"


def exit_codes() -> str:
    rows = (f"| {int(code)} | {escaped(code.meaning)} |\n" for code in ExitCode)
    return "| code | meaning |\n|---|---|\n" + "".join(rows)


def read_page(app: Any, docname: str, source: list[str]) -> None:
    if COMMANDS in source[0]:
        text = "\n\n".join(sections(program, None, 2))
        source[0] = source[0].replace(COMMANDS, text).replace(EXIT_CODES, exit_codes())


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", read_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
