#!/usr/bin/env python3
"""Copy a data directory that has features, with the frames of every track in a random order.

A control: a system that gains by the order of the frames must lose that gain on the copy, and one that looks
at each frame alone must not notice.

Usage: shuffle_frames.py [options] <data-dir> <out-dir>
 e.g.: shuffle_frames.py --seed 777 data/synth/test data/synth/test_shuffled
"""

from __future__ import annotations

from pathlib import Path

from local.synth import generator
from steps import archive
from utils import atomic, cli

TABLES = ("utt2genre", "utt2spk", "spk2utt", "genres.txt", "utt2num_frames", "frame_shift")


def get_parser() -> cli.KaldiParser:
    """Return the command line of this program."""
    parser = cli.KaldiParser("shuffle_frames.py [options] <data-dir> <out-dir>", __doc__)
    parser.add_argument("--seed", type=int, default=777, help="of the orders; each track has its own")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    args.out_dir.mkdir(parents=True, exist_ok=True)
    feats = args.out_dir / "feats"
    with archive.Writer(f"ark,scp:{feats}.ark,{feats}.scp") as writer:
        for utt, frames in archive.read_matrices(f"scp:{args.data_dir}/feats.scp"):
            writer.write(utt, generator(args.seed, utt).permutation(frames))
    for name in TABLES:
        if (args.data_dir / name).is_file():
            with atomic.replacing(args.out_dir / name, "wb") as file:
                file.write((args.data_dir / name).read_bytes())
    return 0


if __name__ == "__main__":
    cli.run(main)
