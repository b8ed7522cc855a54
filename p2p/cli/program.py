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
from p2p.cli.capture import capture
from p2p.cli.command import DEBUG, Group
from p2p.cli.crawl.command import crawl_command
from p2p.cli.decode import decode
from p2p.cli.discv import disc_group
from p2p.cli.dns import dns
from p2p.cli.doctor import doctor
from p2p.cli.enr import enr
from p2p.cli.exitcode import ExitCode
from p2p.cli.explain import explain
from p2p.cli.failure import failure_of
from p2p.cli.key import key
from p2p.cli.nodeset import nodeset
from p2p.cli.ping import ping
from p2p.cli.record import record
from p2p.cli.replay import replay
from p2p.cli.test import test

#: Every command, in the order of the help.
COMMANDS: tuple[click.Command, ...] = (
    *(key, enr, nodeset, dns, ping),
    *(disc_group(protocol) for protocol in ("v4", "v5")),
    explain,
    test,
    crawl_command(("v4", "v5"), "p2p crawl"),
    doctor,
    *(capture, decode, record, replay),
)

_HELP = """Speak devp2p, the peer-to-peer protocol stack of Ethereum.

A NODE is an enode URL or a node record (enr:…); "-" reads it from the standard input."""


class Program(Group):
    """The outermost group, with the exit codes in its help."""

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
    commands={command.name or "": command for command in COMMANDS},
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
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
