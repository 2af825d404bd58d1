"""Intervals and tests for accuracies: Wilson, intervals by track, McNemar, Holm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

EXACT_LIMIT = 1000
"""Discordant pairs up to which McNemar's test is the exact binomial one."""


def wilson(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion.

    Parameters
    ----------
    correct, total : int
        Successes and trials, ``0 <= correct <= total`` and ``total >= 1``.
    confidence : float
        Coverage, 0.95 by default.

    Returns
    -------
    tuple of float
        Lower and upper end, in [0, 1].

    Notes
    -----
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927: the
    proportions p for which ``|correct/total - p| <= z sqrt(p (1 - p) / total)``.
    """
    if total < 1 or not 0 <= correct <= total:
        raise ValueError(f"expected 0 <= correct <= total and total >= 1, got {correct} / {total}")
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    share = correct / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    low = 0.0 if correct == 0 else centre - half
    high = 1.0 if correct == total else centre + half
    return max(0.0, low), min(1.0, high)


def interval_by_track(
    correct: Sequence[int] | np.ndarray, total: Sequence[int] | np.ndarray, confidence: float = 0.95
) -> tuple[float, float]:
    """Return an interval of a frame accuracy that takes tracks, not frames, as the independent trials.

    Frames of one track are right or wrong together, so that Wilson's interval over frames is far too
    narrow. This is the usual interval of a ratio of cluster sums: ``R = sum x_i / sum n_i`` with
    variance ``m / (m - 1) * sum (x_i - R n_i)^2 / (sum n_i)^2`` and Student's t with m - 1 degrees.

    Parameters
    ----------
    correct, total : array of shape (m,)
        Right frames and frames of every track.
    confidence : float
        Coverage.

    Returns
    -------
    tuple of float
        Lower and upper end, cut to [0, 1]; (0, 1) where there are fewer than two tracks.
    """
    hits = np.asarray(correct, dtype=np.float64)
    frames = np.asarray(total, dtype=np.float64)
    tracks = len(hits)
    if tracks < 2:
        return 0.0, 1.0
    ratio = hits.sum() / frames.sum()
    variance = tracks / (tracks - 1) * np.sum((hits - ratio * frames) ** 2) / frames.sum() ** 2
    half = float(stats.t.ppf(0.5 + confidence / 2, tracks - 1)) * math.sqrt(variance)
    return max(0.0, float(ratio) - half), min(1.0, float(ratio) + half)


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two systems on the same tracks."""

    only_first: int
    """Tracks that only the first system has right."""
    only_second: int
    """Tracks that only the second system has right."""
    p_value: float
    """Two-sided."""
    exact: bool
    """Whether p comes from the binomial distribution and not from chi-square."""


def mcnemar(first: np.ndarray, second: np.ndarray, exact_limit: int = EXACT_LIMIT) -> McNemar:
    """Test whether two systems are right equally often, from the tracks on which they disagree.

    Parameters
    ----------
    first, second : bool array of shape (num_tracks,)
        Whether each system is right, track by track in one order.
    exact_limit : int
        Largest number of discordant tracks for the exact test; beyond it chi-square with the
        continuity correction, which is then the same to many digits.

    Returns
    -------
    McNemar
        Discordant counts and the two-sided p value; p is 1 when no track is discordant.
    """
    first = np.asarray(first, dtype=bool)
    second = np.asarray(second, dtype=bool)
    if first.shape != second.shape:
        raise ValueError(f"the systems have {first.shape} and {second.shape} tracks")
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(second & ~first))
    discordant = only_first + only_second
    if discordant <= exact_limit:
        tail = float(stats.binom.cdf(min(only_first, only_second), discordant, 0.5))
        return McNemar(only_first, only_second, min(1.0, 2 * tail), exact=True)
    statistic = max(0.0, abs(only_first - only_second) - 1.0) ** 2 / discordant
    return McNemar(only_first, only_second, float(stats.chi2.sf(statistic, 1)), exact=False)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust p values of one family of tests by Holm's step-down method.

    Parameters
    ----------
    p_values : array of shape (m,)
        Unadjusted p values.

    Returns
    -------
    float64 array of shape (m,)
        The i-th smallest p becomes ``max over j <= i of (m - j + 1) p_(j)``, at most 1, in the order
        given.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, steps)
    return adjusted
