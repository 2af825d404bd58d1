"""Intervals and tests for accuracies: Wilson, intervals by track, McNemar, Holm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def wilson(correct: int, total: int) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of a proportion, in [0, 1]."""
    from scipy.stats import binomtest  # a second; what counts alone does without it

    low, high = binomtest(correct, total).proportion_ci(method="wilson")
    return float(low), float(high)


def interval_by_track(
    correct: Sequence[int] | np.ndarray, total: Sequence[int] | np.ndarray, confidence: float = 0.95
) -> tuple[float, float]:
    """Return an interval of a frame accuracy that takes tracks, not frames, as the independent trials.

    Frames of one track are right or wrong together, so that Wilson's interval over frames is far too narrow.
    This is the usual interval of a ratio of cluster sums: ``R = sum x_i / sum n_i`` with variance ``m / (m -
    1) * sum (x_i - R n_i)^2 / (sum n_i)^2`` and Student's t with m - 1 degrees, from right frames and frames
    of m tracks. It is (0, 1) where there are fewer than two tracks.
    """
    from scipy.special import stdtrit

    hits = np.asarray(correct, dtype=np.float64)
    frames = np.asarray(total, dtype=np.float64)
    tracks = len(hits)
    if tracks < 2:
        return 0.0, 1.0
    ratio = hits.sum() / frames.sum()
    variance = tracks / (tracks - 1) * np.sum((hits - ratio * frames) ** 2) / frames.sum() ** 2
    half = float(stdtrit(tracks - 1, 0.5 + confidence / 2)) * math.sqrt(variance)
    return max(0.0, float(ratio) - half), min(1.0, float(ratio) + half)


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of two systems on the same tracks."""

    only_first: int  # tracks that only the first system has right
    only_second: int  # tracks that only the second system has right
    p_value: float  # two-sided


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Test whether two systems are right equally often, from the tracks on which they disagree.

    ``first`` and ``second`` (num_tracks,) say whether each system is right; p is 1 when no track is
    discordant.
    """
    from scipy.stats import binomtest

    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if first.shape != second.shape:
        raise ValueError(f"the systems have {first.shape} and {second.shape} tracks")
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    discordant = only_first + only_second
    p_value = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return McNemar(only_first, only_second, p_value)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust p values of one family of tests by Holm's step-down method (SciPy has none).

    The i-th smallest p becomes ``max over j <= i of (m - j + 1) p_(j)``, at most 1.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, steps)
    return adjusted
