"""Results of the folds of a cross-validation as those of one system that has seen every track once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from steps.scoring.measures import Measure, read_measures
from steps.scoring.predictions import Predictions, read_predictions
from steps.scoring.significance import interval_by_track
from steps.scoring.system import SystemResults, check_agreement
from utils.cli import UserError


def pool_predictions(folds: Sequence[Predictions], sources: Sequence[str]) -> Predictions:
    """Put the tables of several folds into one, in C order.

    Parameters
    ----------
    folds : sequence of Predictions
        Of different tracks, with the same classes and columns.
    sources : sequence of str
        Where each comes from, for messages.

    Raises
    ------
    UserError
        If a track is in two folds, or the classes or columns differ.
    """
    seen: dict[str, str] = {}
    for fold, source in zip(folds, sources, strict=True):
        if fold.classes != folds[0].classes or list(fold.counts) != list(folds[0].counts):
            raise UserError(f"{source}: not of the classes and columns of {sources[0]}; score both again")
        for utt in fold.utts:
            if utt in seen:
                raise UserError(
                    f"{source}: track '{utt}' was also tested in {seen[utt]}: results of different divisions "
                    "into folds; run stages 3 to 9 of all folds again"
                )
            seen[utt] = source
    utts = [utt for fold in folds for utt in fold.utts]
    order = sorted(range(len(utts)), key=lambda row: utts[row].encode())
    return Predictions(
        classes=folds[0].classes,
        utts=tuple(utts[row] for row in order),
        ref=np.concatenate([fold.ref for fold in folds])[order],
        hyp=np.concatenate([fold.hyp for fold in folds])[order],
        scores=np.concatenate([fold.scores for fold in folds])[order],
        counts={
            name: np.concatenate([fold.counts[name] for fold in folds])[order] for name in folds[0].counts
        },
    )


def pool_measures(folds: Sequence[Measure], votes: Predictions | None = None) -> Measure:
    """Add up the confusion counts and the ties of one accuracy.

    Parameters
    ----------
    folds : sequence of Measure
        The accuracy in each fold.
    votes : Predictions, optional
        Pooled majority votes with the columns ``frames`` and ``frames_correct``, from which the interval
        by track is computed where the folds have one.
    """
    extra: dict[str, object] = {}
    if all("ties" in item.extra for item in folds):
        extra["ties"] = sum(item.extra["ties"] for item in folds)
    if votes is not None and all("by_track" in item.extra for item in folds):
        low, high = interval_by_track(votes.counts["frames_correct"], votes.counts["frames"])
        extra["by_track"] = [100.0 * low, 100.0 * high]
    return Measure(folds[0].name, np.sum([item.confusion for item in folds], axis=0), extra)


def pool_systems(folds: Sequence[SystemResults], path: Path) -> SystemResults:
    """Pool one model's results over the folds.

    Parameters
    ----------
    folds : sequence of SystemResults
        One a fold.
    path : Path
        Experiment directory of the pooled results.

    Returns
    -------
    SystemResults
        Without SVMs: every fold has its own.

    Raises
    ------
    UserError
        If a fold has other accuracies, classes or columns than the first, or a track is in two folds.
    """
    first = folds[0]
    for fold in folds[1:]:
        if different := sorted(fold.measures.keys() ^ first.measures.keys()):
            raise UserError(
                f"{fold.path} and {first.path}: only one of them has {' '.join(different)}; "
                "run stages 7 to 9 of both folds again"
            )
        if fold.classes != first.classes:
            raise UserError(
                f"{fold.path}: scored with the classes '{' '.join(fold.classes)}', {first.path} with "
                f"'{' '.join(first.classes)}'"
            )
    sources = [str(fold.path) for fold in folds]
    predictions = {
        name: pool_predictions([fold.predictions[name] for fold in folds], sources)
        for name in first.predictions
    }
    measures = {
        name: pool_measures([fold.measures[name] for fold in folds], predictions.get("Seg_acc"))
        for name in first.measures
    }
    return SystemResults(path, first.classes, measures, predictions, {})


def is_pooled(exp_dir: Path) -> bool:
    """Tell whether an experiment directory is one of pool_folds.py, with results of all folds in it."""
    return any(exp_dir.glob("predictions_*.tsv"))


def load_pooled(exp_dir: Path) -> SystemResults:
    """Read the pooled results of a cross-validation back, as pool_folds.py wrote them.

    Raises
    ------
    UserError
        If a file is missing, broken, or of other tracks or another run than the others.
    """
    classes, items = read_measures(exp_dir / "results.json")
    measures = {item.name: item for item in items}
    predictions: dict[str, Predictions] = {}
    for name, measure in measures.items():
        file = exp_dir / f"predictions_{name}.tsv"
        if file.is_file():
            predictions[name] = read_predictions(file)
            check_agreement(file, classes, predictions, measure)
    return SystemResults(exp_dir, classes, measures, predictions, {})
