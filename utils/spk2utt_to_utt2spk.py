#!/usr/bin/env python3
"""Turn spk2utt into utt2spk on stdout (Kaldi: utils/spk2utt_to_utt2spk.pl).

Usage: spk2utt_to_utt2spk.py [<spk2utt>]     (default: stdin)
 e.g.: spk2utt_to_utt2spk.py data/synth/train/spk2utt > data/synth/train/utt2spk
"""

from __future__ import annotations

from pathlib import Path

from utils import cli, data_dir


def get_parser() -> cli.KaldiParser:
    """Return the command line's parser."""
    parser = cli.KaldiParser(usage="spk2utt_to_utt2spk.py [<spk2utt>]", description=__doc__)
    parser.add_argument("spk2utt", type=Path, nargs="?", default=Path("/dev/stdin"))
    return parser


def main(argv: list[str] | None = None) -> int:
    """Print the inverse."""
    table = data_dir.read(get_parser().parse_args(argv).spk2utt)
    if table.problems:
        raise cli.UserError(table.problems[0])
    speakers: dict[str, str] = {}
    for spk, utts in table.entries.items():
        for utt in utts.split():
            if utt in speakers:
                raise cli.UserError(f"{table.where(spk)}: '{utt}' belongs to '{speakers[utt]}' already")
            speakers[utt] = spk
    for utt in sorted(speakers, key=str.encode):
        print(utt, speakers[utt])
    return 0


if __name__ == "__main__":
    cli.run(main)
