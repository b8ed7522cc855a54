"""The live view of a node: a :class:`~p2p.cli.node.state.Snapshot` as a drawing for a terminal.

Pure. It fills the width and the height that it is given: long tables are cut, and say so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from p2p.cli.node.state import Event, PeerRow, Snapshot, TableRow

_BARS = "▁▂▃▄▅▆▇█"
#: Columns from which there is room for the capabilities of peers.
WIDE = 110
#: Lines besides the URL, the tables, the peers and the events: a rule, the address, the traffic,
#: two more rules, the foot and the cursor.
_FIXED_LINES = 7


def view(shot: Snapshot, width: int, height: int, prompt: str | None = None) -> RenderableType:
    """Return the drawing; ``prompt`` is the line being typed, None without a line to type."""
    url_lines = -(-len(shot.node.url) // width) - (-len(shot.page) // width)
    spare = max(height - _FIXED_LINES - url_lines - len(shot.tables), 4)
    peer_lines = min(len(shot.peers) + 1, max(spare // 2, 2))
    event_lines = max(spare - peer_lines, 1)
    record = f"record {shot.node.seq}"
    places = (f"listens on {shot.listen}", shot.outside, shot.lan, record)
    parts: list[RenderableType] = [
        _rule(f"{shot.name}, up {duration_text(shot.uptime_s)}"),
        Text(shot.node.url, overflow="fold"),
        Text(", ".join(filter(None, places))),
        *([Text(shot.page, overflow="fold")] if shot.page else []),
        _traffic(shot, width),
        *([_tables(shot.tables)] if shot.tables else []),
        _rule(f"peers: {len(shot.peers)} of at most {shot.max_peers}"),
        _peers(shot.peers, peer_lines, width >= WIDE),
        _rule("events"),
        _events(shot.events, event_lines),
        _foot(prompt),
    ]
    return Group(*parts)


def bytes_text(count: float) -> str:
    """Return a number of bytes, "1.5 MiB"."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def duration_text(seconds: float) -> str:
    """Return a duration in its two largest units, "2h05m"."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d{hour:02}h"
    if hours:
        return f"{hour}h{minute:02}m"
    return f"{minute}m{second:02}s" if minutes else f"{second}s"


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the last ``width`` values as bars of a height in proportion."""
    last = values[-width:]
    top = max(last, default=0.0) or 1.0
    return "".join(_BARS[min(int(value / top * len(_BARS)), len(_BARS) - 1)] for value in last)


def _traffic(shot: Snapshot, width: int) -> Table:
    grid = Table.grid(padding=(0, 2))
    room = max((width - 60) // 2, 6)
    cells = []
    for arrow, total, index in (("in ", shot.bytes_in, 0), ("out", shot.bytes_out, 1)):
        rates = [each[index] for each in shot.rates]
        now = rates[-1] if rates else 0.0
        cells.append(Text.assemble(
            (f"{arrow} ", "bold"), f"{bytes_text(now) + '/s':>11} ",
            (f"{sparkline(rates, room):>{room}}", "green" if index == 0 else "cyan"),
            f" {bytes_text(total)}",
        ))  # fmt: skip
    grid.add_row(*cells)
    return grid


def _tables(rows: Sequence[TableRow]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for _ in range(3):
        grid.add_column(no_wrap=True, overflow="ellipsis")
    for row in rows:
        grid.add_row(
            Text(f"discovery {row.protocol}", style="bold"),
            f"{row.nodes} nodes ({row.live} live) in {row.buckets} buckets",
            f"packets {row.packets_in} in, {row.packets_out} out, {row.dropped} dropped",
        )
    return grid


def _peers(rows: Sequence[PeerRow], lines: int, is_wide: bool) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, expand=True)
    for name, options in (
        ("node", {"no_wrap": True, "min_width": 8}),
        ("name", {"no_wrap": True, "ratio": 1, "overflow": "ellipsis"}),
        ("address", {"no_wrap": True}),
        ("", {"no_wrap": True}),
        ("for", {"justify": "right"}),
        ("in", {"justify": "right", "no_wrap": True}),
        ("out", {"justify": "right", "no_wrap": True}),
    ):
        table.add_column(name, **options)
    if is_wide:
        table.add_column("rate", justify="right", no_wrap=True)
        table.add_column("protocols", no_wrap=True, overflow="ellipsis", max_width=24)
    shown = rows if len(rows) < lines else rows[: max(lines - 2, 0)]
    for row in shown:
        cells = [row.id, row.name, row.address, "in" if row.inbound else "out"]
        cells += [
            duration_text(row.lifetime_s),
            bytes_text(row.bytes_in),
            bytes_text(row.bytes_out),
        ]
        wide = [f"{bytes_text(row.rate_in + row.rate_out)}/s", row.caps] if is_wide else []
        table.add_row(*map(Text, (*cells, *wide)))
    if len(shown) < len(rows):
        table.add_row(Text("…"), Text(f"{len(rows) - len(shown)} more", style="dim"))
    return table


def _events(events: Sequence[Event], lines: int) -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for event in events[-lines:]:
        grid.add_row(time.strftime("%H:%M:%S", time.localtime(event.time_unix)), Text(event.text))
    return grid


def _rule(title: str) -> Rule:
    return Rule(Text(title), align="left", style="dim")


def _foot(prompt: str | None) -> Text:
    if prompt is None:
        return Text("Ctrl-C ends the node", style="dim")
    return Text.assemble(("say> ", "bold"), prompt, ("▏", "dim"), overflow="ellipsis", no_wrap=True)
