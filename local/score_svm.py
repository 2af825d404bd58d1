#!/usr/bin/env python3
"""Score vectors, one a track, with a trained SVM.

Writes accuracy.json and predictions_<name>.tsv (a row a track: class, hypothesis, decision values).

Usage: local/score_svm.py [options] <data-dir> <svm.npz> <vec-rspecifier> <out-dir>
e.g.:  local/score_svm.py --name LSeg_acc data/synth/test exp/synth_lstm_512/svm_lstm/svm.npz \
         scp:exp/synth_lstm_512/svm_lstm/test.scp exp/synth_lstm_512/svm_lstm/score_test
"""

from __future__ import annotations

from pathlib import Path

from steps.scoring.reference import read_reference
from steps.scoring.scores import write_decisions
from steps.scoring.svm import read_svm
from steps.scoring.vectors import read_labelled
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    usage = "local/score_svm.py [options] <data-dir> <svm.npz> <vec-rspecifier> <out-dir>"
    parser = cli.KaldiParser(usage, __doc__)
    parser.add_argument("--name", default="Svm_acc", help="name of the accuracy")
    parser.add_argument("data_dir", help="data directory of the tracks")
    parser.add_argument("svm", help="file of train_svm.py")
    parser.add_argument("vectors", help="rspecifier of one vector a track")
    parser.add_argument("out_dir", help="folder of the results")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Score one set."""
    args = get_parser().parse_args(argv)
    svm = read_svm(args.svm)
    reference = read_reference(args.data_dir)
    reference.require_classes(svm.classes, args.svm)
    vectors, _ = read_labelled(reference, args.vectors)
    if vectors.shape[1] != svm.dim:
        raise cli.UserError(
            f"{args.vectors}: expected vectors of {svm.dim} values (the SVM's), got {vectors.shape[1]}; "
            "is it another type of segment feature?"
        )
    notes = {args.name: svm.describe()}
    write_decisions(Path(args.out_dir), reference, {args.name: svm.scores(vectors)}, notes)
    return 0


if __name__ == "__main__":
    cli.run(main)
