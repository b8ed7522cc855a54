"""A drawing of a lookup as SVG: each hop, its distance from the target, and who named it.

Pure. From left to right is the order of the queries, from top to bottom the way to the target. The
file needs no other; it has the colours of a light and of a dark page.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

import p2p
from p2p.cli.discovery.walk import Hop
from p2p.cli.shown import address_of, milliseconds

#: Sizes in units of the drawing.
WIDTH, ROW, TOP, LEFT, RIGHT, BOTTOM = 960, 36, 70, 90, 40, 60
_RADIUS = 8

_STYLE = """
svg { font: 13px system-ui, sans-serif; background: #fff; }
text { fill: #24292f; } .dim { fill: #656d76; } .grid { stroke: #d8dee4; }
.way { stroke: #8c959f; fill: none; } .answered { fill: #1a7f37; } .failed { fill: #cf222e; }
.target { fill: #0969da; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; } text { fill: #e6edf3; } .dim { fill: #8d96a0; }
  .grid { stroke: #30363d; } .way { stroke: #6e7681; } .answered { fill: #3fb950; }
  .failed { fill: #f85149; } .target { fill: #58a6ff; }
}
"""


def draw(target: p2p.NodeID, hops: Sequence[Hop]) -> str:
    """Return the drawing of a lookup that is over."""
    rows = sorted({hop.distance for hop in hops}, reverse=True)
    y = {distance: TOP + number * ROW for number, distance in enumerate(rows)}
    bottom = TOP + len(rows) * ROW
    height = bottom + BOTTOM
    step = (WIDTH - LEFT - RIGHT) / max(1, len(hops))
    x = {hop.node.id: LEFT + (hop.number - 0.5) * step for hop in hops}
    at = {hop.node.id: (x[hop.node.id], y[hop.distance]) for hop in hops}
    answered = sum(not hop.error for hop in hops)
    title = f"Lookup of {target.short}: {len(hops)} nodes asked, {answered} have answered"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<style>{_STYLE}</style><title>{escape(title)}</title>",
        f'<text x="{LEFT}" y="26" font-size="16">{escape(title)}</text>',
        f'<text x="{LEFT}" y="46" class="dim">rows: distance from the target, in bits; '
        "left to right: order of the queries; lines: who named whom</text>",
        *(_row(distance, y[distance]) for distance in rows),
        *(_way(at[hop.named_by], at[hop.node.id]) for hop in hops if hop.named_by in at),
        *(_node(hop, *at[hop.node.id]) for hop in hops),
        f'<circle class="target" cx="{LEFT - 8}" cy="{bottom + 4}" r="{_RADIUS}"/>',
        f'<text x="{LEFT + 8}" y="{bottom + 9}">target {target.short}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _row(distance: int, y: float) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        f'<text class="dim" text-anchor="end" x="{LEFT - 12}" y="{y + 4}">{distance}</text>'
    )


def _way(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    middle = (x1 + x2) / 2
    path = f"M{x1:.1f} {y1:.1f} C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    return f'<path class="way" d="{path}"/>'


def _node(hop: Hop, x: float, y: float) -> str:
    kind = "failed" if hop.error else "answered"
    outcome = hop.error or f"{hop.named} nodes, {hop.new} new"
    text = f"{hop.number}. {hop.node.id.short} at {address_of(hop.node, udp=True)}, "
    text += f"distance {hop.distance}, {milliseconds(hop.seconds)}: {outcome}"
    return (
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{_RADIUS}">'
        f"<title>{escape(text)}</title></circle>"
        f'<text class="dim" text-anchor="middle" font-size="10" x="{x:.1f}" y="{y - 12:.1f}">'
        f"{hop.number}</text>"
    )
