"""A track as a few vectors: statistics of its frames over pieces of some seconds, read block by block."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

import numpy as np

from steps import mapped
from steps.scoring.segment import mean_frame

QUANTILES = (0.1, 0.5, 0.9)
MOVEMENTS = 20  # directions in which the frames of a track move most, whose order counts
LAGS = (1, 2, 4, 8, 16)  # frames that one movement lags behind another: 0.19 to 3 s of conf/scattering.conf


def movements(tracks: Iterable[np.ndarray]) -> np.ndarray:
    """Return principal directions of frames about their track's mean, at unit deviation, (dim, MOVEMENTS)."""
    scatter, count = np.zeros(()), 0
    for frames in tracks:
        values = np.asarray(frames, dtype=np.float64)
        values = values - values.mean(axis=0)
        scatter = scatter + values.T @ values
        count += len(values)
    variances, directions = np.linalg.eigh(scatter / max(count, 1))
    variances = np.maximum(variances, 1e-10 * max(variances[-1], 1e-10))
    return (directions / np.sqrt(variances))[:, : -MOVEMENTS - 1 : -1]


def order(frames: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """Return what of the covariances of movements at :data:`LAGS` changes its sign when time runs backwards.

    That is the antisymmetric part ``C(lag) - C(lag)'``, in units of the variance of the piece, with zeros for
    lags that it is too short for, (len(LAGS) * dims * (dims - 1) / 2,). ``projection`` (dim, dims) is what
    :func:`movements` found.
    """
    moved = (block.astype(np.float64) @ projection for block in mapped.blocks(frames))
    moves = mapped.gathered(moved, len(frames))
    mean = mean_frame(moves)
    variance = mapped.sums(moves, lambda some: (some - mean) ** 2).mean() / len(moves)
    scale = np.sqrt(max(float(variance), 1e-10))
    above = np.triu_indices(moves.shape[1], 1)
    found = []
    for lag in LAGS:
        covariance = np.zeros((moves.shape[1],) * 2)
        for some in _overlapping(moves, lag):
            some = (some - mean) / scale
            covariance += some[:-lag].T @ some[lag:]
        covariance /= max(len(moves) - lag, 1)
        found.append((covariance - covariance.T)[above])
    return np.concatenate(found)


def _overlapping(rows: np.ndarray, overlap: int) -> Iterator[np.ndarray]:
    """Yield blocks of rows, each with the first ones of the next."""
    for low in range(0, len(rows), mapped.ROWS):
        yield rows[low : low + mapped.ROWS + overlap]
        mapped.let_go(rows)


def extremes(frames: np.ndarray) -> np.ndarray:
    """Return minima and maxima of the columns, as the paper takes them of posteriors (equations 11, 12)."""
    ends = np.stack([end for some in mapped.blocks(frames) for end in (some.min(axis=0), some.max(axis=0))])
    return np.concatenate([ends.min(axis=0), ends.max(axis=0)])


def deviation(frames: np.ndarray) -> np.ndarray:
    """Return the standard deviations of the columns."""
    mean = mean_frame(frames)
    return np.sqrt(mapped.sums(frames, lambda some: (some - mean) ** 2) / len(frames))


def changes(frames: np.ndarray) -> np.ndarray:
    """Return the mean distance of neighbouring frames."""
    steps = [np.abs(np.diff(some.astype(np.float64), axis=0)).sum(axis=0) for some in _overlapping(frames, 1)]
    return np.sum(steps, axis=0) / max(len(frames) - 1, 1)


STATISTICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": mean_frame,
    "extremes": extremes,
    "deviation": deviation,
    "quantiles": lambda frames: mapped.quantiles(frames, QUANTILES).ravel(),
    "changes": changes,
}
"""Of a piece, by the names of configurations, beside ``order``, which needs a projection."""


def piece_vectors(
    frames: np.ndarray, length: float, statistics: str, arrays: Mapping[str, np.ndarray] | None = None
) -> np.ndarray:
    """Return one vector a piece, float32 of shape (pieces, …), of frames (num_frames, dim).

    ``length`` is in frames, 0 for the whole track. ``statistics`` are those of :data:`STATISTICS` or
    :func:`order`, whose projection is among ``arrays``, joined by ``+``.
    """
    known = STATISTICS | {"order": lambda some: order(some, (arrays or {})["projection"])}
    of_piece = [known[name] for name in statistics.split("+")]
    count = 1 if length <= 0 else max(1, min(len(frames), round(len(frames) / length)))
    bounds = np.linspace(0, len(frames), count + 1).round().astype(np.int64)

    def vectors() -> Iterator[np.ndarray]:
        for low, high in pairwise(bounds):
            found = [statistic(frames[low:high]) for statistic in of_piece]
            yield np.concatenate(found, dtype=np.float32)[np.newaxis]
            mapped.let_go(frames)

    return mapped.gathered(vectors(), count)
