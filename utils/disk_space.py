#!/usr/bin/env python3
"""Refuse to begin if a disk lacks the space for what is about to be written.

Usage: disk_space.py [options] <folder> <file>...
 e.g.: disk_space.py --factor 0.26 data/feats data/synth/train/wav22k.scp

What will be written to <folder> is taken to be --factor times the size of the files, --lossy-factor times
that of compressed audio (mp3, ogg, …); a *.scp stands for the files that it lists. What is in the folder
already counts as written. A twentieth more must be free.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

from utils import cli, text_file

MARGIN = 1.05
UNITS = ("bytes", "KB", "MB", "GB", "TB")
LOSSY = frozenset({".mp3", ".mp2", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".wma", ".mpc"})


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = cli.KaldiParser("disk_space.py [options] <folder> <file>...", __doc__)
    parser.add_argument(
        "--factor", type=cli.finite_float, default=1.0, help="bytes written per byte read (1)"
    )
    parser.add_argument("--lossy-factor", type=cli.finite_float, help="of compressed audio (--factor)")
    parser.add_argument("folder", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    return parser


def listed(path: Path) -> set[Path]:
    """Return a file, or the files that a script file lists; what is missing or a command is left out."""
    if path.suffix != ".scp":
        return {path}
    files = set()
    for line in text_file.read(path).splitlines():
        name = line.partition(" ")[2].strip()
        head, colon, offset = name.rpartition(":")
        files.add(Path(head if colon and offset.isdigit() else name))
    return files


def size(paths: Iterable[Path]) -> int:
    """Return the bytes of those of the paths that are files."""
    return sum(path.stat().st_size for path in paths if path.is_file())


def free(folder: Path) -> int:
    """Return the bytes that an ordinary user may still write where ``folder`` is, or will be made."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    status = os.statvfs(there)
    return status.f_bavail * status.f_frsize


def amount(num_bytes: float) -> str:
    """Write a number of bytes with a unit."""
    power = min(int(math.log(max(num_bytes, 1), 1000)), len(UNITS) - 1)
    return f"{num_bytes / 1000**power:.3g} {UNITS[power]}"


def require(folder: Path, num_bytes: float) -> None:
    """Make sure that so much, and a twentieth more, can be written to a folder.

    Raises
    ------
    UserError
        If the disk has less; names the folder and both amounts.
    """
    wanted, left = num_bytes * MARGIN, free(folder)
    if left < wanted:
        raise cli.UserError(
            f"{folder}: about {amount(wanted)} will be written, but the disk has {amount(left)} left; "
            "make room or put the folder (or a link to another disk) elsewhere"
        )


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    options = get_parser().parse_args(argv)
    files = set[Path]().union(*(listed(path) for path in options.files))
    lossy = {path for path in files if path.suffix.lower() in LOSSY}
    factor = options.factor if options.lossy_factor is None else options.lossy_factor
    wanted = options.factor * size(files - lossy) + factor * size(lossy)
    written = size(options.folder.rglob("*")) if options.folder.is_dir() else 0
    require(options.folder, max(0.0, wanted - written))
    return 0


if __name__ == "__main__":
    cli.run(main, echo=False)
