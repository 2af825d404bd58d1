#!/usr/bin/env python3
"""Check a data directory and say what is wrong with it first; never changes anything.

Usage: validate_data_dir.py [options] <data-dir>
 e.g.: validate_data_dir.py --no-feats data/synth/train

Checked are the form of each table (sorted, unique, complete lines, LF), that all tables have the same
utterances, that spk2utt is the inverse of utt2spk, that every class of utt2genre is in genres.txt and
has a track, and that durations and frame counts are positive numbers.
"""

from collections.abc import Iterable
from pathlib import Path

from utils import cli, data_dir, tables
from utils.cli import UserError

REQUIRED = {"wav": ["wav.scp"], "feats": ["feats.scp"], "genre": ["utt2genre", "genres.txt"]}


def validate(folder: Path, required: Iterable[str]) -> int:
    """Check that what is ``required`` is there and right, or raise UserError; return how many utterances."""
    for name in ("utt2spk", "spk2utt", *(name for kind in required for name in REQUIRED[kind])):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: no such file")
    data = data_dir.read_data_dirs([folder])
    if not data.utts:
        raise UserError(f"{folder}/utt2spk: is empty")
    try:
        data_dir.check("frame_shift", data.copied.get("frame_shift", "1").strip())
    except ValueError as error:
        raise UserError(f"{folder}/frame_shift:1: {error}") from error
    expected, found = data_dir.invert(data.tables["utt2spk"]), tables.read_table(folder / "spk2utt")
    for spk in sorted(expected.keys() | found.keys()):
        utts = [sides.get(spk, "").split() for sides in (expected, found)]
        if utts[0] != sorted(utts[1], key=str.encode):
            counts = f"'{spk}' has {len(utts[0])} utterances in utt2spk and {len(utts[1])} here"
            raise UserError(f"{folder}/spk2utt: not the inverse of utt2spk: {counts}")
    if "utt2genre" in data.tables and (folder / "genres.txt").is_file():
        classes, utt2genre = tables.read_classes(folder / "genres.txt"), data.tables["utt2genre"]
        for utt, genre in utt2genre.items():
            if genre not in classes:
                raise UserError(f"{folder}/utt2genre: '{utt}' has class '{genre}', not in genres.txt")
        if lacking := [genre for genre in classes if genre not in utt2genre.values()]:
            raise UserError(f"{folder}/genres.txt: class '{lacking[0]}' has no track in utt2genre")
    return len(data.utts)


def main(argv: list[str] | None = None) -> int:
    """Check the directory."""
    parser = cli.KaldiParser.of(__doc__)
    for kind, names in REQUIRED.items():
        text = f"{' and '.join(names)} may be absent"
        parser.add_argument(f"--no-{kind}", dest=kind, action="store_false", help=text)
    args = parser.parse_args(argv)
    count = validate(args.data_dir, [kind for kind in REQUIRED if getattr(args, kind)])
    cli.log(f"validated {args.data_dir}: {count} utterances")
    return 0


if __name__ == "__main__":
    cli.run(main)
