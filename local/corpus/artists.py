"""Where the artist of a recording comes from: a pattern on its path, a table, or the file's own tags."""

from __future__ import annotations

import re
from pathlib import Path

import soundfile

from steps.audio import ffmpeg
from utils import tables
from utils.cli import UserError


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a regular expression with the group ``artist``.

    Raises
    ------
    UserError
        If it is no regular expression or has no such group.
    """
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
    """Return the artist that the pattern finds in a path relative to the corpus.

    Raises
    ------
    UserError
        If it finds none.
    """
    match = pattern.search(place)
    if match is None or not match["artist"]:
        raise UserError(f"{place}: --artist-pattern '{pattern.pattern}' finds no artist; widen the pattern")
    return match["artist"]


def from_tags(path: str | Path) -> str:
    """Return the artist in a file's tags (ID3, Vorbis comments, RIFF INFO), empty if there is none.

    Tags of what libsndfile does not open (m4a, wma …) are read by ffprobe, if it is there.
    """
    try:
        with soundfile.SoundFile(str(path)) as sound:
            return sound.artist.strip()
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        return ffmpeg.artist_tag(str(path))


def read_csv(path: str | Path) -> dict[str, dict[str, str]]:
    """Read a table of tracks: a header with at least ``path``, then one track a line.

    Returns
    -------
    dict of str to dict
        For each path (relative to the corpus) the other columns, of which ``artist``, ``genre`` and
        ``split`` are used.

    Raises
    ------
    UserError
        With ``path:line`` for a wrong number of columns, an empty or a repeated path.
    """
    rows = tables.csv_rows(path, tables.read_text(path, "the table of tracks").removeprefix("\ufeff"))
    _, header = next(rows, (1, []))
    if "path" not in header or len(set(header)) != len(header):
        raise UserError(f"{path}:1: expected a header with 'path' and others, got '{','.join(header)}'")
    table: dict[str, dict[str, str]] = {}
    for line, row in rows:
        where = f"{path}:{line}"
        if not row:
            continue
        if len(row) != len(header):
            raise UserError(f"{where}: expected {len(header)} columns, got {len(row)}")
        columns = dict(zip(header, row, strict=True))
        place = columns.pop("path").removeprefix("./")
        if not place or place in table:
            raise UserError(f"{where}: path '{place}' is {'empty' if not place else 'there twice'}")
        table[place] = columns
    return table
