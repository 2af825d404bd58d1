"""Linear discriminant analysis with a shrunk covariance, on several vectors a track.

The classes are Gaussians with one covariance (Fisher 1936; Hastie, Tibshirani and Friedman, The Elements of
Statistical Learning, 4.3), shrunk towards the identity after every column was divided by its deviation within
the classes (Friedman, Regularized Discriminant Analysis, 1989). Every track weighs the same, however many
vectors it has. One eigendecomposition serves all shrinkages.
"""

from dataclasses import dataclass

import numpy as np

ABSENT = -1e4
"""Bias of a class without a training track: it is never the hypothesis, and sums stay finite."""
ROWS = 8192
"""Of a block of vectors in double precision."""


@dataclass(frozen=True)
class Linear:
    """``scores(x) = weight x + bias``, the logarithm of joint densities up to a constant of each vector."""

    weight: np.ndarray  # float64 of shape (C, dim)
    bias: np.ndarray  # float64 of shape (C,)

    def log_posteriors(self, vectors: np.ndarray) -> np.ndarray:
        """Return natural logarithms of posteriors, float64 of shape (n, C), of (n, dim) vectors."""
        return log_softmax(np.asarray(vectors, dtype=np.float64) @ self.weight.T + self.bias)


@dataclass(frozen=True)
class Statistics:
    """What an LDA of any shrinkage needs of its training vectors, in units of deviations within classes."""

    centre: np.ndarray  # mean of all tracks, in the units of the vectors; float64 of shape (dim,)
    means: np.ndarray
    """Of the classes, from the centre; zeros where a class is absent; float64 of shape (C, dim)."""
    scale: np.ndarray  # deviations within the classes, 1 where a column is constant; float64 of shape (dim,)
    eigenvalues: np.ndarray
    """Of the covariance within the classes, the largest ones that are not zero; float64 of shape (r,)."""
    eigenvectors: np.ndarray  # float64 of shape (dim, r)
    prior: np.ndarray  # share of the tracks by class; float64 of shape (C,)

    def lda(self, shrinkage: float) -> Linear:
        """Return the LDA with covariance ``(1 - shrinkage) S + shrinkage trace(S) / dim I``."""
        if not 0.0 < shrinkage <= 1.0:
            raise ValueError(f"expected a shrinkage above 0 and up to 1, got {shrinkage:g}")
        floor = shrinkage * max(float(self.eigenvalues.sum()) / len(self.scale), 1e-12)
        inside = self.means @ self.eigenvectors
        gain = 1.0 / ((1.0 - shrinkage) * self.eigenvalues + floor) - 1.0 / floor
        weight = (inside * gain) @ self.eigenvectors.T + self.means / floor
        bias = -0.5 * np.einsum("cd,cd->c", weight, self.means)
        present = self.prior > 0
        bias = np.where(present, bias + np.log(np.where(present, self.prior, 1.0)), ABSENT)
        weight = weight / self.scale
        return Linear(weight, bias - weight @ self.centre)


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Return ``scores`` of shape (…, C) less the logarithm of the sum of their exponentials."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def statistics(vectors: np.ndarray, tracks: np.ndarray, labels: np.ndarray, num_classes: int) -> Statistics:
    """Gather statistics for an LDA: ``vectors`` (n, dim) are of ``tracks`` (n,), indices into ``labels``."""
    share = 1.0 / np.bincount(tracks, minlength=len(labels))[tracks]
    classes = labels[tracks]
    counts = np.bincount(labels, minlength=num_classes).astype(np.float64)
    means = np.zeros((num_classes, vectors.shape[1]))
    tall = len(vectors) >= vectors.shape[1]
    blocks, gram = [], np.zeros((vectors.shape[1],) * 2)
    for index in np.flatnonzero(counts):
        rows = np.flatnonzero(classes == index)
        parts = np.array_split(rows, len(rows) // ROWS + 1)
        sums = [share[part] @ vectors[part].astype(np.float64) for part in parts]
        means[index] = np.sum(sums, axis=0) / counts[index]
        for part in parts:
            values = (vectors[part] - means[index]) * np.sqrt(share[part] / len(labels))[:, np.newaxis]
            if tall:
                gram += values.T @ values
            else:
                blocks.append(values)
    residuals = np.zeros((0, len(gram))) if tall else np.concatenate(blocks)
    centre = counts @ means / counts.sum()
    scale = np.sqrt(np.diag(gram) if tall else np.einsum("nd,nd->d", residuals, residuals))
    scale[scale <= 1e-8 * np.maximum(1.0, np.abs(centre))] = 1.0
    if tall:
        values, directions = _eigen(gram / np.outer(scale, scale))
    else:  # by way of the smaller Gram matrix
        residuals /= scale
        values, directions = _eigen(residuals @ residuals.T)
        directions = residuals.T @ directions / np.sqrt(values)
    means = np.where(counts[:, np.newaxis] > 0, (means - centre) / scale, 0.0)
    return Statistics(centre, means, scale, values, directions, counts / counts.sum())


def _eigen(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues that are not zero, and their eigenvectors."""
    from scipy import linalg  # half a second to import, which classification does without

    values, vectors = linalg.eigh(gram)
    kept = values > 1e-12 * max(values[-1], 1e-300)
    return values[kept], vectors[:, kept]
