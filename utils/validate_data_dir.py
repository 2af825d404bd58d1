#!/usr/bin/env python3
"""Check a data directory and say what is wrong with it; never changes anything.

Usage: validate_data_dir.py [options] <data-dir>
 e.g.: validate_data_dir.py --no-feats data/synth/train

Checked are the form of each table (sorted, unique, complete lines, LF), that all tables have the same
utterances, that spk2utt is the inverse of utt2spk, that every class of utt2genre is in genres.txt and
has a track, and that durations and frame counts are positive numbers. Exits with 1 and names the file,
line and counts if something is wrong.
"""

import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from utils import cli, data_dir
from utils.tables import Table, read_classes, scan

MAX_SHOWN = 10
REQUIRED = {
    "wav": ["wav.scp"],
    "feats": ["feats.scp"],
    "genre": ["utt2genre", "genres.txt"],
    "spk": ["utt2spk", "spk2utt"],
}
NUMBERS = {"utt2dur": (float, "number"), "frame_shift": (float, "number"), "utt2num_frames": (int, "integer")}


def validate(folder: Path, required: Iterable[str]) -> tuple[list[str], int]:
    """Check that what is ``required`` is there and right; return all problems, and how many utterances."""
    if not folder.is_dir():
        return [f"{folder}: no such directory"], 0
    names = [name for kind in required for name in REQUIRED[kind]]
    problems = [f"{folder / name}: no such file" for name in names if not (folder / name).is_file()]
    tables = {path.name: scan(path) for path in data_dir.utterance_tables(folder)}
    if not tables:
        return problems or [f"{folder}: holds no table"], 0
    reference = tables.get("utt2spk") or tables.get("utt2genre") or next(iter(tables.values()))
    for name, table in tables.items():
        problems += table.problems or ([] if table.entries else [f"{table.path}: is empty"])
        problems += _difference(reference, table)
        for utt, value in table.entries.items():
            if wrong := _complaint(name, value):
                problems.append(f"{table.where(utt)}: '{utt}': {wrong}")
    shift = folder / "frame_shift"
    if shift.is_file() and (wrong := _complaint("frame_shift", shift.read_text(errors="replace").strip())):
        problems.append(f"{shift}:1: {wrong}")
    problems += _speakers(folder / "spk2utt", tables)
    problems += _classes(folder / "genres.txt", tables.get("utt2genre"))
    return problems, len(reference.entries)


def _difference(one: Table, other: Table) -> Iterator[str]:
    """Describe the first key that only one of two tables has, with both counts."""
    if missing := sorted(one.entries.keys() ^ other.entries.keys(), key=str.encode):
        has, lacks = (one, other) if missing[0] in one.entries else (other, one)
        counts = ", ".join(f"{len(table.entries)} in {Path(table.path).name}" for table in (one, other))
        where = has.where(missing[0])
        yield f"{where}: '{missing[0]}' is not in {lacks.path} ({counts}, {len(missing)} in one only)"


def _complaint(name: str, value: str) -> str:
    """Say what is wrong with a value in the table of this name; empty if nothing is."""
    if name in NUMBERS:
        parse, kind = NUMBERS[name]
        try:
            wrong = not 0 < parse(value) < math.inf
        except ValueError:
            wrong = True
        return f"expected a positive {kind}, got '{value}'" if wrong else ""
    several = name in ("utt2spk", "utt2genre") and len(value.split()) != 1
    return f"expected one word, got '{value}'" if several else ""


def _speakers(path: Path, tables: dict[str, Table]) -> Iterator[str]:
    """Compare spk2utt with the inverse of utt2spk."""
    table = scan(path) if path.is_file() else Table(path)
    yield from table.problems
    if table.problems or not table.entries or "utt2spk" not in tables:
        return
    expected = data_dir.invert(tables["utt2spk"].entries)
    found = {spk: " ".join(sorted(utts.split(), key=str.encode)) for spk, utts in table.entries.items()}
    if wrong := sorted(spk for spk in expected.keys() | found.keys() if expected.get(spk) != found.get(spk)):
        where = table.where(wrong[0]) if wrong[0] in found else str(path)
        counts = [len(sides.get(wrong[0], "").split()) for sides in (expected, found)]
        yield (
            f"{where}: not the inverse of utt2spk: '{wrong[0]}' has {counts[0]} utterances in utt2spk and"
            f" {counts[1]} here ({len(wrong)} speakers differ)"
        )


def _classes(path: Path, utt2genre: Table | None) -> Iterator[str]:
    """Compare genres.txt with the classes of the utterances."""
    if utt2genre is None or not path.is_file():
        return
    try:
        classes = read_classes(path)
    except cli.UserError as error:
        yield str(error)
        return
    for utt, genre in utt2genre.entries.items():
        if genre not in classes:
            yield f"{utt2genre.where(utt)}: '{utt}' has class '{genre}', which is not in {path}"
    for genre in classes:
        if genre not in utt2genre.entries.values():
            yield f"{path}: class '{genre}' has no track in {utt2genre.path}"


def main(argv: list[str] | None = None) -> int:
    """Check the directory; return 0 if nothing is wrong, else 1."""
    parser = cli.KaldiParser.of(__doc__)
    for kind, names in REQUIRED.items():
        text = f"{' and '.join(names)} may be absent"
        parser.add_argument(f"--no-{kind}", dest=kind, action="store_false", help=text)
    args = parser.parse_args(argv)
    problems, num_utts = validate(args.data_dir, [kind for kind in REQUIRED if getattr(args, kind)])
    for problem in problems[:MAX_SHOWN]:
        print(f"ERROR ({cli.PROGRAM}) {problem}", file=sys.stderr)
    if len(problems) > MAX_SHOWN:
        print(f"ERROR ({cli.PROGRAM}) … and {len(problems) - MAX_SHOWN} more", file=sys.stderr)
    if not problems:
        cli.log(f"validated {args.data_dir}: {num_utts} utterances")
    return 1 if problems else 0


if __name__ == "__main__":
    cli.run(main)
