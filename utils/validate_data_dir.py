#!/usr/bin/env python3
"""Check a data directory and say what is wrong with it; never changes anything.

Usage: validate_data_dir.py [options] <data-dir>
 e.g.: validate_data_dir.py --no-feats data/synth/train

Checked are the form of each table (sorted, unique, complete lines, LF), that all tables have the same
utterances, that spk2utt is the inverse of utt2spk, that every class of utt2genre is in genres.txt and
has a track, and that durations and frame counts are positive numbers. Exits with 1 and names the file,
line and counts if something is wrong.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from pathlib import Path

from utils import cli, data_dir, segments
from utils import tables as text_tables
from utils.tables import Table

MAX_SHOWN = 10
SCP_FILES = ("wav.scp", "wav22k.scp", "feats.scp", "labels.scp")


def required(*, wav: bool = True, feats: bool = True, genre: bool = True, spk: bool = True) -> list[str]:
    """Return the names of the files that must be there."""
    names = ["wav.scp"] * wav + ["feats.scp"] * feats
    return names + ["utt2genre", "genres.txt"] * genre + ["utt2spk", "spk2utt"] * spk


def validate(
    folder: Path, names: list[str], *, missing_classes: bool = False, pipes: bool = False
) -> tuple[list[str], int]:
    """Check a data directory in which ``names`` must be; return all problems, and the number of utterances.

    With ``missing_classes`` a class of genres.txt may have no utterance, with ``pipes`` scp files may hold
    commands.
    """
    if not folder.is_dir():
        return [f"{folder}: no such directory"], 0
    problems = [f"{folder / name}: no such file" for name in names if not (folder / name).is_file()]
    tables = {path.name: text_tables.scan(path) for path in data_dir.utterance_tables(folder)}
    for table in tables.values():
        problems += table.problems or ([] if table.entries else [f"{table.path}: is empty"])
    if not tables:
        return problems or [f"{folder}: holds no table"], 0
    reference = next((tables[name] for name in ("utt2spk", "utt2genre") if name in tables), None)
    reference = reference or next(iter(tables.values()))
    for table in tables.values():
        problems += _first_difference(reference, table)
    problems += _check_speakers(folder, tables) + _check_values(folder, tables, pipes=pipes)
    if (folder / "genres.txt").is_file():
        problems += _check_classes(folder / "genres.txt", tables.get("utt2genre"), missing_classes)
    return problems, len(reference.entries)


def _first_difference(one: Table, other: Table) -> list[str]:
    """Describe the first key that only one of two tables has, with both counts."""
    missing = sorted(one.entries.keys() ^ other.entries.keys(), key=str.encode)
    if not missing:
        return []
    has, lacks = (one, other) if missing[0] in one.entries else (other, one)
    counts = ", ".join(f"{len(table.entries)} in {Path(table.path).name}" for table in (one, other))
    where = has.where(missing[0])
    return [f"{where}: '{missing[0]}' is not in {lacks.path} ({counts}, {len(missing)} in one only)"]


def _bad_numbers(table: Table, *, integer: bool) -> Iterable[str]:
    """Yield a complaint for each value that is not a positive number (of frames, of seconds)."""
    for key, value in table.entries.items():
        try:
            number = int(value) if integer else float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            kind = "a positive integer" if integer else "a positive number"
            yield f"{table.where(key)}: '{key}': expected {kind}, got '{value}'"


def _check_speakers(folder: Path, tables: dict[str, Table]) -> list[str]:
    path = folder / "spk2utt"
    if not path.is_file():
        return []
    table = text_tables.scan(path)
    if table.problems or "utt2spk" not in tables:
        return table.problems
    expected = data_dir.invert(tables["utt2spk"].entries)
    found = {spk: " ".join(sorted(utts.split(), key=str.encode)) for spk, utts in table.entries.items()}
    wrong = sorted({spk for spk in expected.keys() | found.keys() if expected.get(spk) != found.get(spk)})
    if not wrong:
        return []
    where = table.where(wrong[0]) if wrong[0] in found else str(path)
    counts = [len(sides.get(wrong[0], "").split()) for sides in (expected, found)]
    return [
        f"{where}: not the inverse of utt2spk: '{wrong[0]}' has {counts[0]} utterances in utt2spk and"
        f" {counts[1]} here ({len(expected)} and {len(found)} speakers, {len(wrong)} differ)"
    ]


def _check_classes(path: Path, utt2genre: Table | None, missing_classes: bool) -> list[str]:
    try:
        classes = text_tables.read_classes(path)
    except cli.UserError as error:
        return [str(error)]
    if utt2genre is None:
        return []
    wrong = [
        f"{utt2genre.where(utt)}: '{utt}' has class '{genre}', which is not in {path}"
        for utt, genre in utt2genre.entries.items()
        if genre not in classes
    ]
    used = set(utt2genre.entries.values())
    if not missing_classes:
        wrong += [f"{path}: class '{c}' has no track in {utt2genre.path}" for c in classes if c not in used]
    return wrong


def _check_segments(folder: Path, table: Table) -> Iterable[str]:
    """Yield a complaint for each segment that is none, or of a recording that is not there."""
    wav_scp = folder / "wav.scp"
    recordings = text_tables.scan(wav_scp) if wav_scp.is_file() else None
    yield from recordings.problems if recordings else ()
    for utt, value in table.entries.items():
        try:
            recording = segments.parse(value).recording
        except ValueError as error:
            yield f"{table.where(utt)}: '{utt}': {error}"
            continue
        if recordings and recording not in recordings.entries:
            yield f"{table.where(utt)}: '{utt}': the recording '{recording}' is not in {wav_scp}"


def _check_values(folder: Path, tables: dict[str, Table], *, pipes: bool) -> list[str]:
    wrong: list[str] = []
    for name, integer in (("utt2dur", False), ("utt2num_frames", True)):
        if name in tables:
            wrong += _bad_numbers(tables[name], integer=integer)
    for name in SCP_FILES:
        for utt, value in tables[name].entries.items() if name in tables and not pipes else ():
            if value.endswith("|"):
                where = tables[name].where(utt)
                wrong.append(f"{where}: '{utt}' is a command, not a file; see --allow-pipes")
    for name in ("utt2spk", "utt2genre"):
        for utt, value in tables[name].entries.items() if name in tables else ():
            if len(value.split()) != 1:
                wrong.append(f"{tables[name].where(utt)}: '{utt}': expected one word, got '{value}'")
    if "segments" in tables:
        wrong += _check_segments(folder, tables["segments"])
    shift = folder / "frame_shift"
    if shift.is_file():
        table = Table(shift, {"frame_shift": shift.read_text(errors="replace").strip()}, {"frame_shift": 1})
        wrong += _bad_numbers(table, integer=False)
    return wrong


def get_parser() -> cli.KaldiParser:
    """Return the command line's parser."""
    parser = cli.KaldiParser(usage="validate_data_dir.py [options] <data-dir>", description=__doc__)
    tables = {"wav": "wav.scp", "feats": "feats.scp", "genre": "utt2genre", "spk": "utt2spk"}
    for name, what in tables.items():
        parser.add_argument(f"--no-{name}", dest=name, action="store_false", help=f"{what} may be absent")
    parser.add_argument("--allow-missing-classes", action="store_true", help="a class may have no track")
    parser.add_argument("--allow-pipes", action="store_true", help="scp lines may be commands")
    parser.add_argument("data_dir", type=Path)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Check the directory; return 0 if nothing is wrong, else 1."""
    args = get_parser().parse_args(argv)
    names = required(wav=args.wav, feats=args.feats, genre=args.genre, spk=args.spk)
    problems, num_utts = validate(
        args.data_dir, names, missing_classes=args.allow_missing_classes, pipes=args.allow_pipes
    )
    for problem in problems[:MAX_SHOWN]:
        print(f"ERROR ({cli.PROGRAM}) {problem}", file=sys.stderr)
    if len(problems) > MAX_SHOWN:
        print(f"ERROR ({cli.PROGRAM}) … and {len(problems) - MAX_SHOWN} more", file=sys.stderr)
    if problems:
        return 1
    cli.log(f"validated {args.data_dir}: {num_utts} utterances")
    return 0


if __name__ == "__main__":
    cli.run(main)
