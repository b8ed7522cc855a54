"""The RLP codec beside the ``rlp`` package: ``python -m benchmarks.rlp``.

Common shapes are decoded and encoded by both, in turns of some milliseconds, so that other load of
the machine affects both. Times are of the processor, the figures medians over the turns, and a
ratio is the median of the ratios of each pair of turns. The package is used in its fastest way:
with the sedes that gives the same types for several of them, bare for byte strings.

Then there are payloads as only a hostile peer sends them, up to the largest message: the time until
they are refused or decoded, and the peak of memory. The package has no limits; it is timed on 1/64
of such a payload, and its figure is 64 times that time.
"""

from __future__ import annotations

import argparse
import statistics
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import thread_time
from typing import Any

import rlp
from rlp.sedes import List, big_endian_int, binary, text

from p2p.codec import MAX_ITEMS, decode, encode, encode_list
from p2p.errors import DecodeError

#: Smallest acceptable ratio of the package's time to ours, and longest time for hostile payloads.
AIM_RATIO = 3.0
AIM_HOSTILE_S = 0.3
#: Length of a turn, short enough for many turns under the same load of the machine.
TURN_S = 0.004
TURNS = 200
LARGEST = 2**24 - 1
#: The part of a hostile payload that the package is timed with.
SHARE = 64

Call = Callable[[], object]


@dataclass
class Status:
    version: int
    network: str
    head: bytes
    number: int
    genesis: bytes


class SedesStatus(rlp.Serializable):  # type: ignore[misc]
    fields = [
        ("version", big_endian_int),
        ("network", text),
        ("head", binary),
        ("number", big_endian_int),
        ("genesis", binary),
    ]


@dataclass(frozen=True)
class Shape:
    """The same work as a call of ours and of the package."""

    name: str
    ours: Call
    package: Call


@dataclass(frozen=True)
class Beside:
    """Seconds for one call of ours and of the package, and their ratio."""

    name: str
    ours_s: float
    package_s: float
    ratio: float


@dataclass(frozen=True)
class Payload:
    """A hostile payload, made for a size in bytes, and the type for its decoding."""

    name: str
    make: Callable[[int], bytes]
    kind: object = None
    aim_s: float | None = AIM_HOSTILE_S


@dataclass(frozen=True)
class Hostile:
    """Cost of a payload: seconds, bytes at the peak, and the seconds of the package."""

    name: str
    aim_s: float | None
    outcome: str
    ours_s: float
    peak_bytes: int
    package_s: float


def shapes() -> list[Shape]:
    """Return the common shapes, for decoding and encoding."""
    fields = ("foo", 1, "bar", 100_000, "baz")
    kind, sedes = tuple[str, int, str, int, str], List([text, big_endian_int] * 2 + [text])
    hashes = [bytes([number]) * 32 for number in range(200)]
    values: tuple[Any, ...] = (1, "mainnet", bytes(range(32)), 17_000_000, bytes(range(32, 64)))
    mine, status = Status(*values), encode(Status(*values))
    fields_data, hashes_data = encode(fields), encode(hashes)
    return [
        Shape("decode a tuple of str and ints", lambda: decode(fields_data, kind),
              lambda: rlp.decode(fields_data, sedes)),
        Shape("decode 200 hashes", lambda: decode(hashes_data, list[bytes]),
              lambda: rlp.decode(hashes_data)),
        Shape("decode a dataclass of 5 fields", lambda: decode(status, Status),
              lambda: rlp.decode(status, SedesStatus)),
        Shape("encode a tuple of str and ints", lambda: encode(fields),
              lambda: rlp.encode(fields, sedes)),
        Shape("encode 200 hashes", lambda: encode(hashes),
              lambda: rlp.encode(hashes, infer_serializer=False)),
        # A Serializable keeps its encoding, so each turn needs a new one, as each message does.
        Shape("encode a dataclass of 5 fields", lambda: encode(mine),
              lambda: rlp.encode(SedesStatus(*values))),
    ]  # fmt: skip


