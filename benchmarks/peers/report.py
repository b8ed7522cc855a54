"""The tables and the verdicts of the measurements.

Figures are kept by measure and pair, one for each round. A cell of a table is the median over the
rounds. A ratio compares within a round, ours with the other's, and the median is taken of the
ratios: a slow phase of the machine affects all. An aim is the smallest (or, for costs, the largest)
acceptable ratio; or that of our own figure, if it is a ratio already.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.node import MAX_LANES
from benchmarks.peers.crowds import BURSTS
from benchmarks.peers.process import KINDS, Pair
from benchmarks.peers.scale import Scale
from benchmarks.scale import LARGE, MEDIUM

#: Figures of each round, by measure and the text of a pair.
Samples = Mapping[tuple[str, str], Sequence[float]]

WIDTH = 40


@dataclass(frozen=True)
class Aim:
    """A limit, and whether it is the smallest or the largest acceptable value."""

    limit: float
    is_least: bool = True

    def is_met(self, value: float) -> bool:
        return value >= self.limit if self.is_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.is_least else '<='} {self.limit:.3g}"


@dataclass(frozen=True)
class Row:
    """A line of a table.

    ``go`` and ``node`` are the aims of our figure compared with go-ethereum's and with that of
    @ethereumjs/devp2p, ``own`` is that of the figure itself.
    """

    name: str
    key: str
    unit: str
    go: Aim | None = None
    node: Aim | None = None
    own: Aim | None = None


@dataclass(frozen=True)
class Verdict:
    """A value with its aim."""

    row: str
    against: str
    value: float
    aim: Aim

    @property
    def is_met(self) -> bool:
        return self.aim.is_met(self.value)


AS_FAST = Aim(1.0)
FIVE_TIMES = Aim(5.0)
FLAT = Aim(1.3, is_least=False)


def rows(scale: Scale) -> list[Row]:
    """Return all lines, in their order."""
    return [*message_rows(), *handshake_rows(), *busy_rows(), *discovery_rows(), *crowd_rows(scale)]


def message_rows() -> Iterable[Row]:
    yield Row("one way, 100 bytes", "one way", "messages/s", AS_FAST, FIVE_TIMES)
    yield Row("  CPU of both ends", "message CPU", "s/million")
    yield Row("    of the sender", "message CPU to send", "s/million")
    yield Row("    of the receiver", "message CPU to receive", "s/million")
    yield Row("one way, 64 KiB", f"one way {MEDIUM}", "MB/s", AS_FAST, FIVE_TIMES)
    yield Row("one way, 1 MiB", f"one way {LARGE}", "MB/s", AS_FAST, FIVE_TIMES)
    yield Row("ping-pong, 100 bytes", "round trips", "trips/s", Aim(0.7), FIVE_TIMES)
    yield Row("  median", "round trip p50", "us")
    yield Row("  99 of 100 are below", "round trip p99", "us")
    yield Row("  the latter over the former", "round trip p99 / p50", "x", own=Aim(3.0, False))


def handshake_rows() -> Iterable[Row]:
    for lanes, text in ((1, "one after the other"), (MAX_LANES, f"{MAX_LANES} at a time")):
        yield Row(f"handshakes, {text}", f"handshakes {lanes}", "a second", AS_FAST, FIVE_TIMES)
        if lanes == 1:
            yield Row("  CPU of both ends", "handshake CPU", "s/thousand")
            yield Row("    of the dialer", "handshake CPU to dial", "s/thousand")
            yield Row("    of the listener", "handshake CPU to listen", "s/thousand")
        yield Row("  refused at first", f"refused {lanes}", "of each")
    for lanes, text in ((1, "one after the other"), (MAX_LANES, f"{MAX_LANES} at a time")):
        yield Row(f"of a bare dialer, {text}", f"bare handshakes {lanes}", "a second",
                  AS_FAST, FIVE_TIMES)  # fmt: skip
        yield Row("  CPU of the listener", f"bare handshake CPU {lanes}", "s/thousand")


def busy_rows() -> Iterable[Row]:
    for count, aim in ((1, Aim(1 / 3)), (3, None)):
        for end in ("receiver", "sender"):
            name = f"{end} with {count} busy handler{'s' * (count > 1)}"
            key = f"busy {end} {count}"
            yield Row(name, key, "messages/s")
            yield Row("  of the rate without", f"{key} / quiet", "x", own=aim)


def discovery_rows() -> Iterable[Row]:
    for count in (1, 50):
        text = "one endpoint" if count == 1 else f"{count} endpoints"
        yield Row(f"pings answered, {text}", f"pings {count}", "pings/s", Aim(0.8), FIVE_TIMES)
    yield Row("v5: pings answered", "v5 pongs", "pings/s", Aim(0.8))
    yield Row("  CPU of the node", "v5 ping CPU", "us each", Aim(1.25, False))
    yield Row("v5: handshakes", "v5 handshakes", "a second", Aim(0.8))
    yield Row("  CPU of the node", "v5 shake CPU", "us each", Aim(1.25, False))
    yield Row("v5: lookup, CPU of the asking node", "v5 lookup CPU", "ms", Aim(1.25, False))


def crowd_rows(scale: Scale) -> Iterable[Row]:
    yield Row(f"connect {scale.connected} peers", f"connect {scale.connected}", "s")
    for count in scale.crowds:
        yield Row(f"idle peer, one of {count}", f"idle peer {count}", "KiB", Aim(1.5, False))
        yield Row("  before garbage is collected", f"uncollected {count}", "KiB")
    yield from spread_rows(scale)


def spread_rows(scale: Scale) -> Iterable[Row]:
    fewest, *_ = scale.peers
    for burst, how in zip(BURSTS, ("one by one", f"{BURSTS[-1]} at once"), strict=True):
        for peers in scale.peers:
            key = f"{burst} {peers}"
            text = f"{peers:,} peer{'s' * (peers > 1)}"
            yield Row(f"together from {text}, {how}", f"spread {key}", "messages/s")
            yield Row("  CPU of the receiver", f"spread CPU {key}", "us each")
            if peers != fewest:
                yield Row(f"  rate over that of {fewest}", f"spread {key} / {fewest}", "x")
                yield Row(f"  CPU over that of {fewest}", f"spread CPU {key} / {fewest}", "x",
                          own=FLAT)  # fmt: skip


def ratio(samples: Samples, key: str, other: str) -> float | None:
    """Return the ratio of ours to another's, or None if one of them was not measured."""
    ours, theirs = samples.get((key, "ours")), samples.get((key, other))
    if not ours or not theirs:
        return None
    ratios = [here / there for here, there in zip(ours, theirs, strict=True) if there]
    return statistics.median(ratios) if ratios else None


