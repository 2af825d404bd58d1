#!/usr/bin/env python3
"""Repair a data directory: sort its tables and keep only the utterances that all of them have.

Usage: fix_data_dir.py <data-dir>
 e.g.: fix_data_dir.py data/own/train

Lines that are repeated word for word are written once, lines without a value dropped, CR LF becomes LF;
spk2utt is made anew. The files as they were are kept in <data-dir>/.backup. A key that is repeated with
different values is an error: only the user knows which is right.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from utils import cli, data_dir, tables


def read_loosely(path: Path) -> dict[str, str]:
    """Read a table and forgive everything but two values for one key."""
    entries: dict[str, str] = {}
    for number, line in enumerate(tables.read_text(path).split("\n"), start=1):
        key, value = tables.split_line(line)
        if value and entries.setdefault(key, value) != value:
            raise cli.UserError(
                f"{path}:{number}: '{key}' has two values, '{entries[key]}' and '{value}';"
                " remove the wrong line"
            )
    return entries


def fix(folder: Path) -> tuple[int, int]:
    """Repair a data directory in place; return the number of utterances seen and kept."""
    paths = data_dir.utterance_tables(folder) if folder.is_dir() else []
    if not paths:
        raise cli.UserError(f"{folder}: expected a data directory with tables such as utt2spk, found none")
    found = {path: read_loosely(path) for path in paths}
    common = set.intersection(*(set(table) for table in found.values()))
    seen = set.union(*(set(table) for table in found.values()))
    if not common:
        counts = ", ".join(f"{path.name} {len(table)}" for path, table in found.items())
        raise cli.UserError(f"{folder}: no utterance is in all tables ({counts}); nothing was changed")
    backup = folder / ".backup"
    backup.mkdir(exist_ok=True)
    for path, table in found.items():
        shutil.copy2(path, backup / path.name)
        tables.write_table(path, {utt: table[utt] for utt in common})
    if folder / "utt2spk" in found:
        spk2utt = folder / "spk2utt"
        if spk2utt.is_file():
            shutil.copy2(spk2utt, backup / spk2utt.name)
        utt2spk = found[folder / "utt2spk"]
        tables.write_table(spk2utt, data_dir.invert({utt: utt2spk[utt] for utt in common}))
    return len(seen), len(common)


def get_parser() -> cli.KaldiParser:
    """Return the command line's parser."""
    parser = cli.KaldiParser(usage="fix_data_dir.py <data-dir>", description=__doc__)
    parser.add_argument("data_dir", type=Path)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Repair the directory and say what was dropped."""
    folder = get_parser().parse_args(argv).data_dir
    seen, kept = fix(folder)
    cli.log(f"kept {kept} of {seen} utterances of {folder}; the old files are in {folder / '.backup'}")
    return 0


if __name__ == "__main__":
    cli.run(main)
