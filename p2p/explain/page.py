"""The page of HTML for an explanation: one file, light and dark, for wide and narrow windows.

Pure. All text is escaped; the page has no script and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeAlias

#: Name, size, formula, value and note.
Row: TypeAlias = tuple[str, str, str, str, str]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #777; --back: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
dl { margin: 0; border-top: 1px solid var(--line); }
dl > div { border-bottom: 1px solid var(--line); padding: .5rem 0; }
dt { font-weight: 600; } dd { margin: 0; }
dt small { font-weight: 400; color: var(--soft); margin-left: .5rem; }
code { font: 14px/1.45 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
.formula { color: var(--soft); }
.value { display: block; background: var(--back); border-radius: 4px; padding: .25rem .5rem; }
.note { font-size: .9rem; color: var(--soft); }
"""


def page_of(title: str, sections: Iterable[tuple[str, str, Sequence[Row]]]) -> str:
    """Return the page; a section has a title, a text and rows."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f"<body><main><h1>{escape(title)}</h1>",
    ]
    for number, (heading, text, rows) in enumerate(sections, 1):
        parts.append(f"<section><h2>{number}. {escape(heading)}</h2><p>{escape(text)}</p><dl>")
        parts += [_row(row) for row in rows]
        parts.append("</dl></section>")
    return "\n".join([*parts, "</main></body></html>", ""])


def _row(row: Row) -> str:
    name, size, formula, value, note = (escape(part) for part in row)
    small = f"<small>{size}</small>" if size else ""
    parts = [f"<div><dt>{name}{small}</dt>"]
    if formula:
        parts.append(f'<dd class="formula"><code>= {formula}</code></dd>')
    parts.append(f'<dd><code class="value">{value}</code></dd>')
    if note:
        parts.append(f'<dd class="note">{note}</dd>')
    return "".join([*parts, "</div>"])
