"""Kaldi data directories as values: read a table with every complaint about it, write it sorted.

A data directory holds tables with one line a key, ``<key> <value>``, in C order:

======================  =========  =====================================================
wav.scp wav22k.scp      utterance  recording: as it came; 22 050 Hz, 16 bit, mono
feats.scp labels.scp    utterance  features; frame labels
utt2spk utt2genre       utterance  artist; class
utt2dur utt2num_frames  utterance  seconds; frames
spk2utt                 artist     its utterances
genres.txt              —          one class a line, in the order of the network's outputs
frame_shift             —          seconds between frames
======================  =========  =====================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from utils import atomic

T = TypeVar("T")

PLAIN_FILES = ("genres.txt", "frame_shift", "cmvn_opts")
NOT_TABLES = (*PLAIN_FILES, "spk2utt")


@dataclass
class Table:
    """One file of a data directory.

    Attributes
    ----------
    path : Path
        The file.
    entries : dict of str to str
        Value of each key, in the file's order; of a repeated key, the first.
    lines : dict of str to int
        Line number of each key, counted from 1.
    problems : list of str
        What is wrong with the file, each with its line.
    """

    path: Path
    entries: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def where(self, key: str) -> str:
        """Return ``file:line`` of a key."""
        return f"{self.path}:{self.lines[key]}"


def read(path: Path) -> Table:
    """Read a table and collect everything that is wrong with its form; raises OSError only."""
    table = Table(path)
    data = path.read_bytes()
    if not data:
        table.problems.append(f"{path}: is empty")
    elif not data.endswith(b"\n"):
        table.problems.append(f"{path}: the last line does not end (the file may have been cut short)")
    previous = b""
    for number, line in enumerate(data.split(b"\n")[: None if not data.endswith(b"\n") else -1], start=1):
        problem = _take_line(table, number, line, previous)
        if problem:
            table.problems.append(f"{path}:{number}: {problem}")
        previous = line.split(maxsplit=1)[0] if line.split() else previous
    return table


def _take_line(table: Table, number: int, raw: bytes, previous: bytes) -> str | None:
    """Put one line into ``table``; return what is wrong with it."""
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError:
        return f"is not UTF-8: {raw[:80]!r}"
    if any(ord(c) < 32 and c not in "\t\r" for c in line):
        return f"holds a control character: {line[:80]!r}"
    carriage = line.endswith("\r")
    key, _, value = line.strip().replace("\t", " ", 1).partition(" ")
    value = value.strip()
    if not key:
        return "is empty"
    if key in table.entries:
        return f"repeats the key '{key}' of line {table.lines[key]}"
    if not value:
        return f"has the key '{key}' but no value"
    table.entries[key], table.lines[key] = value, number
    if carriage:
        return "ends with CR LF; expected LF"
    if line[0].isspace():
        return "begins with a blank"
    if key.encode() < previous:
        shown = previous.decode(errors="replace")
        return f"'{key}' comes after '{shown}', but keys must be in C order (LC_ALL=C sort)"
    return None


def tables(folder: Path) -> list[Path]:
    """Return the files of a data directory that have one line an utterance, by name."""
    known = ("wav.scp", "wav22k.scp", "feats.scp", "labels.scp", "text")
    found = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name not in NOT_TABLES]
    return [path for path in found if path.name in known or path.name.startswith("utt2")]


def invert(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """Turn utt2spk into spk2utt: utterances of each speaker, both in C order."""
    speakers: dict[str, list[str]] = {}
    for utt in sorted(utt2spk, key=str.encode):
        speakers.setdefault(utt2spk[utt], []).append(utt)
    return {spk: " ".join(speakers[spk]) for spk in sorted(speakers, key=str.encode)}


def write(path: Path, entries: Mapping[str, str]) -> None:
    """Write a table in C order; the file appears whole or not at all."""
    with atomic.replacing(path, mode="w") as stream:
        for key in sorted(entries, key=str.encode):
            stream.write(f"{key} {entries[key]}\n")


def split_evenly(items: list[T], parts: int) -> list[list[T]]:
    """Cut a list into contiguous parts whose sizes differ by one at most, the larger ones first."""
    size, larger = divmod(len(items), parts)
    starts = [part * size + min(part, larger) for part in range(parts + 1)]
    return [items[begin:end] for begin, end in zip(starts, starts[1:], strict=False)]


def first_difference(one: Table, other: Table) -> str | None:
    """Describe the first key that only one of two tables has, with both counts; None if the keys agree."""
    missing = sorted(one.entries.keys() ^ other.entries.keys(), key=str.encode)
    if not missing:
        return None
    has, lacks = (one, other) if missing[0] in one.entries else (other, one)
    return (
        f"{has.where(missing[0])}: '{missing[0]}' is not in {lacks.path}"
        f" ({len(one.entries)} keys in {one.path.name}, {len(other.entries)} in {other.path.name},"
        f" {len(missing)} in one only)"
    )


def bad_numbers(table: Table, *, integer: bool) -> Iterable[str]:
    """Yield a complaint for each value that is not a positive number (of frames, of seconds)."""
    for key, value in table.entries.items():
        try:
            number = int(value) if integer else float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            kind = "a positive integer" if integer else "a positive number"
            yield f"{table.where(key)}: '{key}': expected {kind}, got '{value}'"