def beside(shape: Shape, turns: int = TURNS, turn_s: float = TURN_S) -> Beside:
    """Measure a shape: ours and the package's in turn."""
    counts = [max(1, int(turn_s / seconds(call, 3))) for call in (shape.ours, shape.package)]
    pairs = [
        (seconds(shape.ours, counts[0]), seconds(shape.package, counts[1])) for _ in range(turns)
    ]
    ours, package = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(theirs / mine for mine, theirs in pairs)
    return Beside(shape.name, ours, package, ratio)


def seconds(call: Call, count: int) -> float:
    """Return the seconds of processor time for one of ``count`` calls."""
    start = thread_time()
    for _ in range(count):
        call()
    return (thread_time() - start) / count


def crowd(item: bytes, size: int) -> bytes:
    """Return a list of about ``size`` bytes of the same item."""
    return encode_list([item * ((size - 16) // len(item))])


def payloads() -> list[Payload]:
    """Return the hostile payloads."""
    return [
        Payload("empty lists", lambda size: crowd(b"\xc0", size)),
        Payload("one-byte strings", lambda size: crowd(b"\x01", size)),
        Payload("empty lists, as list[int]", lambda size: crowd(b"\xc0", size), list[int]),
        Payload("empty lists behind the last item, as tuple[str]",
                lambda size: encode_list([b"a", crowd(b"\xc0", size - 16)]), tuple[str]),
        Payload("one string, as int", lambda size: encode(bytes([1]) * (size - 16)), int),
        # All of these are delivered.
        Payload("32-byte strings, as list[bytes]",
                lambda size: crowd(b"\xa0" + bytes(range(32)), size), list[bytes], None),
        Payload("as many empty lists as may be",
                lambda size: crowd(b"\xc0", size * MAX_ITEMS // LARGEST), None, None),
        Payload("as many one-byte strings as may be",
                lambda size: crowd(b"\x01", size * MAX_ITEMS // LARGEST), None, None),
    ]  # fmt: skip


def hostile(payload: Payload, size: int = LARGEST, rounds: int = 7) -> Hostile:
    """Measure a payload: the median of some decodings, and the peak of one more."""
    data, share = payload.make(size), payload.make(size // SHARE)
    outcomes: list[str] = []

    def ours() -> None:
        try:
            decode(data, payload.kind)
        except DecodeError:
            outcomes.append("refused")
        else:
            outcomes.append("decoded")

    package_s = statistics.median(seconds(lambda: _package(share), 1) for _ in range(3))
    ours_s = statistics.median(seconds(ours, 1) for _ in range(rounds))
    tracemalloc.start()
    try:
        ours()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    package_s *= len(data) / len(share)
    return Hostile(payload.name, payload.aim_s, outcomes[0], ours_s, peak, package_s)


def _package(data: bytes) -> None:
    with suppress(rlp.DecodingError):
        rlp.decode(data)


def table(rows: Sequence[Beside], hostiles: Sequence[Hostile]) -> str:
    """Return the tables as text."""
    lines = [f"{'':<50}{'ours':>10}{'package':>12}{'ratio':>8}  aim"]
    lines += [
        f"{row.name:<50}{row.ours_s * 1e6:>7.2f} us{row.package_s * 1e6:>9.2f} us{row.ratio:>8.2f}"
        f"  >= {AIM_RATIO:g} {'yes' if row.ratio >= AIM_RATIO else 'NO'}"
        for row in rows
    ]
    lines += ["", f"{'payload':<50}{'ours':>10}{'package':>12}{'peak':>12}  outcome, aim"]
    return "\n".join(lines + [_line(row) for row in hostiles])


def _line(row: Hostile) -> str:
    times = f"{row.ours_s * 1e3:>7.2f} ms{row.package_s * 1e3:>9,.0f} ms"
    line = f"{row.name:<50}{times}{row.peak_bytes / 2**20:>8.2f} MiB  {row.outcome}"
    if row.aim_s is not None:
        line += f", <= {row.aim_s:g} s {'yes' if row.ours_s <= row.aim_s else 'NO'}"
    return line


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rlp", description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS, help=f"for each shape ({TURNS})")
    parser.add_argument("--size", type=int, default=LARGEST, metavar="BYTES",
                        help="of the hostile payloads")  # fmt: skip
    options = parser.parse_args(arguments)
    rows = [beside(shape, options.turns) for shape in shapes()]
    print(table(rows, [hostile(payload, options.size) for payload in payloads()]))


if __name__ == "__main__":
    main()
