#!/usr/bin/env python3
"""Report the artists and the recordings that train shares with the test sets, after decoding.

It compares samples (utt2hash, which steps/convert_audio.sh writes), and so finds the same audio under other
names, tags and lossless formats. Writes <data-dir>/overlap.txt.

Usage: report_overlap.py [options] <data-dir> <set>...
 e.g.: report_overlap.py --strict true data/ismir04 test evaluation
"""

from __future__ import annotations

from pathlib import Path

from local.corpus import overlap
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("report_overlap.py [options] <data-dir> <set>...", __doc__)
    parser.add_argument(
        "--strict", type=cli.boolean, default=False, help="the same audio in train and a test set is an error"
    )
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("sets", nargs="+", metavar="set", help="test sets")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    overlap.report(args.data_dir, " ".join(args.sets).split(), strict=args.strict)
    return 0


if __name__ == "__main__":
    cli.run(main)
