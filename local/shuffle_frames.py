#!/usr/bin/env python3
"""Copy a data directory that has features, with the frames of every track in a random order.

A control: a system that gains by the order of the frames must lose that gain on the copy, and one that looks
at each frame alone must not notice.

Usage: local/shuffle_frames.py [options] <data-dir> <out-dir>
e.g.:  local/shuffle_frames.py --seed 777 data/synth/test data/synth/test_shuffled
"""

from local.synth import generator
from steps import archive
from utils import cli
from utils.data_dir import read_data_dirs, write_subset


def main(argv: list[str] | None = None) -> int:
    """Copy the directory."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--seed", type=int, default=777, help="of the orders; each track has its own")
    args = parser.parse_args(argv)
    data = read_data_dirs([args.data_dir])
    write_subset(data, data.utts, args.out_dir)
    feats = args.out_dir / "feats"
    with archive.Writer(f"ark,scp:{feats}.ark,{feats}.scp") as writer:
        for utt, frames in archive.read_matrices(f"scp:{args.data_dir}/feats.scp"):
            writer.write(utt, generator(args.seed, utt).permutation(frames))
    return 0


if __name__ == "__main__":
    cli.run(main)
