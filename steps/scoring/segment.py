"""Segment features: what a track's frames and frame posteriors amount to (equations 10-14 of the paper)."""

from __future__ import annotations

import numpy as np

from steps import mapped

KINDS = ("sc", "lstm", "fusion")


def mean_frame(feats: np.ndarray) -> np.ndarray:
    """Return f_sc, the mean of the input frames (num_frames, feat_dim), float64 (equation 10)."""
    return mapped.sums(feats) / len(feats)


def share_above(post: np.ndarray, k: float) -> np.ndarray:
    """Return f_k, the share of frames with a posterior above ``k`` (equation 14), float64 of shape (C,)."""
    return mapped.sums(post, lambda block: block.astype(np.float64) > k) / len(post)


def posterior_statistics(post: np.ndarray, k: float) -> np.ndarray:
    """Return f_lstm, four statistics of the frame posteriors (num_frames, C) (equations 11-14).

    float64 of shape (4 * C,): maxima, minima, means and shares of frames above ``k``, each C values in class
    order.
    """
    return np.concatenate([post.max(axis=0), post.min(axis=0), mean_frame(post), share_above(post, k)])


def fusion(mean: np.ndarray, statistics: np.ndarray) -> np.ndarray:
    """Return f_fusion = [f_sc, f_lstm], float64 of shape (feat_dim + 4 * C,)."""
    return np.concatenate([mean, statistics])
