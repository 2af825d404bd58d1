"""Segment features: what a track's frames and frame posteriors amount to (equations 10-14 of the paper)."""

import numpy as np

from steps import mapped


def mean_frame(feats: np.ndarray) -> np.ndarray:
    """Return f_sc, the mean of the input frames (num_frames, feat_dim), float64 (equation 10)."""
    return mapped.sums(feats) / len(feats)


def posterior_statistics(post: np.ndarray, k: float) -> np.ndarray:
    """Return f_lstm, four statistics of the frame posteriors (num_frames, C) (equations 11-14).

    float64 of shape (4 * C,): maxima, minima, means and shares of frames above ``k``, each C values in class
    order.
    """
    share = mapped.sums(post, lambda block: block.astype(np.float64) > k) / len(post)
    return np.concatenate([post.max(axis=0), post.min(axis=0), mean_frame(post), share])
