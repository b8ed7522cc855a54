"""The program: the group of all commands, and its run with exit codes.

Runs in the main thread. SIGTERM and SIGHUP end a command as Ctrl-C does: it keeps what it has.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

import p2p
from p2p.cli import streams
from p2p.cli.command import DEBUG, Group
from p2p.cli.commands import COMMANDS
from p2p.cli.exitcode import ExitCode
from p2p.cli.failure import failure_of
from p2p.cli.shown import on_one_line

_HELP = """Speak devp2p, the peer-to-peer protocol stack of Ethereum.

A NODE is an enode URL or a node record (enr:…); "-" reads it from the standard input."""


#: Signals that end a command as Ctrl-C does.
ENDING = (signal.SIGTERM, signal.SIGHUP)


class Program(Group):
    """The outermost group, whose help has the exit codes, and loads no command."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.summaries.items()))

    def invoke(self, context: click.Context) -> object:
        try:
            result = super().invoke(context)
            streams.flush()
            return result
        except BrokenPipeError:
            if streams.is_read():  # the pipe of something else
                raise
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
    streams.prepare()
    stdout = sys.stdout
    try:
        with _ending_signals():
            result = program.main(arguments, prog_name="p2p", standalone_mode=False, obj=meta)
        return result if isinstance(result, int) else ExitCode.OK
    except (click.Abort, KeyboardInterrupt) as error:
        return _interrupted(error)
    except SystemExit:
        if sys.stdout is stdout:
            raise
        streams.drop()  # the reader of a help has gone: click has put another stream
        return ExitCode.OK
    except click.exceptions.NoArgsIsHelpError as error:
        streams.tell(error.format_message())
        return ExitCode.USAGE
    except Exception as error:
        if meta.get(DEBUG):
            streams.tell(traceback.format_exc().rstrip())
        failure = failure_of(error)
        streams.tell(f"p2p: {on_one_line(str(failure))}")
        return failure.exit_code
    finally:
        streams.finish()


class _Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP has come."""


@contextmanager
def _ending_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, if the caller has not chosen."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = [each for each in ENDING if signal.getsignal(each) is signal.SIG_DFL]
    for number in wanted:
        signal.signal(number, _terminate)
    try:
        yield
    finally:
        for number in wanted:
            signal.signal(number, signal.SIG_DFL)


def _terminate(_number: int, _frame: object) -> None:
    raise _Terminated


def _interrupted(error: BaseException) -> ExitCode:
    if not streams.is_read():
        return ExitCode.OK
    terminated = isinstance(error, _Terminated) or isinstance(error.__cause__, _Terminated)
    return ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED
