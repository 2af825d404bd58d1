"""Whether a system that is 80 % sure is right 80 % of the time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Bin:
    """Tracks whose confidence lies in one interval."""

    low: float
    high: float
    count: int
    confidence: float  # mean probability of the hypotheses
    accuracy: float  # share of them that is right


def reliability(confidence: np.ndarray, right: np.ndarray, num_bins: int = 10) -> list[Bin]:
    """Compare confidence, in [0, 1], and accuracy in bins of equal width; empty bins are left out.

    Each bin includes its upper end.
    """
    values = np.asarray(confidence, dtype=np.float64)
    index = np.clip(np.ceil(values * num_bins).astype(int) - 1, 0, num_bins - 1)
    bins = []
    for number in np.unique(index):
        here = index == number
        low, high = number / num_bins, (number + 1) / num_bins
        bins.append(Bin(low, high, int(here.sum()), float(values[here].mean()), float(right[here].mean())))
    return bins


def expected_calibration_error(bins: list[Bin]) -> float:
    """Return the mean distance of confidence and accuracy, weighted by the tracks of each bin, in [0, 1].

    Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015.
    """
    total = sum(item.count for item in bins)
    return sum(item.count * abs(item.confidence - item.accuracy) for item in bins) / total
