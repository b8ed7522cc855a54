"""The experiments of ``p2p lab`` by name, and the file of one. Pure."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from p2p.cli.lab import eclipse, rumour, tables
from p2p.cli.lab.settings import Section, parse, refuse_unknown
from p2p.cli.report import Chart, Curves


class Experiment(Protocol):
    """An experiment, as it was read from a file."""

    has_page: ClassVar[bool]

    @property
    def title(self) -> str: ...
    @property
    def steps(self) -> int: ...
    def to_json(self) -> dict[str, Any]: ...
    def run(self, monitor_addr: str | None = None, /) -> Generator[dict[str, Any], None, None]: ...
    def summary(self, records: Sequence[dict[str, Any]], /) -> dict[str, Any]: ...
    def text(self, record: dict[str, Any], /) -> str: ...
    def charts(self, records: Sequence[dict[str, Any]], /) -> list[Chart | Curves]: ...


class Reader(Protocol):
    """The function that makes an experiment of the tables of a file."""

    def __call__(
        self, tables: dict[str, Any], nodes: int | None, seed: int | None, /
    ) -> Experiment: ...


@dataclass(frozen=True)
class Kind:
    """A kind of experiments: a sentence, a file to begin with, and its reader."""

    summary: str
    file: str
    read: Reader


EXPERIMENTS = {
    "rumour": Kind(rumour.SUMMARY, rumour.FILE, rumour.Rumour.read),
    "tables": Kind(tables.SUMMARY, tables.FILE, tables.FillTables.read),
    "eclipse": Kind(eclipse.SUMMARY, eclipse.FILE, eclipse.Eclipse.read),
}


def read_plan(text: str, nodes: int | None = None, seed: int | None = None) -> Experiment:
    """Read the text of a file; ``nodes`` and ``seed`` replace its values.

    Raises Failure, with the key, for unknown keys and wrong values.
    """
    found = parse(text)
    refuse_unknown(found, ("network", "experiment"))
    kind = Section(found, "experiment").choice("kind", None, EXPERIMENTS)
    return EXPERIMENTS[kind].read(found, nodes, seed)
