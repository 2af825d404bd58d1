"""Several classifiers of a track, their calibrated log posteriors added.

A part is an LDA, or one of :mod:`steps.classifiers.machines`, on pieces of one kind of frames
(:mod:`steps.classifiers.pieces`), or log posteriors that something else made, out of fold for the training
tracks (a network's). Settings and parts are chosen by cross-validation on the training tracks alone: for
every LDA the shrinkage, for other machines the cost with the smallest held-out loss; of the parts those that
are missed when they are left out (:func:`choose_parts`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from steps import mapped
from steps.classifiers import lda, machines
from steps.classifiers.calibration import calibrate, fit_confidence, fit_sharpness, track_losses

Folds = Sequence[tuple[np.ndarray, np.ndarray]]
"""Pairs of training and held-out track indices; every track is held out once."""
LDA = "lda"
ROWS = 1024
"""Vectors that are classified together: a product's last bits depend on their number."""
CLASSIFIERS = (LDA, *machines.MACHINES)


@dataclass(frozen=True)
class Pieces:
    """The vectors of several tracks."""

    vectors: np.ndarray  # float32 of shape (n, dim), track after track
    counts: np.ndarray  # vectors of each track, int64 of shape (num_tracks,)

    @property
    def tracks(self) -> np.ndarray:
        """Track of every vector, int64 of shape (n,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def take(self, tracks: np.ndarray) -> "Pieces":
        """Return the vectors of some tracks, in their order."""
        starts = np.cumsum(self.counts) - self.counts
        rows = np.concatenate([np.arange(starts[t], starts[t] + self.counts[t]) for t in tracks])
        return Pieces(self.vectors[rows], self.counts[tracks])

    def alone(self) -> "Iterator[Pieces]":
        """Yield the vectors of each track: sums over them do not depend on what other tracks there are."""
        for end, count in zip(np.cumsum(self.counts), self.counts, strict=True):
            yield Pieces(self.vectors[end - count : end], np.array([count]))

    def log_posteriors(self, model: lda.Linear | machines.Kernel) -> np.ndarray:
        """Return the mean log posteriors of each track, float64 of shape (num_tracks, C)."""
        starts = np.cumsum(self.counts) - self.counts
        scores = [model.log_posteriors(block) for block in mapped.blocks(self.vectors, ROWS)]
        return np.add.reduceat(np.concatenate(scores), starts, axis=0) / self.counts[:, np.newaxis]


def fits(
    pieces: "Pieces", labels: np.ndarray, num_classes: int, grid: Sequence[float], classifier: str
) -> Iterator[lda.Linear | machines.Kernel]:
    """Train with one value of the grid after the other: shrinkages of an LDA, costs of what else there is."""
    if classifier == LDA:
        moments = lda.statistics(pieces.vectors, pieces.tracks, labels, num_classes)
        yield from (moments.lda(shrinkage) for shrinkage in grid)
        return
    for cost in grid:
        yield machines.fit(classifier, cost, pieces.vectors, pieces.tracks, labels, num_classes)


def held_out(
    pieces: "Pieces",
    labels: np.ndarray,
    num_classes: int,
    folds: Folds,
    grid: Sequence[float],
    classifier: str = LDA,
) -> np.ndarray:
    """Return out-of-fold log posteriors for every value, float64 of shape (len(grid), num_tracks, C)."""
    found = np.zeros((len(grid), len(labels), num_classes))
    for train, held in folds:
        models = fits(pieces.take(train), labels[train], num_classes, grid, classifier)
        rest = pieces.take(held)
        for position, model in enumerate(models):
            found[position, held] = rest.log_posteriors(model)
    return found


def choose_shrinkage(scores: np.ndarray, labels: np.ndarray) -> tuple[int, float]:
    """Return place and sharpness of the smallest calibrated loss of (num_shrinkages, num_tracks, C)."""
    sharpness = [fit_sharpness(score, labels) for score in scores]
    losses = [
        track_losses(factor * score, labels).mean() for factor, score in zip(sharpness, scores, strict=True)
    ]
    best = int(np.argmin(losses))
    return best, sharpness[best]


def fuse(
    scores: Mapping[str, np.ndarray], parts: Sequence[str], labels: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the sum of some parts, as sure as it is right, and its sharpness, 1 at most."""
    total = np.sum([scores[name] for name in parts], axis=0)
    sharpness = min(1.0, fit_confidence(total, labels))
    return calibrate(total, sharpness), sharpness


def fused_losses(scores: Mapping[str, np.ndarray], parts: Sequence[str], labels: np.ndarray) -> np.ndarray:
    """Return the loss (num_tracks,) of the sum of some parts with the sharpness where it is smallest."""
    total = np.sum([scores[name] for name in parts], axis=0)
    return track_losses(fit_sharpness(total, labels) * total, labels)


def choose_parts(
    scores: Mapping[str, np.ndarray], labels: np.ndarray, doubts: Mapping[str, float]
) -> list[str]:
    """Leave out parts, the least useful first, until each of the rest is missed.

    ``scores`` are calibrated out-of-fold log posteriors (num_tracks, C). A part stays if the loss without it
    is larger by more than its ``doubts`` standard errors of the difference: 1 wants evidence that a part
    helps (the simpler system is preferred), -1 evidence that it does harm before it leaves.
    """
    parts = list(scores)
    while len(parts) > 1:
        losses = fused_losses(scores, parts, labels)
        gains = {}
        for name in parts:
            rest = [other for other in parts if other != name]
            difference = fused_losses(scores, rest, labels) - losses
            error = difference.std(ddof=1) / np.sqrt(len(labels))
            gains[name] = difference.mean() - doubts[name] * error
        least = min(parts, key=lambda name: gains[name])
        if gains[least] > 0:
            break
        parts.remove(least)
    return parts
