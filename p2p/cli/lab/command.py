"""The commands ``p2p lab run | list | new``. Main thread; servers have their own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import click

from p2p.cli.command import group
from p2p.cli.failure import Failure
from p2p.cli.files.nodes import check_replaceable, replace_file
from p2p.cli.lab.experiments import EXPERIMENTS, Experiment, read_plan
from p2p.cli.lab.network import MAX_NODES, MAX_SEED, OVER, PAGE
from p2p.cli.livepage import address_of, page_shown, with_page_options
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import read_file
from p2p.cli.report import page as report_page
from p2p.errors import LabError

#: The file of all results in the folder of --out.
RESULTS = "results.jsonl"


@group("lab")
def lab() -> None:
    """Run experiments in networks of many nodes in this process."""


@lab.command("list", examples="p2p lab list")
@with_output
def list_(output: Output) -> None:
    """List the experiments."""
    for name, kind in EXPERIMENTS.items():
        output.result({"name": name, "summary": kind.summary}, f"{name:<10} {kind.summary}")


@lab.command("new", examples="p2p lab new rumour > rumour.toml")
@click.argument("name", type=click.Choice(list(EXPERIMENTS)))
@with_output
def new(output: Output, name: str) -> None:
    """Print the file of the experiment NAME, with a comment on each key."""
    text = EXPERIMENTS[name].file
    output.result({"name": name, "file": text}, text.rstrip("\n"))


@lab.command(
    "run",
    examples="""
    p2p lab run rumour.toml
    p2p lab new rumour | p2p lab run - --json
    p2p lab run rumour.toml --page --open
    """,
)
@click.argument("file", metavar="FILE")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Folder for {RESULTS}; it is made if it is missing.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page with charts (HTML).",
)
@click.option("--nodes", type=click.IntRange(2, MAX_NODES), help="Number of nodes.")
@click.option("--seed", type=click.IntRange(0, MAX_SEED), help="Seed of all random choices.")
@with_page_options
@with_output
def run(
    output: Output,
    file: str,
    out: Path | None,
    report: Path | None,
    nodes: int | None,
    seed: int | None,
    page: str | None,
    in_browser: bool,
) -> None:
    """Run the experiment of FILE; "-" is the standard input.

    --nodes and --seed replace the values of FILE. The last result is a summary; after Ctrl-C it is
    of what was measured so far. With a live page the network runs on after it, until Ctrl-C.
    """
    experiment, addr = read_plan(read_file(file), nodes, seed), address_of(page, in_browser)
    if addr is not None and not experiment.has_page:
        raise click.UsageError(f"{experiment.title}: no live page shows it; leave out --page")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        check_replaceable(out / RESULTS)
    if report is not None:
        check_replaceable(report)

    def tell(text: str, record: Mapping[str, object]) -> None:
        output.result({"type": record["event"], **record}, text)

    with (
        page_shown(tell, in_browser) as show_page,
        closing(experiment.run(addr)) as results,
    ):
        _run(output, experiment, results, out, report, show_page)
        if addr is not None:
            with suppress(KeyboardInterrupt):
                output.note("the network runs on for its page; Ctrl-C ends it")
                threading.Event().wait()


def _run(
    output: Output,
    experiment: Experiment,
    results: Iterator[dict[str, Any]],
    out: Path | None,
    report: Path | None,
    show_page: Callable[[str], object],
) -> None:
    """Run the experiment to its summary, and write its files."""
    records: list[dict[str, Any]] = [{"type": "plan", **experiment.to_json()}]
    output.result(records[0], experiment.title)
    try:
        _measure(output, experiment, results, records, show_page)
    finally:
        records.append({"type": "summary", **experiment.summary(records)})
        output.result(records[-1], experiment.text(records[-1]))
        if out is not None:
            lines = "".join(json.dumps(record) + "\n" for record in records)
            replace_file(out / RESULTS, lines)
        if report is not None:
            replace_file(report, _report(experiment, records))


def _measure(
    output: Output,
    experiment: Experiment,
    results: Iterator[dict[str, Any]],
    records: list[dict[str, Any]],
    show_page: Callable[[str], object],
) -> None:
    """Run the experiment, and add its results to ``records``."""
    try:
        with output.progress(experiment.title, experiment.steps) as update:
            for record in results:
                if record["type"] == PAGE:
                    show_page(record["url"])
                    continue
                if record["type"] == OVER:
                    return
                records.append(record)
                text = experiment.text(record)
                if text or output.as_json:
                    output.result(record, text)
                if "step" in record:
                    update(completed=record["step"])
    except LabError as error:
        raise Failure(f"the network did not start: {error}") from error


def _report(experiment: Experiment, records: Sequence[dict[str, Any]]) -> str:
    totals = {name.replace("_", " "): _short(value) for name, value in records[-1].items()}
    del totals["type"]
    return report_page("Experiment", experiment.title, totals, experiment.charts(records))


def _short(value: object) -> object:
    return f"{value:.3g}" if isinstance(value, float) else value
