"""The program: the group of all commands, and its run with exit codes.

Runs in the main thread.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

import p2p
from p2p.cli.command import DEBUG, Group
from p2p.cli.commands import COMMANDS
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import failure_of

_HELP = """Speak devp2p, the peer-to-peer protocol stack of Ethereum.

A NODE is an enode URL or a node record (enr:…); "-" reads it from the standard input."""


class Program(Group):
    """The outermost group, whose help has the exit codes, and loads no command."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.summaries.items()))

    def invoke(self, context: click.Context) -> object:
        try:
            result = super().invoke(context)
            sys.stdout.flush()
            return result
        except BrokenPipeError:
            # The reader of a pipe, such as head, has all it wants. The interpreter flushes again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.OK

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), code.meaning) for code in ExitCode])


program = Program(
    "p2p",
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
program.commands = COMMANDS  # type: ignore[assignment]  # which click only reads
click.version_option(p2p.__version__, prog_name="p2p", message="%(prog)s %(version)s")(program)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code. ``arguments`` are those of the process if None.

    An error is one line on the standard error; with ``--debug``, its traceback comes first.
    """
    meta: dict[str, object] = {}
    try:
        result = program.main(arguments, prog_name="p2p", standalone_mode=False, obj=meta)
        return result if isinstance(result, int) else ExitCode.OK
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except Exception as error:
        if meta.get(DEBUG):
            traceback.print_exc()
        failure = failure_of(error)
        print(f"p2p: {failure}", file=sys.stderr)
        return failure.exit_code
