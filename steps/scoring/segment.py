"""From frames and frame posteriors of a track to votes and segment features (the paper, equations 10-14)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from steps import archive, mapped
from steps.scoring.reference import Reference
from utils.cli import UserError

LOG_FLOOR = 1e-10
"""Posteriors below this count as this, so that one impossible frame does not decide a track."""


def mean_frame(feats: np.ndarray) -> np.ndarray:
    """Return f_sc, the mean of the input frames (num_frames, feat_dim), float64 (equation 10)."""
    return mapped.sums(feats) / len(feats)


def posterior_statistics(post: np.ndarray, k: float) -> np.ndarray:
    """Return f_lstm, four statistics of the frame posteriors (num_frames, C) (equations 11-14).

    float64 of shape (4 * C,): maxima, minima, means and shares of frames above ``k``, by class.
    """
    share = mapped.sums(post, lambda block: block.astype(np.float64) > k) / len(post)
    return np.concatenate([post.max(axis=0), post.min(axis=0), mean_frame(post), share])


class TrackVote(NamedTuple):
    """What the frames of one track say."""

    counts: np.ndarray  # frames whose largest posterior is each class, int64 of shape (C,)
    mean_posterior: np.ndarray  # mean posterior of each class, float64 of shape (C,)
    mean_log_posterior: np.ndarray  # mean natural logarithm of the floored posteriors, float64 of shape (C,)
    majority: int  # class of the majority vote

    @property
    def shares(self) -> np.ndarray:
        """Share of the frames that voted for each class."""
        return self.counts / self.counts.sum()


def vote(post: np.ndarray) -> TrackVote:
    """Count the votes of one track's posteriors (num_frames, C).

    A frame votes for its largest posterior (the first of equal ones). Among classes with the most frames the
    one with the larger summed posterior wins.
    """
    counts = np.bincount(np.argmax(post, axis=1), minlength=post.shape[1])
    mean = mean_frame(post)
    logs = mapped.sums(post, lambda block: np.log(np.maximum(block.astype(np.float64), LOG_FLOOR)))
    best = np.flatnonzero(counts == counts.max())
    return TrackVote(counts, mean, logs / len(post), int(best[np.argmax(mean[best])]))


def check_posteriors(utt: str, post: np.ndarray, num_classes: int, source: str) -> None:
    """Refuse posteriors of a wrong shape, or that are no distributions (within 1 %)."""
    where = f"{source}: utterance '{utt}'"
    if not len(post) or post.shape[1] != num_classes:
        got = f"{len(post)} frames of {post.shape[1]}"
        raise UserError(f"{where}: expected frames with posteriors of {num_classes} classes, got {got}")
    sums, least = post.sum(axis=1, dtype=np.float64), post.min(axis=1)
    if len(bad := np.flatnonzero(~((np.abs(sums - 1.0) <= 0.01) & (least >= -1e-3)))):  # of NaN, too
        raise UserError(
            f"{where}: frame {bad[0]} is not a distribution: expected posteriors that sum to 1, got a sum of "
            f"{sums[bad[0]]:.4g} (a network that diverged, log posteriors, activations before the softmax?)"
        )


def read_posteriors(reference: Reference, rspecifier: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the posteriors (num_frames, C) of exactly the reference's tracks, checked."""
    for utt, post in reference.exactly(archive.read_matrices(rspecifier), rspecifier):
        check_posteriors(utt, post, len(reference.classes), rspecifier)
        yield utt, post
