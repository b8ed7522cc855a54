"""The commands ``p2p lab run | list | new``. Main thread; servers have their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from p2p.cli.command import group
from p2p.cli.failure import Failure
from p2p.cli.files.nodes import replace_file
from p2p.cli.lab.experiments import EXPERIMENTS, Plan, read_plan
from p2p.cli.lab.network import MAX_NODES, MAX_SEED
from p2p.cli.output import Output, with_output
from p2p.cli.parameters import read_file
from p2p.cli.report import page
from p2p.errors import LabError

#: The file of all results in the folder of --out.
RESULTS = "results.jsonl"


@group("lab")
def lab() -> None:
    """Run experiments in networks of real servers in this process."""


@lab.command("list", examples="p2p lab list")
@with_output
def list_(output: Output) -> None:
    """List the experiments."""
    for name, (summary, _) in EXPERIMENTS.items():
        output.result({"name": name, "summary": summary}, f"{name:<10} {summary}")


@lab.command("new", examples="p2p lab new rumour > rumour.toml")
@click.argument("name", type=click.Choice(list(EXPERIMENTS)))
@with_output
def new(output: Output, name: str) -> None:
    """Print the file of the experiment NAME, with a comment on each key."""
    text = EXPERIMENTS[name][1]
    output.result({"name": name, "file": text}, text.rstrip("\n"))


@lab.command("run", examples="p2p lab run rumour.toml\np2p lab new rumour | p2p lab run - --json")
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
@with_output
def run(
    output: Output,
    file: str,
    out: Path | None,
    report: Path | None,
    nodes: int | None,
    seed: int | None,
) -> None:
    """Run the experiment of FILE; "-" is the standard input.

    --nodes and --seed replace the values of FILE. The last result is a summary; after Ctrl-C it is
    of the runs so far.
    """
    plan = read_plan(read_file(file), nodes, seed)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = [plan.to_json()]
    output.result(records[0], _title(plan))
    try:
        _measure(output, plan, records)
    finally:
        summary = {"type": "summary", **plan.experiment.summary(records)}
        records.append(summary)
        output.result(summary, _summary_text(summary))
        if out is not None:
            lines = "".join(json.dumps(record) + "\n" for record in records)
            replace_file(out / RESULTS, lines)
        if report is not None:
            replace_file(report, _page(plan, records))


def _measure(output: Output, plan: Plan, records: list[dict[str, Any]]) -> None:
    """Run the experiment, and add its results."""
    try:
        with (
            output.progress(_title(plan), plan.experiment.repetitions) as update,
            closing(plan.experiment.run(plan.network)) as results,
        ):
            for record in results:
                records.append(record)
                text = plan.experiment.text(record)
                if text or output.as_json:
                    output.result(record, text)
                if record["type"] == "run":
                    update(completed=record["run"])
    except LabError as error:
        raise Failure(f"the network did not start: {error}") from error


def _page(plan: Plan, records: Sequence[dict[str, Any]]) -> str:
    totals = {name.replace("_", " "): _short(value) for name, value in records[-1].items()}
    del totals["type"]
    return page(f"Experiment: {plan.kind}", _title(plan), totals, plan.experiment.charts(records))


def _short(value: object) -> object:
    return f"{value:.3g}" if isinstance(value, float) else value


def _title(plan: Plan) -> str:
    network = plan.network
    return f"{plan.kind}: {network.nodes} nodes, {network.topology}, seed {network.seed}"


def _summary_text(summary: dict[str, Any]) -> str:
    if not summary["runs"]:
        return "no run has ended"
    text = (
        "mean of {runs} runs: {reached_share:.1%} of the nodes in {time_s:.3f} s, {hops:.1f} hops"
    )
    return (text + "; {messages:.0f} messages, {duplicates:.0f} duplicates").format(**summary)
