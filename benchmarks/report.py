"""The figures of a run: the lines of the table, their references and their aims.

Workloads give seconds (or bytes) for one message, one handshake, one peer; each figure is the
median over the rounds. A ratio compares within one round, so that a slow phase of the machine
affects both sides, and the median is taken of the ratios.
"""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import p2p
from benchmarks.discovery import LOAD_PER_S, MANY
from benchmarks.messages import BUSY
from benchmarks.node import MAX_LANES
from benchmarks.scale import LARGE, MEDIUM, SMALL
from p2p.crypto import BACKEND, SECP256K1_BACKEND

LIBRARIES = (
    *("coincurve", "btclib-secp256k1"),
    *("cramjam", "cryptography", "pycryptodome", "rlp", "safe-pysha3"),
)

Samples = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Row:
    """A line of the table: a measured time or size, in another unit.

    ``limits`` are lower bounds of the measured time; the ratio is the reached part of the rate that
    they allow. ``aim`` is the smallest acceptable ratio; without limits it is the largest
    acceptable figure. A limit that was not measured gives no ratio.
    """

    name: str
    key: str
    unit: str
    convert: Callable[[float], float]
    limits: tuple[str, ...] = ()
    aim: float | None = None
    size_bytes: int = 0


@dataclass(frozen=True)
class Figure:
    """A line with its figures."""

    name: str
    figure: float
    unit: str
    ratio: float | None
    aim: float | None
    ok: bool | None
    samples: list[float]


def per_second(seconds: float) -> float:
    return 1 / seconds


def megabytes_per_second(size_bytes: int) -> Callable[[float], float]:
    return lambda seconds: size_bytes / seconds / 1e6


def microseconds(seconds: float) -> float:
    return seconds * 1e6


def milliseconds(seconds: float) -> float:
    return seconds * 1e3


def kibibytes(size_bytes: float) -> float:
    return size_bytes / 1024


def rows(crowds: Sequence[int]) -> list[Row]:
    """Return all lines, in their order."""
    codec = tuple(f"codec {way} {SMALL}" for way in ("write", "read"))
    table = []
    for size, text in ((SMALL, "100 bytes"), (MEDIUM, "64 KiB"), (LARGE, "1 MiB")):
        unit, convert = "MB/s", megabytes_per_second(size)
        if size == SMALL:
            unit, convert = "messages/s", per_second
        for way in ("write", "read"):
            limit = (f"bare {way} {size}",)
            name = f"codec, {way} {text}"
            table.append(Row(name, f"codec {way} {size}", unit, convert, limit, 0.6))
    table += [
        Row("Keccak alone", "keccak", "MB/s", megabytes_per_second(LARGE)),
        Row("one way, 100 bytes", f"one-way {SMALL}", "messages/s", per_second, codec, 0.5),
    ]
    for count in BUSY:
        for end in ("receiver", "sender"):
            table.append(
                Row(
                    f"  {end} with {count} busy handler{'s' * (count > 1)}",
                    f"busy {end} {count}",
                    "messages/s",
                    per_second,
                    (f"one-way {SMALL}",),
                    0.25 if count == 1 else None,
                )
            )
    table += [
        Row("  CPU of both ends, uncounted", "uncounted one-way", "us each", microseconds),
        Row("  with metrics, scraped", "counted one-way", "us each", microseconds,
            ("uncounted one-way",), 0.97),
        Row("  CPU of both ends, no options", "plain one-way", "us each", microseconds),
        Row("  with limits never reached", "limited one-way", "us each", microseconds,
            ("plain one-way",)),
        Row("  with a page that is not open", "page closed one-way", "us each", microseconds,
            ("plain one-way",)),
        Row("  with the page open at both ends", "page open one-way", "us each", microseconds,
            ("plain one-way",), 0.95),
        Row("one way, 64 KiB", f"one-way {MEDIUM}", "MB/s", megabytes_per_second(MEDIUM),
            (f"keccak {MEDIUM}",)),
        Row("one way, 1 MiB", f"one-way {LARGE}", "MB/s", megabytes_per_second(LARGE),
            ("keccak",), 0.7),
        Row("ping-pong, 100 bytes", "round trip", "round trips/s", per_second),
        Row("  median", "round trip p50", "us", microseconds),
        Row("  99 of 100 are below", "round trip p99", "us", microseconds),
        Row("handshakes, machines alone", "handshake of machines", "handshakes/s", per_second,
            ("curve operations",)),
        Row("handshakes, one after the other", "handshake", "handshakes/s", per_second,
            ("curve operations",), 0.5),
        Row(f"handshakes, {MAX_LANES} at a time", "handshake at a time", "handshakes/s",
            per_second, ("curve operations of one end",)),
    ]  # fmt: skip
    for count, text in ((1, "one endpoint"), (MANY, f"{MANY} endpoints")):
        go = f"go ping {count}"
        table += [
            Row(f"pings answered, {text}", f"ping {count}", "pings/s", per_second, (go,), 0.3),
            Row("  go-ethereum", go, "pings/s", per_second),
        ]
    table += [
        Row("lookup, CPU of the asking node", "lookup", "ms", milliseconds,
            ("lookup curve operations",)),
        Row("lookup, CPU of all others", "lookup of others", "ms", milliseconds),
        Row(f"one way, {LOAD_PER_S:,} packets/s", "loaded one-way", "messages/s", per_second,
            ("quiet one-way",), 0.75),
        Row("  packets answered meanwhile", "loaded ping", "pings/s", per_second, ("load",)),
    ]  # fmt: skip
    for count in crowds:
        table.append(
            Row(f"idle peer, one of {count}", f"idle peer {count}", "KiB", kibibytes, aim=100.0)
        )
    return table


