"""Training of the fused system: settings, parts and calibration by cross-validation on the training tracks.

Of every LDA the shrinkage, of other machines the cost with the smallest held-out loss; of the parts those
that are missed when they are left out. Log posteriors of neighbouring frames add up as if each were new
evidence, and few tracks make a classifier too sure of itself; both is mended by a factor, the sharpness (Guo
et al., On Calibration of Modern Neural Networks, 2017, where it is one over the temperature).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from steps.classifiers import machines
from steps.classifiers.machines import LDA, log_softmax
from steps.classifiers.model import NETWORK, VOTE, Ensemble, Part, calibrate, mean_log_posteriors
from steps.scoring.svm import Folds

Scores = Mapping[str, np.ndarray]
"""Log posteriors (num_tracks, C) by the name of a part."""
FLOOR = np.log(1e-10)  # a track costs no more, so that one impossible class does not decide a choice


@dataclass(frozen=True)
class Trained:
    """What training gives: the system, and the out-of-fold scores behind its choices."""

    ensemble: Ensemble
    out_of_fold: Scores  # calibrated, of every part, kept or not
    candidates: tuple[Part, ...]  # every part, kept or not


def track_losses(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return minus the log posterior of the true class (num_tracks,), of scores (num_tracks, C)."""
    return -np.maximum(log_softmax(scores)[np.arange(len(labels)), labels], FLOOR)


def fit_sharpness(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the factor of the log posteriors (num_tracks, C) with the smallest mean loss on ``labels``.

    Of n tracks none counts as entirely sure: the true class has a share of (n + 1) / (n + 2), so that the
    factor stays small where all are right (Platt, Probabilistic Outputs for Support Vector Machines, 1999).
    """
    from scipy.optimize import minimize_scalar

    others = 1.0 / (len(labels) + 2)
    share = np.full(scores.shape, others / (scores.shape[1] - 1))
    share[np.arange(len(labels)), labels] = 1.0 - others

    def loss(logarithm: float) -> float:
        return -float((share * np.maximum(log_softmax(np.exp(logarithm) * scores), FLOOR)).mean())

    found = minimize_scalar(loss, bounds=(np.log(1e-3), np.log(10.0)), method="bounded")
    return float(np.exp(found.x))


def fit_confidence(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the factor of the log posteriors (num_tracks, C) with which they are as sure as they are right.

    The mean probability of the hypotheses is (right + 1) / (n + 2). The smallest loss would be decided by the
    one track of few that is surely wrong.
    """
    target = ((scores.argmax(axis=1) == labels).sum() + 1.0) / (len(labels) + 2.0)
    low, high = np.log(1e-3), np.log(10.0)
    for _ in range(50):
        middle = (low + high) / 2.0
        sure = np.exp(log_softmax(np.exp(middle) * scores)).max(axis=1).mean()
        low, high = (middle, high) if sure < target else (low, middle)
    return float(np.exp(low))


def held_out(
    tracks: Sequence[np.ndarray],
    labels: np.ndarray,
    num_classes: int,
    folds: Folds,
    grid: Sequence[float],
    classifier: str = LDA,
) -> np.ndarray:
    """Return out-of-fold log posteriors for every value, float64 of shape (len(grid), num_tracks, C)."""
    found = np.zeros((len(grid), len(labels), num_classes))
    for train_tracks, held in folds:
        own = [tracks[t] for t in train_tracks]
        trained = machines.fit(classifier, own, labels[train_tracks], num_classes, grid)
        for position, machine in enumerate(trained):
            found[position, held] = mean_log_posteriors(machine, [tracks[t] for t in held])
    return found


def _total(scores: Scores, parts: Iterable[str]) -> np.ndarray:
    return np.sum([scores[name] for name in parts], axis=0)


def choose_parts(scores: Scores, labels: np.ndarray, doubts: Mapping[str, float]) -> list[str]:
    """Leave out parts, the least useful first, until each of the rest is missed.

    A part stays if the loss without it is larger by more than its ``doubts`` standard errors of the
    difference: 1 wants evidence that a part helps (the simpler system is preferred), -1 evidence that it does
    harm before it leaves.
    """

    def losses(parts: Iterable[str]) -> np.ndarray:
        total = _total(scores, parts)
        return track_losses(fit_sharpness(total, labels) * total, labels)

    parts = list(scores)
    while len(parts) > 1:
        every, gains = losses(parts), {}
        for name in parts:
            difference = losses(other for other in parts if other != name) - every
            error = difference.std(ddof=1) / np.sqrt(len(labels))
            gains[name] = difference.mean() - doubts[name] * error
        least = min(parts, key=lambda name: gains[name])
        if gains[least] > 0:
            break
        parts.remove(least)
    return parts


def fuse(scores: Scores, labels: np.ndarray, doubts: Mapping[str, float]) -> tuple[list[str], float]:
    """Return the parts to add, and the factor with which their sum is as sure as it is right, 1 at most."""
    parts = choose_parts(scores, labels, doubts)
    return parts, min(1.0, fit_confidence(_total(scores, parts), labels))


def train(
    parts: Sequence[Part],
    tracks: Mapping[str, Sequence[np.ndarray]],
    labels: np.ndarray,
    classes: Sequence[str],
    folds: Folds,
    grid: Sequence[float],
    doubts: Mapping[str, float],
    costs: Sequence[float] = (0.01, 0.1, 1.0, 10.0),
) -> Trained:
    """Choose settings and parts on held-out tracks, train on all; ``tracks`` are vectors of each by part."""
    candidates, scores = [], {}
    for part in parts:
        given = tracks[part.name]
        if part.statistics in (NETWORK, VOTE):
            found = np.concatenate(given)
        else:
            values = grid if part.classifier == LDA else costs
            every = held_out(given, labels, len(classes), folds, values, part.classifier)
            loss = [track_losses(fit_sharpness(each, labels) * each, labels).mean() for each in every]
            best = int(np.argmin(loss))
            (machine,) = machines.fit(part.classifier, given, labels, len(classes), [values[best]])
            part = replace(part, setting=values[best], arrays={**part.arrays, **machine})
            found = every[best]
        part = replace(part, sharpness=fit_sharpness(found, labels))
        candidates.append(part)
        scores[part.name] = calibrate(found, part.sharpness)
    kept, sharpness = fuse(scores, labels, doubts)
    members = tuple(part for part in candidates if part.name in kept)
    return Trained(Ensemble(tuple(classes), members, sharpness), scores, tuple(candidates))


def cross_calibrated(
    scores: Scores, labels: np.ndarray, folds: Folds, doubts: Mapping[str, float]
) -> np.ndarray:
    """Return log posteriors (num_tracks, C) of the sum, its parts and sharpness chosen on the other folds."""
    found = np.zeros_like(next(iter(scores.values())))
    for own, held in folds:
        kept, sharpness = fuse({name: score[own] for name, score in scores.items()}, labels[own], doubts)
        found[held] = calibrate(_total(scores, kept)[held], sharpness)
    return found
