#!/usr/bin/env python3
"""Score any archive of vectors with a trained SVM.

Writes predictions.tsv (a row a track: class, hypothesis, decision values) into <out-dir> and, unless
<data-dir> is '' (tracks without labels), accuracy.json and confusion.csv.

Usage: local/score_svm.py [options] <data-dir|''> <svm.npz> <vec-rspecifier> <out-dir>
e.g.:  local/score_svm.py --name LSeg_acc data/synth/test exp/synth_lstm_512/svm_lstm/svm.npz \
         scp:exp/synth_lstm_512/svm_lstm/test.scp exp/synth_lstm_512/svm_lstm
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steps.scoring.measures import Measure, write_confusion, write_measures
from steps.scoring.predictions import Predictions, write_predictions
from steps.scoring.reference import read_reference
from steps.scoring.svm import LinearSvm, read_svm
from steps.scoring.vectors import read_labelled, read_vector_table
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    usage = "local/score_svm.py [options] <data-dir|''> <svm.npz> <vec-rspecifier> <out-dir>"
    parser = cli.KaldiParser(usage, __doc__)
    parser.add_argument(
        "--genres", default="", metavar="FILE", help="list of classes (default: genres.txt there)"
    )
    parser.add_argument("--name", default="Svm_acc", help="name of the accuracy (default: Svm_acc)")
    parser.add_argument("data_dir", help="data directory of the tracks, or ''")
    parser.add_argument("svm", help="file of train_svm.py")
    parser.add_argument("vectors", help="rspecifier of one vector a track")
    parser.add_argument("out_dir", help="folder of the results")
    return parser


def score(
    svm: LinearSvm, utts: list[str], vectors: np.ndarray, labels: np.ndarray, source: str
) -> Predictions:
    """Return the hypotheses for ``vectors`` of shape (n, dim)."""
    if vectors.shape[1] != svm.dim:
        raise cli.UserError(
            f"{source}: expected vectors of {svm.dim} values (the SVM's), got {vectors.shape[1]}; "
            "is it another type of segment feature?"
        )
    scores = svm.scores(vectors)
    return Predictions(svm.classes, tuple(utts), labels, scores.argmax(axis=1), scores)


def main(argv: list[str] | None = None) -> int:
    """Score one set."""
    args = get_parser().parse_args(argv)
    svm = read_svm(args.svm)
    out = Path(args.out_dir)
    if not args.data_dir:
        table = read_vector_table(args.vectors)
        unknown = np.full(len(table), -1)
        predictions = score(svm, list(table), np.stack(list(table.values())), unknown, args.vectors)
        write_predictions(out / "predictions.tsv", predictions)
        cli.log(f"wrote {len(table)} hypotheses to {out}/predictions.tsv")
        return 0
    reference = read_reference(args.data_dir, args.genres)
    if reference.classes != svm.classes:
        expected, got = " ".join(svm.classes), " ".join(reference.classes)
        raise cli.UserError(f"{args.svm} knows the classes '{expected}', {args.data_dir} has '{got}'")
    vectors, labels = read_labelled(reference, args.vectors)
    predictions = score(svm, list(reference.genre), vectors, labels, args.vectors)
    measure = Measure(args.name, predictions.confusion)
    write_predictions(out / "predictions.tsv", predictions)
    write_confusion(out / "confusion.csv", svm.classes, measure.confusion)
    write_measures(out / "accuracy.json", svm.classes, [measure])
    cli.log(measure.line())
    return 0


if __name__ == "__main__":
    cli.run(main)
