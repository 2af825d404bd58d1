#!/usr/bin/env python3
"""Score vectors, one a track, with a trained SVM.

Writes accuracy.json and predictions_<name>.tsv (a row a track: class, hypothesis, decision values).

Usage: local/score_svm.py [options] <data-dir> <svm.npz> <vec-rspecifier> <out-dir>
e.g.:  local/score_svm.py --name LSeg_acc data/synth/test exp/synth_lstm_512/svm_lstm/svm.npz \
         scp:exp/synth_lstm_512/svm_lstm/test.scp exp/synth_lstm_512/svm_lstm/score_test
"""

from steps.scoring.reference import read_reference, read_vectors
from steps.scoring.scores import write_decisions
from steps.scoring.svm import read_svm
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Score one set."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--name", default="Svm_acc", help="name of the accuracy")
    args = parser.parse_args(argv)
    svm, reference = read_svm(args.svm), read_reference(args.data_dir)
    reference.require_classes(svm.classes, args.svm)
    scores = svm.scores(read_vectors(reference, args.vec_rspecifier, len(svm.mean)))
    write_decisions(args.out_dir, reference, {args.name: (scores, svm.notes)})
    return 0


if __name__ == "__main__":
    cli.run(main)
