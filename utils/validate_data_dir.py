#!/usr/bin/env python3
"""Check a data directory and say what is wrong with it first; never changes anything.

Usage: validate_data_dir.py [options] <data-dir>
 e.g.: validate_data_dir.py --no-feats data/synth/train

Checked are the form of each table (sorted, unique, complete lines, LF), that all tables have the same
utterances, that spk2utt is the inverse of utt2spk, that every class of utt2genre is in genres.txt and
has a track, and that durations and frame counts are positive numbers. Exits with 1 and names the file,
line and counts if something is wrong.
"""

from collections.abc import Iterable
from pathlib import Path

from utils import cli, data_dir, tables
from utils.cli import UserError

REQUIRED = {"wav": ["wav.scp"], "feats": ["feats.scp"], "genre": ["utt2genre", "genres.txt"]}


def validate(folder: Path, required: Iterable[str]) -> int:
    """Check that what is ``required`` is there and right, or raise UserError; return how many utterances."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such directory")
    for name in ("utt2spk", "spk2utt", *(name for kind in required for name in REQUIRED[kind])):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: no such file")
    data = data_dir.read_data_dirs([folder])
    if not data.utts:
        raise UserError(f"{folder}/utt2spk: is empty")
    try:
        data_dir.check("frame_shift")(data.copied.get("frame_shift", "1").strip())
    except ValueError as error:
        raise UserError(f"{folder}/frame_shift:1: {error}") from error
    _check_speakers(folder / "spk2utt", data_dir.invert(data.tables["utt2spk"]))
    if "utt2genre" in data.tables and (folder / "genres.txt").is_file():
        _check_classes(folder, data.tables["utt2genre"])
    return len(data.utts)


def _check_speakers(path: Path, expected: dict[str, str]) -> None:
    found = {
        spk: " ".join(sorted(utts.split(), key=str.encode)) for spk, utts in tables.read_table(path).items()
    }
    if wrong := sorted(spk for spk in expected.keys() | found.keys() if expected.get(spk) != found.get(spk)):
        counts = [len(sides.get(wrong[0], "").split()) for sides in (expected, found)]
        raise UserError(
            f"{path}: not the inverse of utt2spk: '{wrong[0]}' has {counts[0]} utterances in utt2spk and"
            f" {counts[1]} here ({len(wrong)} speakers differ)"
        )


def _check_classes(folder: Path, utt2genre: dict[str, str]) -> None:
    classes = tables.read_classes(folder / "genres.txt")
    for utt, genre in utt2genre.items():
        if genre not in classes:
            raise UserError(f"{folder}/utt2genre: '{utt}' has class '{genre}', which is not in genres.txt")
    if lacking := [genre for genre in classes if genre not in utt2genre.values()]:
        raise UserError(f"{folder}/genres.txt: class '{lacking[0]}' has no track in utt2genre")


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
