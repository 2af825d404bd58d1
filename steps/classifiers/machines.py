"""What may stand in an LDA's place: linear SVM, RBF SVM and logistic regression, one class against the rest.

Vectors are standardised; every track weighs the same, however many vectors it has. Scores are not posteriors
until they are calibrated (:mod:`steps.classifiers.calibration`), as every part's are.
"""

from dataclasses import dataclass

import numpy as np

from steps.classifiers.lda import ABSENT, Linear, log_softmax

MACHINES = ("svm", "rbf", "logistic")
ROWS = 2048
"""Of a block of kernel values."""


@dataclass(frozen=True)
class Kernel:
    """``scores(x) = exp(-|x scale - support|^2 / dim) weight + bias``: an RBF SVM for each class."""

    weight: np.ndarray  # float64 of shape (n, C)
    bias: np.ndarray  # float64 of shape (C,)
    scale: np.ndarray  # one over the deviations, float64 of shape (dim,)
    support: np.ndarray  # training vectors times the scale, float64 of shape (n, dim)

    def log_posteriors(self, vectors: np.ndarray) -> np.ndarray:
        """Return normalised scores, float64 of shape (n, C), of (n, dim) vectors."""
        from sklearn.metrics.pairwise import rbf_kernel  # a second to import, which most systems do without

        gamma = 1.0 / len(self.scale)
        scores = [
            rbf_kernel(
                np.asarray(vectors[start : start + ROWS], np.float64) * self.scale, self.support, gamma
            )
            @ self.weight
            for start in range(0, len(vectors), ROWS)
        ]
        return log_softmax(np.concatenate(scores) + self.bias)


def fit(
    kind: str, cost: float, vectors: np.ndarray, tracks: np.ndarray, labels: np.ndarray, num_classes: int
) -> Linear | Kernel:
    """Train one of :data:`MACHINES`; arrays as of :func:`steps.classifiers.lda.statistics`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC, LinearSVC

    values = np.asarray(vectors, dtype=np.float64)
    share = 1.0 / np.bincount(tracks, minlength=len(labels))[tracks]
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale = 1.0 / np.where(scale <= 1e-8 * np.maximum(1.0, np.abs(mean)), 1.0, scale)
    # Distances, which an RBF is made of, need no centre.
    values = values * scale if kind == "rbf" else (values - mean) * scale
    machine = {
        "svm": LinearSVC(C=cost, dual=False, tol=1e-3),
        "rbf": SVC(C=cost, gamma=1.0 / values.shape[1], cache_size=500),
        "logistic": LogisticRegression(C=cost, tol=1e-3, max_iter=500),
    }[kind]
    rows = len(values) if kind == "rbf" else values.shape[1]
    weight, bias = np.zeros((rows, num_classes)), np.full(num_classes, ABSENT)
    for index in np.unique(labels):
        machine.fit(values, labels[tracks] == index, sample_weight=share)
        bias[index] = machine.intercept_[0]
        if kind == "rbf":
            weight[machine.support_, index] = machine.dual_coef_[0]
        else:
            weight[:, index] = machine.coef_[0]
    if kind == "rbf":
        used = np.abs(weight).max(axis=1) > 0
        return Kernel(weight[used], bias, scale, values[used])
    linear = (weight * scale[:, np.newaxis]).T
    return Linear(linear, bias - linear @ mean)
