#!/usr/bin/env python3
"""Report the artists and the recordings that train shares with the test sets, after decoding.

It compares samples (utt2hash, which steps/convert_audio.sh writes), and so finds the same audio under other
names, tags and lossless formats. Writes <data-dir>/overlap.txt.

Usage: local/report_overlap.py [options] <data-dir> <set>...
e.g.:  local/report_overlap.py --strict true data/ismir04 test evaluation
"""

from local.corpus import overlap
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Report the overlap."""
    parser = cli.KaldiParser.of(__doc__, set=str)
    text = "the same audio in train and a test set is an error"
    parser.add_argument("--strict", type=cli.boolean, default=False, help=text)
    args = parser.parse_args(argv)
    overlap.report(args.data_dir, " ".join(args.sets).split(), strict=args.strict)
    return 0


if __name__ == "__main__":
    cli.run(main)
