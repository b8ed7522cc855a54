"""Output of the commands: text for people, JSON lines for programs, progress.

Results go to the standard output, all else to the standard error. Colour and progress appear on a
terminal only; NO_COLOR turns colour off. With ``--json``, each result is a JSON object on a line of
its own. An :class:`Output` may be used by any thread, :meth:`Output.progress` by one at a time.

rich is imported by the first output that needs it: the import takes as long as a short command.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

import p2p
from p2p.cli import streams
from p2p.cli.shown import safe

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

F = TypeVar("F", bound=Callable[..., object])


class Output:
    """Destination of the results of a command.

    ``as_json`` is whether ``--json`` was given.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> Console:
        """The standard output, for what no method here does."""
        from rich.console import Console

        class Printer(Console):
            def on_broken_pipe(self) -> None:
                streams.reader_has_gone()

        return Printer(highlight=False, soft_wrap=not sys.stdout.isatty())

    @cached_property
    def errors(self) -> Console:
        """The standard error likewise."""
        from rich.console import Console

        return Console(highlight=False, stderr=True)

    def result(self, record: Mapping[str, Any], text: RenderableType) -> None:
        """Print one result: ``record`` as a line of JSON, or ``text`` for people.

        A str is printed without markup, its unprintable characters escaped; values of ``record``
        that JSON does not have are shown by ``str``.
        """
        if self.as_json:
            # Of ASCII without DEL, so that no text of a remote can move a cursor.
            line = json.dumps(record, default=_as_json)
            streams.write(line.replace("\x7f", "\\u007f") + "\n")
        else:
            self.text(text)

    def text(self, text: RenderableType = "") -> None:
        """Print for people; nothing with ``--json``."""
        if self.as_json:
            return
        if isinstance(text, str):
            streams.write(safe(text) + "\n")
        else:
            self.console.print(text)

    def note(self, text: str) -> None:
        """Print a remark to the standard error."""
        if sys.stderr.isatty():
            from rich.text import Text

            self.errors.print(Text(safe(text), style="dim"), soft_wrap=True)
        else:
            streams.tell(safe(text))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table for people; nothing with ``--json``."""
        if self.as_json:
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*(Text(safe(str(cell))) for cell in row))
        self.console.print(table)

    @contextmanager
    def progress(self, text: str, total: float | None = None) -> Iterator[Callable[..., None]]:
        """Show progress while the block runs, if the standard error is a terminal.

        ``total`` is the number of steps, None if it is not known. Yields the function
        ``update(completed=…, text=…, total=…)``, for any thread.
        """
        if not sys.stderr.isatty():
            yield _no_update
            return
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            *((BarColumn(),) if total is not None else ()),
            TimeElapsedColumn(),
            console=self.errors,
            transient=True,
        )
        task = bar.add_task(text, total=total)

        def update(
            completed: float | None = None, text: str | None = None, total: float | None = None
        ) -> None:
            bar.update(task, completed=completed, description=text, total=total)

        with bar:
            yield update


def with_output(function: F) -> F:
    """Add ``--json`` to a command, and pass it an :class:`Output` as its first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON, an object on each line.")
    @functools.wraps(function)
    def run(*arguments: Any, as_json: bool, **options: Any) -> object:
        return function(Output(as_json), *arguments, **options)

    return run  # type: ignore[return-value]


def _no_update(
    completed: float | None = None, text: str | None = None, total: float | None = None
) -> None:
    """Take the steps of a progress that is not shown."""


def _as_json(value: object) -> object:
    if isinstance(value, (bytes, bytearray)) and not isinstance(value, p2p.NodeID):
        return "0x" + value.hex()
    return str(value)
