"""Global mean and variance statistics, and the network that normalises with them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from steps.nnet1.components import AddShift, Generation, Network, Rescale
from utils import cli
from utils.cli import UserError


def global_stats(feats: Iterable[tuple[str, np.ndarray]]) -> tuple[np.ndarray, int]:
    """Accumulate Kaldi's CMVN statistics over all utterances, one at a time, in float64.

    The sums run frame by frame in the order of the utterances, so that they do not depend on how these
    are spread over archives.

    Parameters
    ----------
    feats : iterable of (str, array [shape=(num_frames, D)])
        The features by utterance; utterances without frames are passed over with a warning.

    Returns
    -------
    tuple of (array [shape=(2, D + 1), float64], int)
        Row 0: sums and, last, the number of frames; row 1: sums of squares and 0. And the number of
        utterances.

    Raises
    ------
    UserError
        With the utterance, if its number of columns differs from the first one's or it holds a value that
        is not finite; if there are no frames at all.
    """
    stats: np.ndarray | None = None
    utterances = 0
    for utt, matrix in feats:
        if not len(matrix):
            cli.warn(f"utterance {utt} has no frames")
            continue
        if stats is None:
            stats = np.zeros((2, matrix.shape[1] + 1))
        if matrix.shape[1] != stats.shape[1] - 1:
            raise UserError(f"utterance {utt}: expected {stats.shape[1] - 1} columns, got {matrix.shape[1]}")
        values = matrix.astype(np.float64)
        sums, squares = values.sum(axis=0), np.square(values).sum(axis=0)
        if not np.isfinite(squares).all():
            column = int(np.flatnonzero(~np.isfinite(squares))[0])
            raise UserError(f"utterance {utt}: column {column} holds a value that is not finite")
        stats[0, :-1] += sums
        stats[0, -1] += len(matrix)
        stats[1, :-1] += squares
        utterances += 1
    if stats is None:
        raise UserError("no features to compute statistics from: every utterance is missing or empty")
    return stats, utterances


def stats_to_network(
    stats: np.ndarray,
    *,
    generation: Generation = "modern",
    std_dev: float = 1.0,
    var_floor: float = 1e-10,
    learn_rate_coef: float = 0.0,
) -> Network:
    """Make the network that gives features zero mean and a standard deviation of ``std_dev``.

    As ``cmvn-to-nnet``: mean and variance are rounded to float32, ``var = E[x^2] - mean^2``,
    ``<AddShift>`` by -mean and ``<Rescale>`` by ``std_dev / sqrt(var)``.

    Parameters
    ----------
    stats : array [shape=(2, D + 1)]
        CMVN statistics, see :func:`global_stats`.
    generation : "2014" or "modern"
        The layout that the network is for.
    std_dev : float
        The standard deviation of the output.
    var_floor : float
        Smaller variances are raised to this, with a warning.
    learn_rate_coef : float
        Of both components; the generation 2014 has no place for it.

    Raises
    ------
    UserError
        If ``stats`` is not of two rows and at least two columns, or counts no frames; if an option is
        negative or no float32.
    """
    if stats.ndim != 2 or stats.shape[0] != 2 or stats.shape[1] < 2:
        raise UserError(f"expected CMVN statistics of 2 x (dim + 1), got {' x '.join(map(str, stats.shape))}")
    for name, value in (("std-dev", std_dev), ("var-floor", var_floor), ("learn-rate-coef", learn_rate_coef)):
        if not 0 <= value < 1e30 or (value == 0 and name == "std-dev"):
            raise UserError(f"--{name} must be positive and fit into a float32, got {value:g}")
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
    dim = len(mean)
    shift = AddShift(dim, dim, shift=torch.from_numpy(-mean), learn_rate_coef=learn_rate_coef)
    rescale = Rescale(dim, dim, scale=torch.from_numpy(scale), learn_rate_coef=learn_rate_coef)
    return Network([shift, rescale], generation)
