"""The results of one system on one set: accuracy.json, and predictions_<accuracy>.tsv for those of tracks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steps.scoring.measures import Measure
from steps.scoring.predictions import Predictions, read_predictions, write_predictions
from steps.scoring.reference import Reference
from utils import atomic, cli
from utils.cli import UserError

ACCURACY = "accuracy.json"


@dataclass(frozen=True)
class Scores:
    """Accuracies of the same tracks by name, and the hypotheses behind those that are of tracks."""

    classes: tuple[str, ...]
    measures: dict[str, Measure]
    predictions: dict[str, Predictions]

    def first_predictions(self) -> Predictions:
        """Return any of the prediction tables; all are of the same tracks."""
        return next(iter(self.predictions.values()))


def write_scores(folder: Path, measures: list[Measure], predictions: dict[str, Predictions]) -> None:
    """Write accuracy.json and the predictions, which are named as their accuracies are."""
    for name, table in predictions.items():
        write_predictions(folder / f"predictions_{name}.tsv", table)
    classes = next(iter(predictions.values())).classes
    content = [
        {"name": m.name, "correct": m.correct, "confusion": m.confusion.tolist(), "extra": m.extra}
        for m in measures
    ]
    atomic.write_json(folder / ACCURACY, {"classes": list(classes), "measures": content})
    for measure in measures:
        cli.log(measure.counts())


def write_decisions(
    folder: Path,
    reference: Reference,
    scores: Mapping[str, np.ndarray],
    notes: Mapping[str, str],
    *,
    probabilities: bool = False,
) -> None:
    """Write the results of accuracies whose scores (num_tracks, C) decide each track by the largest."""
    tables = {
        name: Predictions(
            reference.classes,
            tuple(reference.genre),
            reference.labels,
            found.argmax(axis=1),
            found,
            probabilities=probabilities,
        )
        for name, found in scores.items()
    }
    measures = [Measure(name, table.confusion, {"notes": notes[name]}) for name, table in tables.items()]
    write_scores(folder, measures, tables)


def _read_measures(path: Path) -> tuple[tuple[str, ...], list[Measure]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        classes = tuple(str(name) for name in content["classes"])
        measures = [
            Measure(str(item["name"]), np.array(item["confusion"], dtype=np.int64), dict(item["extra"]))
            for item in content["measures"]
        ]
    except OSError as error:
        raise UserError(
            f"{path}: cannot read the accuracies: {error.strerror}; run the stage before"
        ) from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(
            f"{path}: not a file of accuracies ({error}); run the stage that writes it again"
        ) from error
    for measure in measures:
        if measure.confusion.shape != (len(classes), len(classes)) or measure.total < 1:
            raise UserError(
                f"{path}: {measure.name}: the confusion matrix does not fit {len(classes)} classes"
            )
    return classes, measures


def read_scores(*folders: Path) -> Scores:
    """Read what was scored in some folders, and check that it belongs together.

    UserError if a file is missing or broken, or of other tracks, classes or another run than the others.
    """
    classes: tuple[str, ...] = ()
    measures: dict[str, Measure] = {}
    predictions: dict[str, Predictions] = {}
    for folder in folders:
        here, found = _read_measures(folder / ACCURACY)
        classes = classes or here
        for measure in found:
            measures[measure.name] = measure
            file = folder / f"predictions_{measure.name}.tsv"
            if len(found) == 1 and not file.is_file():
                file = folder / "predictions.tsv"
            if len(found) > 1 and not file.is_file():
                continue  # of frames
            table = predictions[measure.name] = read_predictions(file)
            if table.classes != classes or not table.same_tracks(next(iter(predictions.values()))):
                raise UserError(
                    f"{file}: not of the same tracks and classes as the other results there; score again"
                )
            if not np.array_equal(table.confusion, measure.confusion):
                raise UserError(f"{file}: does not agree with {ACCURACY} beside it; score again")
    return Scores(classes, measures, predictions)
