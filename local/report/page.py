"""The report as one HTML file: no script, no network, every picture inside it, everything escaped."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

STYLE = """
:root { color-scheme: light; --ink: #1a1a1a; --soft: #5b6470; --line: #d8dde3; --accent: #0072b2;
  --back: #f6f8fa; }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.55 system-ui, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif;
  color: var(--ink); background: #fff; }
main, header > div { max-width: 1160px; margin: 0 auto; padding: 0 20px; }
header { background: var(--back); border-bottom: 1px solid var(--line); padding: 28px 0 20px; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .3em; }
h2 { font-size: 1.25rem; margin: 2.2em 0 .6em; padding-bottom: .25em; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 1.6em 0 .4em; }
p { margin: .5em 0; max-width: 75ch; }
.soft, figcaption, .caption { color: var(--soft); font-size: .88rem; }
nav a { margin-right: 1.1em; white-space: nowrap; }
a { color: var(--accent); }
.scroll { overflow-x: auto; margin: .8em 0; }
table { border-collapse: collapse; font-size: .83rem; font-variant-numeric: tabular-nums; }
.caption { margin: 1.4em 0 0; }
.caption + .scroll { margin-top: .3em; }
th, td { padding: .32em .6em; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { border-bottom: 1.5px solid #8a94a0; font-weight: 600; vertical-align: bottom; }
th:first-child, td:first-child, .left { text-align: left; }
tr.quoted td { color: var(--soft); }
.paper { background: var(--back); }
figure { margin: 1.2em 0; }
img { display: block; max-width: 100%; height: auto; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); gap: 18px; }
.grid figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; padding: 10px; }
.caveat { border-left: 4px solid #d55e00; background: #fff6f0; padding: .5em .9em; margin: 1em 0;
  max-width: 80ch; }
pre { background: var(--back); border: 1px solid var(--line); border-radius: 6px; padding: .7em .9em;
  overflow-x: auto; font-size: .8rem; line-height: 1.45; }
details { margin: .5em 0; } summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2em 1em; font-size: .9rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
footer { margin: 3em 0 2em; color: var(--soft); font-size: .85rem; }
@media (max-width: 600px) { body { font-size: 15px; } h1 { font-size: 1.3rem; }
  main, header > div { padding: 0 14px; }
  dl { grid-template-columns: 1fr; } dt { margin-top: .4em; } }
@media print { header { background: none; } .scroll { overflow: visible; } details { break-inside: avoid; } }
"""


def picture(path: Path, caption: str, alt: str = "") -> str:
    """Return a figure with the PNG at ``path`` inside it."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    text = escape(alt or caption, quote=True)
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str = "",
    *,
    paper_from: int | None = None,
    quoted: Sequence[int] = (),
) -> str:
    """Return a table that scrolls sideways where the screen is narrow.

    Parameters
    ----------
    columns, rows : sequences of str
        Headings and cells, unescaped.
    caption : str
        Text above the table.
    paper_from : int, optional
        First column of the paper's figures, which are shaded.
    quoted : sequence of int
        Rows that are quoted and not measured.
    """

    def cell(tag: str, position: int, text: str) -> str:
        shade = ' class="paper"' if paper_from is not None and position >= paper_from else ""
        return f"<{tag}{shade}>{escape(text)}</{tag}>"

    lines = [paragraph(caption, "caption")] if caption else []
    label = f' aria-label="{escape(caption, quote=True)}"' if caption else ""
    lines.append(f'<div class="scroll"><table{label}>')
    head = "".join(cell("th", position, name) for position, name in enumerate(columns))
    lines.append(f"<thead><tr>{head}</tr></thead><tbody>")
    for number, row in enumerate(rows):
        mark = ' class="quoted"' if number in quoted else ""
        lines.append(
            f"<tr{mark}>{''.join(cell('td', position, text) for position, text in enumerate(row))}</tr>"
        )
    lines.append("</tbody></table></div>")
    return "\n".join(lines)


def definitions(pairs: Sequence[tuple[str, str]]) -> str:
    """Return a list of names and values."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f"<dl>{items}</dl>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph, of a class if one is given."""
    mark = f' class="{escape(kind, quote=True)}"' if kind else ""
    return f"<p{mark}>{escape(text)}</p>"


def listing(summary: str, text: str) -> str:
    """Return text that unfolds."""
    return f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>"


def section(anchor: str, title: str, *parts: str) -> str:
    """Return a part of the page that the navigation can point to."""
    body = "\n".join(part for part in parts if part)
    return f'<section id="{escape(anchor, quote=True)}"><h2>{escape(title)}</h2>\n{body}\n</section>'


def page(title: str, subtitle: str, sections: Sequence[tuple[str, str, str]], footer: str) -> str:
    """Return the whole page.

    Parameters
    ----------
    title, subtitle, footer : str
        Plain text.
    sections : sequence of (anchor, title, html)
        The body, as :func:`section` made it; titles go into the navigation.
    """
    links = "\n".join(
        f'<a href="#{escape(anchor, quote=True)}">{escape(name)}</a>' for anchor, name, _ in sections
    )
    body = "\n".join(html for _, _, html in sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header><div><h1>{escape(title)}</h1>{paragraph(subtitle, "soft")}<nav>{links}</nav></div></header>
<main>
{body}
<footer>{escape(footer)}</footer>
</main>
</body>
</html>
"""
