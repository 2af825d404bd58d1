#!/usr/bin/env python3
"""Train a linear SVM (liblinear, one against the rest) on one vector a track.

Vectors are standardised by the training set. C is the one of --c-grid with the most held-out training
tracks right in stratified cross-validation that keeps every artist (utt2spk) on one side (of equal
ones the larger balanced accuracy, then the smaller C). The test set has no part in it. Writes named
arrays without pickle.

Usage: local/train_svm.py [options] <data-dir> <vec-rspecifier> <svm.npz>
e.g.:  local/train_svm.py --config conf/svm.conf --type lstm --k 0.9 data/synth/train \
         scp:exp/synth_lstm_512/svm_lstm/train.scp exp/synth_lstm_512/svm_lstm/svm.npz
"""

import math

from steps.scoring.reference import read_artists, read_reference, read_vectors
from steps.scoring.svm import write_svm
from steps.scoring.svm_training import add_svm_options, svm_options, train
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Train one SVM."""
    parser = cli.KaldiParser.of(__doc__)
    add_svm_options(parser)
    recorded = "recorded in the file, changes nothing"
    parser.add_argument("--type", default="", help=f"sc, lstm or fusion: {recorded}")
    parser.add_argument("--k", type=cli.finite_float, default=math.nan, help=recorded)
    args = parser.parse_args(argv)
    reference = read_reference(args.data_dir)
    artists = read_artists(reference)
    vectors = read_vectors(reference, args.vec_rspecifier)
    options = svm_options(args)
    svm = train(vectors, reference.labels, artists, reference.classes, options, kind=args.type, k=args.k)
    write_svm(args.svm, svm)
    tried = ", ".join(f"{c:g}: {n}" for c, n in zip(svm.grid, svm.grid_correct, strict=True))
    cli.log(f"{svm.describe()}; tried {tried}; wrote {args.svm}")
    return 0


if __name__ == "__main__":
    cli.run(main)
