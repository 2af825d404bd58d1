"""Where the artist of a recording comes from: a pattern on its path, or a table (or tags: steps/audio)."""

import difflib
import re
from pathlib import Path

from utils import tables
from utils.cli import UserError, log

COLUMNS = ("path", "artist", "genre", "split")
MEANT = {
    **dict.fromkeys(("subset", "set", "partition", "fold", "traintest", "dataset"), "split"),
    **dict.fromkeys(("class", "label", "style", "category", "tag"), "genre"),
    **dict.fromkeys(("performer", "band", "singer", "albumartist", "artistname", "speaker"), "artist"),
}
"""What others call these columns."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a regular expression with the group ``artist``; UserError if it is none."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"--artist-pattern '{pattern}': not a regular expression: {error}") from error
    if "artist" not in compiled.groupindex:
        raise UserError(
            f"--artist-pattern '{pattern}': no group named artist; e.g. '^[^/]+/(?P<artist>[^/]+)/' takes "
            "the folder below the class"
        )
    return compiled


def from_path(pattern: re.Pattern[str], place: str) -> str:
    """Return the artist that the pattern finds in a path relative to the corpus; UserError if none."""
    match = pattern.search(place)
    if match is None or not match["artist"]:
        raise UserError(f"{place}: --artist-pattern '{pattern.pattern}' finds no artist; widen the pattern")
    return match["artist"]


def _columns(path: str | Path, written: list[str]) -> list[str]:
    """Return a table's columns; refuse a name that is there twice or looks like one of ours but is not."""
    header = [name.strip().casefold() for name in written]
    if "path" not in header or len(set(header)) != len(header):
        raise UserError(f"{path}:1: expected a header with 'path' and others, got '{','.join(written)}'")
    unknown = [name for name in header if name not in COLUMNS]
    for name in unknown:
        close = [*difflib.get_close_matches(name, COLUMNS, 1, 0.75), ""][0]
        near = MEANT.get(name.replace("_", "").replace(" ", ""), close)
        if near and near not in header:
            raise UserError(f"{path}:1: unknown column '{name}': is it '{near}'? rename it, or take it out")
    if unknown:
        log(f"{path}: columns that are not used: {', '.join(unknown)}; known are {', '.join(COLUMNS)}")
    return header


def read_csv(path: str | Path) -> dict[str, dict[str, str]]:
    """Read a table of tracks by paths in the corpus; the case of columns does not count."""
    rows = tables.csv_rows(path, tables.read_text(path, "the table of tracks").removeprefix("\ufeff"))
    _, written = next(rows, (1, []))
    header = _columns(path, written)
    table: dict[str, dict[str, str]] = {}
    for line, row in rows:
        if not row:
            continue
        if len(row) != len(header):
            raise UserError(f"{path}:{line}: expected {len(header)} columns, got {len(row)}")
        columns = {name: value.strip(" \t") for name, value in zip(header, row, strict=True)}
        place = columns.pop("path").removeprefix("./")
        if not place or place in table:
            raise UserError(f"{path}:{line}: path '{place}' is {'empty' if not place else 'there twice'}")
        table[place] = columns
    return table
