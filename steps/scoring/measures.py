"""Accuracies and what makes them: confusion counts, intervals, balanced accuracy, and their files."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from steps.scoring.significance import wilson
from utils import atomic
from utils.cli import UserError


def confusion_matrix(ref: np.ndarray, hyp: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pairs of classes.

    Parameters
    ----------
    ref, hyp : int array of shape (num_tracks,)
        True and hypothesised class indices.
    num_classes : int
        Number of classes, C.

    Returns
    -------
    int64 array of shape (C, C)
        Rows are true classes, columns hypotheses.
    """
    flat = np.asarray(ref, dtype=np.int64) * num_classes + np.asarray(hyp, dtype=np.int64)
    return np.bincount(flat, minlength=num_classes * num_classes).reshape(num_classes, num_classes)


def balanced_accuracy(confusion: np.ndarray) -> float:
    """Return the mean of the classes' recalls; a class without a true track does not count."""
    totals = confusion.sum(axis=1)
    present = totals > 0
    return float(np.mean(np.diag(confusion)[present] / totals[present]))


@dataclass(frozen=True)
class Measure:
    """One accuracy with the counts behind it."""

    name: str
    confusion: np.ndarray
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def correct(self) -> int:
        """Trials that are right."""
        return int(np.trace(self.confusion))

    @property
    def total(self) -> int:
        """Trials."""
        return int(self.confusion.sum())

    @property
    def percent(self) -> float:
        """Accuracy in percent."""
        return 100.0 * self.correct / self.total

    @property
    def wilson(self) -> tuple[float, float]:
        """Wilson's 95 % interval in percent."""
        low, high = wilson(self.correct, self.total)
        return 100.0 * low, 100.0 * high

    @property
    def balanced(self) -> float:
        """Balanced accuracy in percent."""
        return 100.0 * balanced_accuracy(self.confusion)

    def line(self) -> str:
        """Return the greppable line of results.txt."""
        low, high = self.wilson
        text = f"%{self.name} {self.percent:.2f} [ {self.correct} / {self.total} ]"
        text += f" Wilson95 [ {low:.2f} {high:.2f} ]"
        if "by_track" in self.extra:
            low, high = self.extra["by_track"]
            text += f" by_track95 [ {low:.2f} {high:.2f} ]"
        text += f" balanced {self.balanced:.2f}"
        if "ties" in self.extra:
            text += f" ties {self.extra['ties']}"
        return text

    def as_json(self) -> dict[str, Any]:
        """Return what accuracy.json holds."""
        return {
            "name": self.name,
            "correct": self.correct,
            "total": self.total,
            "percent": self.percent,
            "wilson_95": list(self.wilson),
            "balanced_percent": self.balanced,
            "confusion": self.confusion.tolist(),
            "extra": self.extra,
        }


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, sorted and indented, so that a rerun is the same file."""
    with atomic.replacing(path) as file:
        json.dump(value, file, indent=1, sort_keys=True, allow_nan=False)
        file.write("\n")


def write_measures(path: Path, classes: Sequence[str], measures: Sequence[Measure]) -> None:
    """Write accuracy.json: the class names and every measure with its counts."""
    write_json(path, {"classes": list(classes), "measures": [measure.as_json() for measure in measures]})


def read_measures(path: Path) -> tuple[tuple[str, ...], list[Measure]]:
    """Read accuracy.json back.

    Raises
    ------
    UserError
        If the file is missing or is not one that :func:`write_measures` wrote.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        classes = tuple(str(name) for name in content["classes"])
        measures = [
            Measure(item["name"], np.array(item["confusion"], dtype=np.int64), dict(item["extra"]))
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


def write_confusion(path: Path, classes: Sequence[str], confusion: np.ndarray) -> None:
    """Write a confusion matrix as CSV: a row a true class, a column a hypothesis, with names."""
    with atomic.replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["ref\\hyp", *classes])
        for name, row in zip(classes, confusion.tolist(), strict=True):
            writer.writerow([name, *row])
