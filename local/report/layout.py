"""Plain-text tables: columns as wide as their cells, groups of columns divided by a bar."""

from __future__ import annotations

from collections.abc import Sequence

BAR = "|"
"""A column of this name is a dividing line."""


def percent(value: float | None) -> str:
    """Return a percentage with two digits, or '-' where there is none."""
    return "-" if value is None else f"{value:.2f}"


def render(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lay out a table.

    Parameters
    ----------
    columns : sequence of str
        Headings; :data:`BAR` for a dividing line.
    rows : sequence of sequences of str
        Cells, one a column that is not a dividing line.
    left : int
        Number of columns, from the first, that are flush left; text in the last column is, too, if it
        is not a number.

    Returns
    -------
    list of str
        Lines without trailing blanks: headings, a rule, the rows.
    """
    names = [name for name in columns if name != BAR]
    widths = [max([len(names[c]), *(len(row[c]) for row in rows)]) for c in range(len(names))]
    flush = [
        c < left or any(len(row[c]) > 12 and row[c][:1].isalpha() for row in rows) for c in range(len(names))
    ]

    def line(cells: Sequence[str]) -> str:
        words, position = [], 0
        for name in columns:
            if name == BAR:
                words.append(BAR)
                continue
            width = widths[position]
            words.append(cells[position].ljust(width) if flush[position] else cells[position].rjust(width))
            position += 1
        return "  ".join(words).rstrip()

    head = line(names)
    longest = max(len(text) for text in [head, *(line(row) for row in rows)])
    return [head, "-" * longest, *(line(row) for row in rows)]