def figures(samples: Samples, table: Sequence[Row]) -> list[Figure]:
    """Return the figures of all measured lines."""
    return [figure(samples, row) for row in table if row.key in samples]


def figure(samples: Samples, row: Row) -> Figure:
    """Return the figure of one line."""
    measured = samples[row.key]
    value = row.convert(statistics.median(measured))
    ratio = None
    is_compared = bool(row.limits) and all(key in samples for key in row.limits)
    if is_compared:
        # Of several limits the slowest counts.
        limits = [max(times) for times in zip(*(samples[key] for key in row.limits), strict=True)]
        pairs = zip(limits, measured, strict=True)
        ratio = statistics.median(limit / time for limit, time in pairs)
    ok = None
    if row.aim is not None and (is_compared or not row.limits):
        ok = value <= row.aim if ratio is None else ratio >= row.aim
    converted = [row.convert(sample) for sample in measured]
    return Figure(row.name.strip(), value, row.unit, ratio, row.aim, ok, converted)


def table_text(shown: Sequence[Figure], names: Sequence[str]) -> str:
    """Return the table as text for a fixed-width font."""
    lines = [f"{'workload':34}{'figure':>12}  {'unit':14}{'ratio':>6}  {'aim':8}ok"]
    for one, name in zip(shown, names, strict=True):
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        aim = ""
        if one.aim is not None:
            is_ratio = one.ratio is not None or one.ok is None
            aim = f"{'>=' if is_ratio else '<='} {one.aim:g}"
        ok = {None: "", True: "yes", False: "NO"}[one.ok]
        number = f"{one.figure:,.0f}" if one.figure >= 100 else f"{one.figure:,.1f}"
        lines.append(f"{name:34}{number:>12}  {one.unit:14}{ratio:>6}  {aim:8}{ok}".rstrip())
    return "\n".join(lines)


def document(shown: Sequence[Figure], samples: Samples) -> dict[str, Any]:
    """Return the JSON document: figures, samples, versions and machine."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.platform(),
        "cpu": cpu_model(),
        "p2p": p2p.__version__,
        "crypto_backend": BACKEND,
        "secp256k1_backend": SECP256K1_BACKEND,
        "libraries": {name: version_of(name) for name in LIBRARIES},
        "figures": [asdict(one) for one in shown],
        "samples": {key: list(values) for key, values in samples.items()},
    }


def version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def cpu_model() -> str:
    """Return the number and the name of the processors, if the system has them."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()
