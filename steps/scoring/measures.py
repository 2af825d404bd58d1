"""Accuracies and what makes them: confusion counts, intervals, balanced accuracy."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

import numpy as np

from steps.scoring.significance import wilson


def confusion_matrix(ref: np.ndarray, hyp: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pairs of class indices, int64 of shape (C, C): a row a true class, a column a hypothesis."""
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
    """``by_track``: a second 95 % interval, that takes tracks as the trials; ``ties``: tracks without a
    clear majority; ``folds``: percent in each fold of a cross-validation; ``notes``: how it was made."""

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

    def counts(self) -> str:
        """Return how the greppable line of results.txt begins."""
        return f"%{self.name} {self.percent:.2f} [ {self.correct} / {self.total} ]"

    def line(self) -> str:
        """Return the greppable line of results.txt."""
        low, high = self.wilson
        text = f"{self.counts()} Wilson95 [ {low:.2f} {high:.2f} ]"
        if "by_track" in self.extra:
            low, high = self.extra["by_track"]
            text += f" by_track95 [ {low:.2f} {high:.2f} ]"
        text += f" balanced {self.balanced:.2f}"
        if "ties" in self.extra:
            text += f" ties {self.extra['ties']}"
        if "folds" in self.extra:
            text += f" folds {fmean(self.extra['folds']):.2f} ± {stdev(self.extra['folds']):.2f}"
        return text

    def as_json(self) -> dict[str, Any]:
        """Return what results.json holds."""
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
