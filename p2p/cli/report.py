"""The report of a command as a page: one HTML file that needs no other, with charts as SVG.

Pure. A :class:`Chart` has bars, a :class:`Curves` lines over time. All texts are escaped. The page
follows the colours of the system, light or dark, and the width of the window: a chart is as wide as
a narrow one, several stand side by side in a wide one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

#: Sizes of a chart, of a row and its bar, in units of its drawing: about a CSS pixel in a narrow
#: window.
WIDTH, ROW, BAR = 320, 34, 8
#: Sizes of curves: height, and the margins.
HEIGHT, LEFT, EDGE = 200, 36, 20

_STYLE = """
:root { color-scheme: light dark; --page: #f6f8fa; --card: #fff; --text: #1f2328; --dim: #59636e;
  --line: #d1d9e0; --bar: #0969da; --back: #eaeef2; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --card: #151b23; --text: #e6edf3;
  --dim: #9198a1; --line: #3d444d; --bar: #4493f8; --back: #262c36; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 20px 16px; max-width: 1640px; background: var(--page);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 16px; margin: 0; }
p { margin: 4px 0 16px; color: var(--dim); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); gap: 12px;
  margin: 0 0 16px; }
dl div, figure { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 14px; margin: 0; min-width: 0; }
dt { color: var(--dim); font-size: 13px; } dd { margin: 0; font-size: 22px; font-weight: 600; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr));
  gap: 12px; align-items: start; }
figcaption { margin-bottom: 8px; } figcaption span { color: var(--dim); font-size: 13px; }
svg { width: 100%; height: auto; display: block; font: 13px system-ui, sans-serif; }
svg text { fill: var(--text); } svg .number { fill: var(--dim); text-anchor: end; }
svg .back { fill: var(--back); } svg .bar { fill: var(--bar); }
svg .curve { fill: none; stroke: var(--bar); stroke-width: 1.5; opacity: .7; }
svg .grid { stroke: var(--line); }
"""


@dataclass(frozen=True)
class Chart:
    """Rows of a label and a number; ``note`` explains them.

    ``of`` is the number that all shares are of; 0: the sum of the rows.
    """

    title: str
    rows: Sequence[tuple[str, int]]
    note: str = ""
    of: int = 0

    @property
    def total(self) -> int:
        """The number that is 100 %."""
        return self.of or sum(number for _, number in self.rows)


@dataclass(frozen=True)
class Curves:
    """Steps over time: a name and points ``(seconds, value)`` for each curve, values up to ``top``.

    The points of a curve are in order of time; ``note`` explains them.
    """

    title: str
    curves: Sequence[tuple[str, Sequence[tuple[float, float]]]]
    top: float
    note: str = ""


def page(
    title: str, subtitle: str, totals: Mapping[str, object], charts: Sequence[Chart | Curves]
) -> str:
    """Return the page: a title, some totals, and the charts."""
    tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>"
        for name, value in totals.items()
    )
    figures = "\n".join(map(figure, charts))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(subtitle)}</p>
<dl>{tiles}</dl>
<main>
{figures}
</main>
</body>
</html>
"""


def figure(chart: Chart | Curves) -> str:
    """Return a chart with its title and note."""
    drawing = _bars(chart) if isinstance(chart, Chart) else _curves(chart)
    note = f" <span>{escape(chart.note)}</span>" if chart.note else ""
    return (
        f"<figure><figcaption><h2>{escape(chart.title)}</h2>{note}</figcaption>{drawing}</figure>"
    )


def _bars(chart: Chart) -> str:
    """Return for each row its label, its number with the share, and a bar."""
    largest = max(number for _, number in chart.rows)
    height = len(chart.rows) * ROW
    rows = "".join(
        _row(label, number, chart.total, largest, place * ROW)
        for place, (label, number) in enumerate(chart.rows)
    )
    return _svg(chart.title, height, rows)


def _curves(chart: Curves) -> str:
    """Return the curves between axes: time from left to right, values from 0 up to the top."""
    end_s = max((points[-1][0] for _, points in chart.curves if points), default=0.0) or 1.0
    bottom, right = HEIGHT - EDGE, WIDTH - EDGE
    lines = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/>'
        for y in (EDGE, (EDGE + bottom) / 2, bottom)
    )
    labels = (
        f'<text class="number" x="{LEFT - 6}" y="{EDGE + 5}">{chart.top:g}</text>'
        f'<text class="number" x="{LEFT - 6}" y="{bottom + 5}">0</text>'
        f'<text class="number" x="{right}" y="{HEIGHT - 4}">{end_s:.3g} s</text>'
    )
    paths = "".join(_curve(*curve, end_s, chart.top) for curve in chart.curves)
    return _svg(chart.title, HEIGHT, lines + labels + paths)


def _curve(name: str, points: Sequence[tuple[float, float]], end_s: float, top: float) -> str:
    wide, high = WIDTH - EDGE - LEFT, HEIGHT - 2 * EDGE
    way = f"M{LEFT} {HEIGHT - EDGE}"
    for time_s, value in points:
        x, y = LEFT + wide * time_s / end_s, HEIGHT - EDGE - high * value / top
        way += f"H{x:.1f}V{y:.1f}"
    way += f"H{LEFT + wide}"
    return f'<path class="curve" d="{way}"><title>{escape(name)}</title></path>'


def _svg(title: str, height: int, parts: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{parts}</svg>'
    )


def _row(label: str, number: int, total: int, largest: int, top: int) -> str:
    width = max(1.0, WIDTH * number / largest)
    share = f"{100 * number / total:.1f} %"
    return (
        f'<text x="0" y="{top + 14}">{escape(label)}</text>'
        f'<text class="number" x="{WIDTH}" y="{top + 14}">{number} · {share}</text>'
        f'<rect class="back" x="0" y="{top + 19}" width="{WIDTH}" height="{BAR}" rx="2"/>'
        f'<rect class="bar" x="0" y="{top + 19}" width="{width:.1f}" height="{BAR}" rx="2"/>'
    )
