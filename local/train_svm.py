#!/usr/bin/env python3
"""Train a linear SVM (liblinear, one against the rest) on one vector a track.

C is the one of --c-grid with the most held-out training tracks right in stratified cross-validation that
keeps every artist on one side (of equal ones the larger balanced accuracy, then the smaller C).

Usage: local/train_svm.py [options] <data-dir> <vec-rspecifier> <svm.npz>
e.g.:  local/train_svm.py --config conf/svm.conf --type lstm --k 0.9 data/synth/train \
         scp:exp/synth_lstm_512/svm_lstm/train.scp exp/synth_lstm_512/svm_lstm/svm.npz
"""

import math
from pathlib import Path

from steps.scoring.reference import read_artists, read_reference, read_vectors
from steps.scoring.svm import positive_floats, train, write_svm
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Train one SVM."""
    parser = cli.KaldiParser.of(__doc__)
    add, recorded = parser.add_argument, "recorded in the file, changes nothing"
    add("--c-grid", type=positive_floats, default=(0.001, 0.01, 0.1, 1.0, 10.0), help="costs to try")
    add("--folds", type=cli.positive_int, default=5, help="folds of the cross-validation")
    add("--seed", type=int, default=777, help="seed of the folds")
    add("--type", default="", help=f"sc, lstm or fusion: {recorded}")
    add("--k", type=cli.finite_float, default=math.nan, help=recorded)
    args = parser.parse_args(argv)
    reference = read_reference(args.data_dir)
    given = read_vectors(reference, args.vec_rspecifier), reference.labels, read_artists(reference)
    options = args.c_grid, args.folds, args.seed
    k = math.nan if args.type == "sc" else args.k
    if args.config:
        args.svm.with_suffix(".conf").write_bytes(Path(args.config).read_bytes())  # for results.txt
    write_svm(args.svm, train(*given, reference.classes, *options, kind=args.type, k=k))
    return 0


if __name__ == "__main__":
    cli.run(main)
