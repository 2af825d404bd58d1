#!/usr/bin/env python3
"""Split a data directory by utterances into <data-dir>/split<N>/{1,…,N}.

Usage: split_data.py <data-dir> <num-split>
 e.g.: split_data.py data/synth/train 4

Every table is split at the same utterances, into contiguous parts whose sizes differ by one at most;
genres.txt and frame_shift are copied. An old split<N> is replaced as a whole.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from utils import cli, data_dir


def split(folder: Path, parts: int) -> int:
    """Split a data directory into ``parts``; return its number of utterances."""
    paths = data_dir.tables(folder) if folder.is_dir() else []
    if not paths:
        raise cli.UserError(f"{folder}: expected a data directory with tables such as utt2spk, found none")
    tables = [data_dir.read(path) for path in paths]
    for table in tables:
        wrong = table.problems[0] if table.problems else data_dir.first_difference(tables[0], table)
        if wrong:
            raise cli.UserError(f"{wrong}; see utils/validate_data_dir.sh {folder}")
    utts = list(tables[0].entries)
    if len(utts) < parts:
        raise cli.UserError(
            f"{folder}: cannot split {len(utts)} utterances into {parts} parts; use --nj {len(utts)}"
        )
    target = folder / f"split{parts}"
    temporary = folder / f".split{parts}.{os.getpid()}"
    try:
        for number, part in enumerate(data_dir.split_evenly(utts, parts), start=1):
            _write_part(temporary / str(number), folder, tables, part)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(utts)


def _write_part(part_dir: Path, folder: Path, tables: list[data_dir.Table], part: list[str]) -> None:
    part_dir.mkdir(parents=True)
    for table in tables:
        data_dir.write(part_dir / table.path.name, {utt: table.entries[utt] for utt in part})
        if table.path.name == "utt2spk":
            utt2spk = {utt: table.entries[utt] for utt in part}
            data_dir.write(part_dir / "spk2utt", data_dir.invert(utt2spk))
    for name in data_dir.PLAIN_FILES:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, part_dir / name)


def get_parser() -> cli.KaldiParser:
    """Return the command line's parser."""
    parser = cli.KaldiParser(usage="split_data.py <data-dir> <num-split>", description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("num_split", type=cli.positive_int)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Split the directory."""
    args = get_parser().parse_args(argv)
    num_utts = split(args.data_dir, args.num_split)
    cli.log(f"split {num_utts} utterances of {args.data_dir} into {args.num_split} parts")
    return 0


if __name__ == "__main__":
    cli.run(main)
