#!/usr/bin/env python3
"""Turn utt2spk into spk2utt on stdout (Kaldi: utils/utt2spk_to_spk2utt.pl).

Usage: utt2spk_to_spk2utt.py [<utt2spk>]     (default: stdin)
 e.g.: utt2spk_to_spk2utt.py data/synth/train/utt2spk > data/synth/train/spk2utt
"""

from __future__ import annotations

from pathlib import Path

from utils import cli, data_dir


def get_parser() -> cli.KaldiParser:
    """Return the command line's parser."""
    parser = cli.KaldiParser(usage="utt2spk_to_spk2utt.py [<utt2spk>]", description=__doc__)
    parser.add_argument("utt2spk", type=Path, nargs="?", default=Path("/dev/stdin"))
    return parser


def main(argv: list[str] | None = None) -> int:
    """Print the inverse."""
    table = data_dir.read(get_parser().parse_args(argv).utt2spk)
    for utt, spk in table.entries.items():
        if len(spk.split()) != 1:
            table.problems.append(f"{table.where(utt)}: '{utt}': expected one speaker, got '{spk}'")
    if table.problems:
        raise cli.UserError(table.problems[0])
    for spk, utts in data_dir.invert(table.entries).items():
        print(spk, utts)
    return 0


if __name__ == "__main__":
    cli.run(main)
