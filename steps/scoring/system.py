"""The results of one experiment directory: its accuracies, predictions and SVMs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steps.scoring.measures import Measure, read_measures
from steps.scoring.predictions import Predictions, read_predictions
from steps.scoring.svm import LinearSvm, read_svm
from utils.cli import UserError

VOTES = {"Seg_acc": "predictions_vote.tsv", "LogSeg_acc": "predictions_logpost.tsv"}
SVM_DIRS = {
    "LSeg_acc": "svm_lstm",
    "FSeg_acc": "svm_fusion",
    "LSeg_cf_acc": "svm_lstm_crossfit",
    "FSeg_cf_acc": "svm_fusion_crossfit",
    "ScSeg_acc": "svm_sc",
}
EXPLANATIONS = {
    "Frame_acc": "frames, largest posterior",
    "Seg_acc": "majority vote of the frames",
    "LogSeg_acc": "largest mean log posterior",
    "LSeg_acc": "SVM on f_lstm",
    "FSeg_acc": "SVM on f_fusion",
    "LSeg_cf_acc": "SVM on f_lstm, trained on out-of-fold posteriors",
    "FSeg_cf_acc": "SVM on f_fusion, trained on out-of-fold posteriors",
    "ScSeg_acc": "SVM on f_sc, the mean input frame",
}


@dataclass(frozen=True)
class SystemResults:
    """Everything that was scored in one experiment directory."""

    path: Path
    classes: tuple[str, ...]
    measures: dict[str, Measure]
    predictions: dict[str, Predictions]
    svms: dict[str, LinearSvm]

    @property
    def name(self) -> str:
        """Name of the directory."""
        return self.path.name

    def first_predictions(self) -> Predictions:
        """Return any of the prediction tables; all are of the same tracks."""
        return next(iter(self.predictions.values()))


def load_system(exp_dir: Path, test_set: str = "test") -> SystemResults:
    """Read the results below an experiment directory and check that they belong together.

    Parameters
    ----------
    exp_dir : Path
        Has ``score_test/`` of majority_vote.py, ``svm_*/`` of score_svm.py, or both.
    test_set : str
        Which results. Those of a further test set X are in ``score_X/`` and ``svm_*/score_X/``.

    Raises
    ------
    UserError
        If nothing was scored there, or files are of different classes, tracks or runs.
    """
    found: dict[str, tuple[Path, Path]] = {}
    for name, table in VOTES.items():
        where = exp_dir / f"score_{test_set}"
        found[name] = (where, where / table)
    for name, folder in SVM_DIRS.items():
        where = exp_dir / folder if test_set == "test" else exp_dir / folder / f"score_{test_set}"
        found[name] = (where, where / "predictions.tsv")
    classes: tuple[str, ...] = ()
    measures: dict[str, Measure] = {}
    predictions: dict[str, Predictions] = {}
    svms: dict[str, LinearSvm] = {}
    for name, (where, file) in found.items():
        if not (where / "accuracy.json").is_file():
            continue
        here, items = read_measures(where / "accuracy.json")
        classes = classes or here
        if name in VOTES:
            measures.update({item.name: item for item in items})
        else:
            measures[name] = Measure(name, items[0].confusion, items[0].extra)
            svms[name] = read_svm(exp_dir / SVM_DIRS[name] / "svm.npz")
        predictions[name] = read_predictions(file)
        check_agreement(file, classes, predictions, measures[name])
    if not measures:
        what = "" if test_set == "test" else f" of the set {test_set}"
        raise UserError(f"{exp_dir}: nothing{what} was scored there; run stages 7 and 8 first")
    order = [name for name in EXPLANATIONS if name in measures]
    return SystemResults(exp_dir, classes, {name: measures[name] for name in order}, predictions, svms)


def check_agreement(
    file: Path, classes: tuple[str, ...], predictions: dict[str, Predictions], measure: Measure
) -> None:
    """Raise UserError unless the last predictions, read from ``file``, fit the first ones and the measure."""
    names = list(predictions)
    first, last = predictions[names[0]], predictions[names[-1]]
    if last.classes != classes or last.utts != first.utts or not np.array_equal(last.ref, first.ref):
        raise UserError(f"{file}: not of the same tracks and classes as the other results there; score again")
    if not np.array_equal(last.confusion, measure.confusion):
        raise UserError(f"{file}: does not agree with accuracy.json or results.json beside it; score again")


def describe_svm(svm: LinearSvm) -> dict[str, Any]:
    """Return what results.json says about an SVM."""
    return {
        "C": svm.cost,
        "k": None if np.isnan(svm.k) else svm.k,
        "grid": svm.grid.tolist(),
        "grid_correct": svm.grid_correct.tolist(),
        "num_train": svm.num_train,
        "folds": svm.folds,
        "artist_grouped": svm.grouped,
        "dim": svm.dim,
    }
