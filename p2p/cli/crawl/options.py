"""The options of a crawl. Main thread."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from p2p.cli.crawl.schedule import Limits
from p2p.cli.options import with_timeout
from p2p.cli.parameters import DURATION

F = TypeVar("F", bound=Callable[..., object])
_PATH = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True)
class CrawlOptions:
    """The options of a crawl, without those of our node. Times are in seconds."""

    file: Path | None
    hello: bool
    sqlite: Path | None
    report: Path | None
    timeout: float
    revalidate: float
    limits: Limits


def crawl_options(function: F) -> F:
    """Add FILE and the options of a crawl to a command, which gets ``options`` (CrawlOptions)."""

    @click.argument("file", type=_PATH, required=False)
    @click.option("--hello", is_flag=True, help="Ask each node for its hello by RLPx, too.")
    @click.option("--sqlite", type=_PATH, help="Write the nodes into this SQLite file, too.")
    @click.option("--report", type=_PATH, help="Write a page with charts (HTML).")
    @with_timeout("30m")
    @_limit_options
    @_option(
        "--revalidate",
        type=DURATION,
        default="10m",
        help="Time for which a node of FILE is not visited again.",
    )
    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> object:
        own = {name: options.pop(name) for name in CrawlOptions.__dataclass_fields__}
        return function(*arguments, options=CrawlOptions(**own), **options)

    return run  # type: ignore[return-value]


def _limit_options(function: F) -> F:
    """Add the options that bound the load of a crawl; the command gets ``limits`` (Limits)."""

    @_option(
        "--parallel",
        type=click.IntRange(1, 512),
        default=16,
        help="Requests under way at a time.",
    )
    @_option(
        "--rate",
        type=click.FloatRange(0.1, 10_000),
        default=100.0,
        help="Requests in a second, of all nodes together.",
    )
    @_option(
        "--finds",
        type=click.IntRange(1, 30),
        default=10,
        help="Most questions for other nodes, to one node by one protocol.",
    )
    @_option(
        "--pause",
        type=DURATION,
        default="500ms",
        help="Time between an answer of a node and the next request to it.",
    )
    @functools.wraps(function)
    def run(
        *arguments: Any, parallel: int, rate: float, finds: int, pause: float, **options: Any
    ) -> object:
        return function(*arguments, limits=Limits(parallel, rate, finds, pause), **options)

    return run  # type: ignore[return-value]


def _option(*names: str, **settings: Any) -> Callable[[F], F]:
    return click.option(*names, show_default=True, **settings)
