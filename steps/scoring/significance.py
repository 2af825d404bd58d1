"""Intervals and tests for accuracies: Wilson, intervals by track, McNemar, Holm; and calibration."""

import math
from collections.abc import Sequence

import numpy as np


def wilson(correct: int, total: int) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of a proportion, in [0, 1]."""
    from scipy.stats import binomtest  # a second; what counts alone does without it

    low, high = binomtest(correct, total).proportion_ci(method="wilson")
    return float(low), float(high)


def interval_by_track(
    correct: Sequence[int] | np.ndarray, total: Sequence[int] | np.ndarray
) -> tuple[float, float]:
    """Return a 95 % interval of a frame accuracy that takes tracks, not frames, as the independent trials.

    The usual interval of a ratio of cluster sums, ``R = sum x_i / sum n_i`` with variance
    ``m / (m - 1) * sum (x_i - R n_i)^2 / (sum n_i)^2`` and Student's t with m - 1 degrees, from right frames
    and frames of m tracks; (0, 1) of fewer than two. Where all or none are right, Wilson's for the tracks.
    """
    from scipy.special import stdtrit

    hits, frames = np.asarray(correct, dtype=np.float64), np.asarray(total, dtype=np.float64)
    tracks = len(hits)
    if tracks < 2:
        return 0.0, 1.0
    ratio = hits.sum() / frames.sum()
    if ratio in (0.0, 1.0):
        return wilson(round(ratio * tracks), tracks)
    variance = tracks / (tracks - 1) * np.sum((hits - ratio * frames) ** 2) / frames.sum() ** 2
    half = float(stdtrit(tracks - 1, 0.975)) * math.sqrt(variance)
    return max(0.0, float(ratio) - half), min(1.0, float(ratio) + half)


def mcnemar(first: np.ndarray, second: np.ndarray) -> tuple[int, int, float]:
    """Test by McNemar's exact test whether two systems are right (num_tracks,) equally often.

    Returns how many tracks only the first has right, how many only the second, and the two-sided p.
    """
    from scipy.stats import binomtest

    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    discordant = only_first + only_second
    return only_first, only_second, float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust a family's p values by Holm: the i-th smallest to ``max over j <= i of (m - j + 1) p_(j)``."""
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    return np.minimum(1.0, steps)[np.argsort(order)]


def reliability(confidence: np.ndarray, right: np.ndarray, num_bins: int = 10) -> np.ndarray:
    """Compare confidence, in [0, 1], and accuracy in bins of equal width with their upper ends.

    Returns a row for each bin with tracks: both ends, their number, mean confidence, share of right ones.
    """
    index = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    rows = []
    for number in np.unique(index):
        here = index == number
        means = confidence[here].mean(), right[here].mean()
        rows.append((number / num_bins, (number + 1) / num_bins, here.sum(), *means))
    return np.array(rows)


def expected_calibration_error(bins: np.ndarray) -> float:
    """Return the mean distance of confidence and accuracy, weighted by the tracks of each bin, in [0, 1].

    Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015.
    """
    return float(np.average(np.abs(bins[:, 3] - bins[:, 4]), weights=bins[:, 2]))
