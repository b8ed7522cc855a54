"""Classes of the commands: an example in each help, ``--debug`` everywhere.

Runs in the main thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])
#: Key of ``Context.obj``, a dict that outlives the run: whether --debug was given.
DEBUG = "debug"
#: Most characters of a command's sentence in the list of its group.
MAX_SUMMARY = 200


class Command(click.Command):
    """A command with examples, one command line each, at the end of its help."""

    def __init__(self, *arguments: Any, examples: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.examples = [line.strip() for line in examples.strip().splitlines()]
        self.params.append(_debug_option())

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; options may have one dash only, as go-ethereum's tools take them."""
        names = {name for param in self.params for name in (*param.opts, *param.secondary_opts)}
        for place, argument in enumerate(args):
            if argument == "--":
                break
            if f"-{argument.partition('=')[0]}" in names:
                args[place] = f"-{argument}"
        return super().parse_args(context, args)

    def get_short_help_str(self, limit: int = MAX_SUMMARY) -> str:
        """Return the first sentence whole; the list of commands wraps it."""
        return super().get_short_help_str(MAX_SUMMARY)

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
            for line in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}$ {line}\n")
        super().format_epilog(context, formatter)


class Group(click.Group):
    """A group of commands, listed in the order of their definition."""

    command_class = Command
    group_class = type

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("no_args_is_help", True)
        super().__init__(*arguments, **options)
        self.params.append(_debug_option())

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)


def command(name: str, *, examples: str, **options: Any) -> Callable[[F], Command]:
    """Return a decorator that makes a command of a function; its docstring is the help.

    ``examples`` has a command line on each line, ``p2p key new node.key``.
    """
    return click.command(name, cls=Command, examples=examples, **options)


def group(name: str, **options: Any) -> Callable[[F], Group]:
    """Return a decorator that makes a group of a function; its docstring is the help."""
    return click.group(name, cls=Group, **options)


def _debug_option() -> click.Option:
    return click.Option(
        ["--debug"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        help="Show the traceback of an error.",
        callback=_note_debug,
    )


def _note_debug(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().obj[DEBUG] = True
