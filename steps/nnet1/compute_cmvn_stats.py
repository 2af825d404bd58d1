#!/usr/bin/env python3
"""Compute global mean and variance statistics of features: Kaldi's compute-cmvn-stats with one output.

Usage: compute_cmvn_stats.py [options] <feats-rspecifier> <stats-wxfilename>
e.g.: compute_cmvn_stats.py scp:data/train/feats.scp cmvn.stats

The output is one matrix, 2 x (dim + 1): sums and the number of frames, sums of squares and 0. They are
accumulated in float64 and written in float32, as Kaldi writes them.
"""

from __future__ import annotations

import sys

import numpy as np

from steps import archive
from steps.archive import objects
from steps.nnet1.cmvn import global_stats
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Make the parser of the command line."""
    parser = cli.KaldiParser("%(prog)s [options] <feats-rspecifier> <stats-wxfilename>", __doc__)
    parser.add_argument("--binary", type=cli.boolean, default=True, help="write in binary mode")
    pipes_help = "run commands in the rspecifier"
    parser.add_argument("--allow-pipes", type=cli.boolean, default=False, help=pipes_help)
    parser.add_argument("feats", metavar="<feats-rspecifier>")
    parser.add_argument("stats", metavar="<stats-wxfilename>")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    options = get_parser().parse_args(argv)
    feats = archive.read_matrices(options.feats, allow_pipes=options.allow_pipes)
    stats, utterances = global_stats(feats)
    if options.stats == "-":
        text = not options.binary
        objects.write_object(sys.stdout.buffer, "matrix", stats.astype(np.float32), text=text, compress=False)
        sys.stdout.buffer.flush()
    else:
        archive.write_matrix_file(options.stats, stats.astype(np.float32), binary=options.binary)
    cli.log(
        f"Wrote global CMVN stats of {utterances} utterances, {stats[0, -1]:.0f} frames to {options.stats}"
    )
    return 0


if __name__ == "__main__":
    cli.run(main)
