"""Accuracy of the segment-feature SVMs against the threshold k (Figure 3); a picture, never a choice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steps.scoring.segment import posterior_statistics, share_above
from steps.scoring.svm_training import SvmOptions, fit
from utils import atomic, tables

HEADER = ("k", "lstm_correct", "fusion_correct", "total", "lstm_percent", "fusion_percent")


@dataclass(frozen=True)
class SweepData:
    """Everything about the tracks of one set that the features at any k are made of."""

    sc: np.ndarray
    """Mean input frames, float64 of shape (n, feat_dim)."""
    fixed: np.ndarray
    """Maximum, minimum and mean posterior, float64 of shape (n, 3 * C)."""
    shares: np.ndarray
    """Share of frames above each k, float64 of shape (num_k, n, C)."""
    labels: np.ndarray
    """Class indices, int64 of shape (n,)."""

    def features(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Return f_lstm (n, 4 C) and f_fusion (n, feat_dim + 4 C) at the k with this position."""
        lstm = np.hstack([self.fixed, self.shares[position]])
        return lstm, np.hstack([self.sc, lstm])


def track_statistics(post: np.ndarray, grid: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return what one track needs for all k: (3 * C,) fixed statistics and (num_k, C) shares."""
    fixed = posterior_statistics(post, math.inf)[: 3 * post.shape[1]]
    return fixed, np.stack([share_above(post, k) for k in grid])


def as_float32(values: np.ndarray) -> np.ndarray:
    """Round to the precision of the archives, so that the sweep at k sees the features of the tables."""
    return values.astype(np.float32).astype(np.float64)


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
    for position, k in enumerate(grid):
        right = []
        pairs = zip(train.features(position), test.features(position), costs, strict=True)
        for train_vectors, test_vectors, cost in pairs:
            machine = fit(as_float32(train_vectors), train.labels, num_classes, cost, options)
            scores = machine.scores(as_float32(test_vectors))
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