def verdicts(samples: Samples, table: Sequence[Row]) -> list[Verdict]:
    """Return a verdict for every aim whose value was measured."""
    found = []
    for row in table:
        for other, aim in (("go", row.go), ("node", row.node)):
            value = ratio(samples, row.key, other)
            if aim is not None and value is not None:
                found.append(Verdict(row.name, other, value, aim))
        own = samples.get((row.key, "ours"))
        if row.own is not None and own:
            found.append(Verdict(row.name, "itself", statistics.median(own), row.own))
    return found


def main_table(samples: Samples, table: Sequence[Row]) -> str:
    """Return the table of each implementation with itself, with our ratios."""
    lines = [f"{'':{WIDTH}}{'ours':>9}{'go':>9}{'node':>9}  {'unit':11}"
             f"{'ours/go':18}{'ours/node':18}ours"]  # fmt: skip
    for row in table:
        cells = [cell(samples.get((row.key, kind))) for kind in KINDS]
        if not any(cells):
            continue
        own = samples.get((row.key, "ours"))
        judged = [
            judgement(ratio(samples, row.key, "go"), row.go),
            judgement(ratio(samples, row.key, "node"), row.node),
            judgement(statistics.median(own) if own else None, row.own) if row.own else "",
        ]
        text = "".join(f"{one:>9}" for one in cells)
        lines.append(
            f"{row.name:{WIDTH}}{text}  {row.unit:11}{judged[0]:18}{judged[1]:18}{judged[2]}"
            .rstrip()
        )  # fmt: skip
    return "\n".join(lines)


def cross_table(samples: Samples, table: Sequence[Row], pairs: Sequence[Pair]) -> str:
    """Return the table of pairs of two implementations, as "dialer to listener"; or ""."""
    names = [str(pair) for pair in pairs if not pair.is_alike]
    lines = []
    for row in table:
        cells = [cell(samples.get((row.key, name))) for name in names]
        if any(cells):
            text = "".join(f"{one:>14}" for one in cells)
            lines.append(f"{row.name:{WIDTH}}{text}  {row.unit}")
    head = f"{'':{WIDTH}}" + "".join(f"{name:>14}" for name in names) + "  unit"
    return "\n".join([head, *lines]) if lines else ""


def cell(figures: Sequence[float] | None) -> str:
    """Return the median as a short text; empty without figures."""
    return number(statistics.median(figures)) if figures else ""


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def judgement(value: float | None, aim: Aim | None) -> str:
    """Return a ratio as text, with its aim and whether that is met, if it has one."""
    if value is None:
        return ""
    if aim is None:
        return f"{value:.2f}"
    return f"{value:.2f} {aim} {'yes' if aim.is_met(value) else 'NO'}"
