"""Log posteriors whose probabilities can be believed: one factor, chosen on tracks held out from training.

Log posteriors of neighbouring frames add up as if each were new evidence, and few tracks make a classifier
too sure of itself; both is mended by a factor (Guo et al., On Calibration of Modern Neural Networks, 2017,
where it is one over the temperature).
"""

import numpy as np

from steps.classifiers.lda import log_softmax

FLOOR = np.log(1e-10)
"""A track costs no more than this, so that one impossible class does not decide a choice."""


def track_losses(log_posteriors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return minus the log posterior of the true class (num_tracks,), of scores (num_tracks, C)."""
    return -np.maximum(log_softmax(log_posteriors)[np.arange(len(labels)), labels], FLOOR)


def fit_sharpness(log_posteriors: np.ndarray, labels: np.ndarray) -> float:
    """Return the factor of the log posteriors (num_tracks, C) with the smallest mean loss on ``labels``.

    Of n tracks none counts as entirely sure: the true class has a share of (n + 1) / (n + 2), so that the
    factor stays small where all are right (Platt, Probabilistic Outputs for Support Vector Machines, 1999).
    """
    from scipy.optimize import minimize_scalar  # half a second to import, which classification does without

    others = 1.0 / (len(labels) + 2)
    share = np.full(log_posteriors.shape, others / (log_posteriors.shape[1] - 1))
    share[np.arange(len(labels)), labels] = 1.0 - others

    def loss(logarithm: float) -> float:
        return -float((share * np.maximum(log_softmax(np.exp(logarithm) * log_posteriors), FLOOR)).mean())

    found = minimize_scalar(loss, bounds=(np.log(1e-3), np.log(10.0)), method="bounded")
    return float(np.exp(found.x))


def fit_confidence(log_posteriors: np.ndarray, labels: np.ndarray) -> float:
    """Return the factor of the log posteriors (num_tracks, C) with which they are as sure as they are right.

    The mean probability of the hypotheses is that of the right ones, (right + 1) / (n + 2). Where tracks are
    few, one that is surely wrong decides the smallest loss and makes all others less sure than they deserve;
    it counts here as one.
    """
    target = ((log_posteriors.argmax(axis=1) == labels).sum() + 1.0) / (len(labels) + 2.0)
    low, high = np.log(1e-3), np.log(10.0)
    for _ in range(50):
        middle = (low + high) / 2.0
        sure = np.exp(log_softmax(np.exp(middle) * log_posteriors)).max(axis=1).mean()
        low, high = (middle, high) if sure < target else (low, middle)
    return float(np.exp(low))


def calibrate(log_posteriors: np.ndarray, sharpness: float) -> np.ndarray:
    """Return the log posteriors (num_tracks, C) times the factor, normalised."""
    return log_softmax(sharpness * log_posteriors)
