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

from __future__ import annotations

import math
from pathlib import Path

from steps.scoring.reference import read_artists, read_reference
from steps.scoring.svm import write_svm
from steps.scoring.svm_training import add_svm_options, svm_options, train
from steps.scoring.vectors import read_labelled
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    parser = cli.KaldiParser("local/train_svm.py [options] <data-dir> <vec-rspecifier> <svm.npz>", __doc__)
    add_svm_options(parser)
    parser.add_argument(
        "--type", default="", help="sc, lstm or fusion: recorded in the file, changes nothing"
    )
    parser.add_argument(
        "--k", type=cli.finite_float, default=math.nan, help="recorded in the file, changes nothing"
    )
    parser.add_argument("data_dir", help="data directory of the training tracks: utt2genre, utt2spk")
    parser.add_argument("vectors", help="rspecifier of one vector a track")
    parser.add_argument("svm", help="npz file to write")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Train one SVM."""
    args = get_parser().parse_args(argv)
    reference = read_reference(args.data_dir)
    artists = read_artists(reference)
    vectors, labels = read_labelled(reference, args.vectors)
    svm = train(vectors, labels, artists, reference.classes, svm_options(args), kind=args.type, k=args.k)
    write_svm(Path(args.svm), svm)
    tried = ", ".join(f"{c:g}: {n}" for c, n in zip(svm.grid, svm.grid_correct, strict=True))
    how = "artist-grouped" if svm.grouped else "stratified"
    cli.log(
        f"C={svm.cost:g} of {{{tried}}} tracks right of {svm.num_train} in {svm.folds}-fold {how} "
        f"cross-validation; {svm.dim} dimensions; wrote {args.svm}"
    )
    return 0


if __name__ == "__main__":
    cli.run(main)
