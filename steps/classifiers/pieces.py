"""A track as a few vectors: statistics of its frames over pieces of some seconds."""

from __future__ import annotations

import numpy as np

STATISTICS = ("mean", "extremes", "deviation")


def piece_bounds(num_frames: int, length: float) -> np.ndarray:
    """Return the bounds of pieces of about ``length`` frames, all of them equally long but for one frame.

    Parameters
    ----------
    num_frames : int
        At least 1.
    length : float
        Frames of a piece; 0 stands for the whole track.

    Returns
    -------
    int64 array of shape (pieces + 1,)
        From 0 to ``num_frames``, strictly ascending.
    """
    count = 1 if length <= 0 else max(1, min(num_frames, round(num_frames / length)))
    return np.linspace(0, num_frames, count + 1).round().astype(np.int64)


def piece_vectors(frames: np.ndarray, length: float, statistics: str) -> np.ndarray:
    """Return one vector a piece.

    Parameters
    ----------
    frames : array of shape (num_frames, dim)
        At least one frame.
    length : float
        Frames of a piece; 0 stands for the whole track.
    statistics : str
        ``mean``; ``extremes``, the minimum and the maximum of every column, as the paper takes them of
        posteriors (equations 11 and 12); or ``deviation``. Several are joined by ``+``.

    Returns
    -------
    float32 array of shape (pieces, dim or a multiple of it)

    Raises
    ------
    ValueError
        If a statistic has another name.
    """
    bounds = piece_bounds(len(frames), length)[:-1]
    counts = np.diff(np.append(bounds, len(frames)))[:, np.newaxis]
    columns = []
    for name in statistics.split("+"):
        if name == "extremes":
            columns += [np.minimum.reduceat(frames, bounds), np.maximum.reduceat(frames, bounds)]
            continue
        if name not in STATISTICS:
            raise ValueError(f"expected statistics among {' '.join(STATISTICS)}, got '{name}'")
        values = np.asarray(frames, dtype=np.float64)
        mean = np.add.reduceat(values, bounds) / counts
        if name == "mean":
            columns.append(mean)
        else:
            squares = np.add.reduceat((values - np.repeat(mean, counts[:, 0], axis=0)) ** 2, bounds)
            columns.append(np.sqrt(squares / counts))
    return np.concatenate(columns, axis=1).astype(np.float32)
