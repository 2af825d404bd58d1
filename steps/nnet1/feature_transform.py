"""The networks that normalise features: by global mean and variance, or by whitening within the classes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from steps.nnet1.components import AddShift, Network, Rescale, check_features
from utils import cli
from utils.cli import UserError

Features = Iterable[tuple[str, np.ndarray]]


def _checked(feats: Features) -> Iterator[tuple[str, np.ndarray]]:
    """Yield in float64 the utterances that have frames; all must be of one width and finite."""
    width = 0
    for utt, matrix in feats:
        if len(matrix):
            width = width or matrix.shape[1]
            check_features(utt, matrix, width)
            yield utt, matrix.astype(np.float64)
    if not width:
        raise UserError("no features to make a transform from: every utterance is missing or empty")


def global_stats(feats: Features) -> np.ndarray:
    """Accumulate Kaldi's CMVN statistics [shape=(2, D + 1)] over all utterances, one at a time, in float64.

    They are sums and, last, the number of frames; sums of squares and 0.
    """
    stats = np.zeros(())
    for _, values in _checked(feats):
        sums, squares = values.sum(axis=0), np.square(values).sum(axis=0)
        stats = stats + [np.append(sums, len(values)), np.append(squares, 0)]
    return stats


def stats_to_network(
    stats: np.ndarray,
    *,
    std_dev: float = 1.0,
    var_floor: float = 1e-10,
    learn_rate_coef: float = 0.0,
) -> Network:
    """Make the network that gives features zero mean and a standard deviation of ``std_dev``.

    As ``cmvn-to-nnet``: mean and variance of the statistics [shape=(2, D + 1)] are rounded to float32,
    ``var = E[x^2] - mean^2``, ``<AddShift>`` by -mean and ``<Rescale>`` by ``std_dev / sqrt(var)``. Variances
    below ``var_floor`` are raised to it, with a warning.
    """
    if stats.ndim != 2 or stats.shape[0] != 2 or stats.shape[1] < 2:
        raise UserError(f"expected CMVN statistics of 2 x (dim + 1), got {' x '.join(map(str, stats.shape))}")
    stats = stats.astype(np.float64)
    count = stats[0, -1]
    if not np.isfinite(stats).all() or count < 1:
        raise UserError(f"the CMVN statistics are of {count:g} frames or hold values that are not finite")
    mean = (stats[0, :-1] / count).astype(np.float32)
    var = (stats[1, :-1] / count - mean * mean).astype(np.float32)
    floored = np.flatnonzero(var <= np.float32(var_floor))
    if len(floored):
        which = f"{len(floored)} of {len(var)} dimensions, dimension {floored[0]} first"
        cli.warn(f"the variance of {which}, is raised to {var_floor:g}")
        var[floored] = np.float32(var_floor)
    scale = (np.float64(std_dev) / np.sqrt(var.astype(np.float64))).astype(np.float32)
    dims = (len(mean), len(mean))
    shift = AddShift(*dims, shift=-mean, learn_rate_coef=learn_rate_coef)
    return Network([shift, Rescale(*dims, scale=scale, learn_rate_coef=learn_rate_coef)])


def whitening(feats: Features, classes: Mapping[str, str], shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    """Return weight (dim, dim) and bias (dim,), float64, that whiten frames within their classes.

    The covariance within the classes is standardised to a correlation matrix R, shrunk, (1 - s) R + s I, and
    its inverse square root is applied to the centred and standardised frames.
    """
    offset, scatter = np.zeros(0), np.zeros(())
    sums: defaultdict[str, Any] = defaultdict(float)
    counts: Counter[str] = Counter()
    for utt, values in _checked(feats):
        if not offset.size:
            offset = values.mean(axis=0)  # large means would cost digits
        values = values - offset
        scatter = scatter + values.T @ values
        sums[classes[utt]] += values.sum(axis=0)
        counts[classes[utt]] += len(values)
    total = sum(counts.values())
    within = scatter / total
    for label, count in counts.items():
        within -= np.outer(sums[label], sums[label]) / count / total
    scale = np.sqrt(np.maximum(np.diag(within), 1e-10))
    correlation = (1.0 - shrinkage) * within / np.outer(scale, scale) + shrinkage * np.eye(len(scale))
    values, vectors = np.linalg.eigh(correlation)
    weight = (vectors / np.sqrt(np.maximum(values, 1e-10))) @ vectors.T / scale
    mean = offset + np.sum(list(sums.values()), axis=0) / total
    return weight, -weight @ mean
