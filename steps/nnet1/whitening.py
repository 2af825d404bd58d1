"""The network that whitens frames within their classes: one <AffineTransform>.

The covariance within the classes is standardised to a correlation matrix R, shrunk, (1 - s) R + s I, and its
inverse square root is applied to the centred and standardised frames. Kaldi reads the file as any network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch

from steps.nnet1.components import AffineTransform, Network
from utils.cli import UserError


def whitening(
    feats: Iterable[tuple[str, np.ndarray]], classes: Mapping[str, str], shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight (dim, dim) and bias (dim,), float64, of the transform; utterances are read one by one.

    Raises
    ------
    UserError
        If there are no frames, one is not finite, or an utterance has no class.
    """
    offset = scatter = np.zeros(0)
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for utt, matrix in feats:
        if utt not in classes:
            raise UserError(f"utterance {utt} has no class")
        if not np.isfinite(matrix).all():
            raise UserError(f"utterance {utt} holds a value that is not finite")
        if not len(matrix):
            continue
        if not offset.size:  # large means would cost digits
            offset = matrix.mean(axis=0, dtype=np.float64)
            scatter = np.zeros((len(offset), len(offset)))
        values = matrix.astype(np.float64) - offset
        scatter += values.T @ values
        label = classes[utt]
        sums[label] = sums.get(label, 0.0) + values.sum(axis=0)
        counts[label] = counts.get(label, 0) + len(values)
    if not counts:
        raise UserError("no features to compute a transform from: every utterance is missing or empty")
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


def whitening_network(
    feats: Iterable[tuple[str, np.ndarray]], classes: Mapping[str, str], shrinkage: float
) -> Network:
    """Return :func:`whitening` as a network, in float32."""
    weight, bias = (torch.from_numpy(x.astype(np.float32)) for x in whitening(feats, classes, shrinkage))
    return Network([AffineTransform(len(bias), len(bias), weight=weight, bias=bias)], "modern")
