"""What classifies vectors: shrinkage LDA, linear SVM, RBF SVM and logistic regression, as named arrays.

Every track weighs the same, however many vectors it has. Scores of others than LDAs, one class against the
rest on standardised vectors, are no posteriors until they are calibrated, as every part's are.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

Arrays = Mapping[str, np.ndarray]
"""``weight`` (C, dim) and ``bias`` (C,), float64: scores are log densities up to a constant of a vector. With
``support`` (n, dim) and ``scale`` (dim,) the weight, (C, n), is of exp(-|x scale - support|^2 / dim)."""
LDA = "lda"
KINDS = (LDA, "svm", "rbf", "logistic")
ABSENT = -1e4
"""Bias of a class without a training track: it is never the hypothesis, and sums stay finite."""
ROWS = 8192
"""Of a block of vectors in double precision."""


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Return ``scores`` of shape (…, C) less the logarithm of the sum of their exponentials."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_posteriors(machine: Arrays, vectors: np.ndarray) -> np.ndarray:
    """Return natural logarithms of posteriors, float64 of shape (n, C), of (n, dim) vectors."""
    values = np.asarray(vectors, dtype=np.float64)
    if "support" in machine:
        from sklearn.metrics.pairwise import rbf_kernel  # a second to import, which most systems do without

        values = rbf_kernel(values * machine["scale"], machine["support"], 1.0 / values.shape[1])
    return log_softmax(values @ machine["weight"].T + machine["bias"])


def fit(
    kind: str, vectors: Sequence[np.ndarray], labels: np.ndarray, num_classes: int, grid: Sequence[float]
) -> Iterator[Arrays]:
    """Train on the vectors (n, dim) of each track, for one shrinkage (of an LDA) or cost after the other."""
    tracks = np.repeat(np.arange(len(vectors)), [len(some) for some in vectors])
    train = _lda if kind == LDA else partial(_one_against_rest, kind)
    yield from train(np.concatenate(vectors), tracks, labels, num_classes, grid)


def _lda(
    vectors: np.ndarray, tracks: np.ndarray, labels: np.ndarray, num_classes: int, grid: Sequence[float]
) -> Iterator[Arrays]:
    """Train LDAs with covariances ``(1 - shrinkage) S + shrinkage trace(S) / dim I``.

    The classes are Gaussians with one covariance (Fisher 1936; Hastie, Tibshirani and Friedman, The Elements
    of Statistical Learning, 4.3), shrunk after every column was divided by its deviation within the classes
    (Friedman, Regularized Discriminant Analysis, 1989). One eigendecomposition serves all shrinkages.
    """
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
    prior = counts / counts.sum()
    for shrinkage in grid:
        floor = shrinkage * max(float(values.sum()) / len(scale), 1e-12)
        gain = 1.0 / ((1.0 - shrinkage) * values + floor) - 1.0 / floor
        weight = (means @ directions * gain) @ directions.T + means / floor
        bias = -0.5 * np.einsum("cd,cd->c", weight, means)
        bias = np.where(prior > 0, bias + np.log(np.where(prior > 0, prior, 1.0)), ABSENT)
        weight = weight / scale
        yield {"weight": weight, "bias": bias - weight @ centre}


def _eigen(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues that are not zero, and their eigenvectors."""
    from scipy import linalg  # half a second to import, which classification does without

    values, vectors = linalg.eigh(gram)
    kept = values > 1e-12 * max(values[-1], 1e-300)
    return values[kept], vectors[:, kept]


def _one_against_rest(
    kind: str,
    vectors: np.ndarray,
    tracks: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    grid: Sequence[float],
) -> Iterator[Arrays]:
    """Train machines of scikit-learn for each class."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC, LinearSVC

    values = np.asarray(vectors, dtype=np.float64)
    share = 1.0 / np.bincount(tracks, minlength=len(labels))[tracks]
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale = 1.0 / np.where(scale <= 1e-8 * np.maximum(1.0, np.abs(mean)), 1.0, scale)
    # Distances, which an RBF is made of, need no centre.
    values = values * scale if kind == "rbf" else (values - mean) * scale
    for cost in grid:
        machine = {
            "svm": LinearSVC(C=cost, dual=False, tol=1e-3),
            "rbf": SVC(C=cost, gamma=1.0 / values.shape[1], cache_size=500),
            "logistic": LogisticRegression(C=cost, tol=1e-3, max_iter=500),
        }[kind]
        weight = np.zeros((num_classes, len(values) if kind == "rbf" else values.shape[1]))
        bias = np.full(num_classes, ABSENT)
        for index in np.unique(labels):
            machine.fit(values, labels[tracks] == index, sample_weight=share)
            bias[index] = machine.intercept_[0]
            if kind == "rbf":
                weight[index, machine.support_] = machine.dual_coef_[0]
            else:
                weight[index] = machine.coef_[0]
        if kind == "rbf":
            used = np.abs(weight).max(axis=0) > 0
            yield {"weight": weight[:, used], "bias": bias, "scale": scale, "support": values[used]}
        else:
            yield {"weight": weight * scale, "bias": bias - weight * scale @ mean}
