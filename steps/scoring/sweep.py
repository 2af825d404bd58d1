"""Accuracy of the segment-feature SVMs against the threshold k (Figure 3); a picture, never a choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steps.scoring.segment import posterior_statistics
from steps.scoring.svm_training import SvmOptions, fit
from utils import atomic, tables

HEADER = ("k", "lstm_correct", "fusion_correct", "total", "lstm_percent", "fusion_percent")


@dataclass(frozen=True)
class SweepData:
    """Mean input frames (n, feat_dim), the frame posteriors and the class index of the tracks of a set."""

    sc: np.ndarray
    posts: Sequence[np.ndarray]
    labels: np.ndarray

    def features(self, k: float) -> tuple[np.ndarray, np.ndarray]:
        """Return f_lstm (n, 4 C) and f_fusion (n, feat_dim + 4 C), rounded as those of the tables are."""
        lstm = np.stack([posterior_statistics(post, k) for post in self.posts])
        both = lstm, np.hstack([self.sc, lstm])
        return both[0].astype(np.float32).astype(np.float64), both[1].astype(np.float32).astype(np.float64)


@dataclass(frozen=True)
class SweepPoint:
    """Test tracks right at one k."""

    k: float
    lstm: int
    fusion: int
    total: int


def sweep(
    train: SweepData,
    test: SweepData,
    num_classes: int,
    grid: tuple[float, ...],
    costs: tuple[float, float],
    options: SvmOptions,
) -> list[SweepPoint]:
    """Train and test at every k of ``grid`` with fixed costs.

    ``costs``: of the SVM on f_lstm and on f_fusion, as chosen on the training set for the tables.
    """
    points = []
    for k in grid:
        right = []
        for train_vectors, test_vectors, cost in zip(train.features(k), test.features(k), costs, strict=True):
            scores = fit(train_vectors, train.labels, num_classes, cost, options).scores(test_vectors)
            right.append(int(np.sum(scores.argmax(axis=1) == test.labels)))
        points.append(SweepPoint(k, right[0], right[1], len(test.labels)))
    return points


def write_sweep(path: Path, points: list[SweepPoint]) -> None:
    """Write the sweep as TSV with a header."""
    with atomic.replacing(path) as file:
        file.write("\t".join(HEADER) + "\n")
        for point in points:
            percent = [100.0 * correct / point.total for correct in (point.lstm, point.fusion)]
            file.write(f"{point.k:g}\t{point.lstm}\t{point.fusion}\t{point.total}\t")
            file.write(f"{percent[0]:.4f}\t{percent[1]:.4f}\n")


def read_sweep(path: Path) -> list[SweepPoint]:
    """Read the TSV back; raises UserError with the line that does not fit."""

    def parse(row: dict[str, str]) -> SweepPoint:
        return SweepPoint(float(row["k"]), *(int(row[name]) for name in HEADER[1:4]))

    return tables.read_tsv(path, HEADER, parse, "run sweep_k.py again")
