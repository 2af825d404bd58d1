"""A track as a few vectors: statistics of its frames over pieces of some seconds."""

from collections.abc import Iterable

import numpy as np

from steps import mapped

STATISTICS = ("mean", "extremes", "deviation", "quantiles", "changes", "order")
QUANTILES = (0.1, 0.5, 0.9)
MOVEMENTS = 20
"""Directions in which the frames of a track move most, whose order counts."""
LAGS = (1, 2, 4, 8, 16)
"""Frames that one movement lags behind another: 0.19 to 3 s of conf/scattering.conf."""


def piece_bounds(num_frames: int, length: float) -> np.ndarray:
    """Return int64 bounds (pieces + 1,) of even pieces of about ``length`` frames; 0: the whole track."""
    count = 1 if length <= 0 else max(1, min(num_frames, round(num_frames / length)))
    return np.linspace(0, num_frames, count + 1).round().astype(np.int64)


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


def order(moves: np.ndarray) -> np.ndarray:
    """Return what of the covariances of movements at :data:`LAGS` changes its sign when time runs backwards.

    Covariances and means at no lag, as all statistics of single frames, are the same for a piece and for its
    reverse; the antisymmetric part ``C(lag) - C(lag)'`` is not. ``moves`` (num_frames, dims) are frames
    times :func:`movements`; the result, of shape (len(LAGS) * dims * (dims - 1) / 2,), is in units of the
    variance of the piece, with zeros for lags that it is too short for.
    """
    mean = mapped.sums(moves) / len(moves)
    variance = mapped.sums(moves, lambda some: (some - mean) ** 2).mean() / len(moves)
    scale = np.sqrt(max(float(variance), 1e-10))
    above = np.triu_indices(moves.shape[1], 1)
    found = []
    for lag in LAGS:
        covariance = np.zeros((moves.shape[1],) * 2)
        for low in range(0, len(moves), mapped.ROWS):
            some = (moves[low : low + mapped.ROWS + lag] - mean) / scale
            covariance += some[:-lag].T @ some[lag:]
            mapped.let_go(moves)
        covariance /= max(len(moves) - lag, 1)
        found.append((covariance - covariance.T)[above])
    return np.concatenate(found)


def piece_vectors(
    frames: np.ndarray, length: float, statistics: str, projection: np.ndarray | None = None
) -> np.ndarray:
    """Return one vector a piece, float32 of shape (pieces, …), of frames (num_frames, dim).

    ``length`` is in frames, 0 for the whole track. ``statistics`` are joined by ``+``: ``mean``;
    ``extremes``, the minimum and the maximum of every column, as the paper takes them of posteriors
    (equations 11 and 12); ``deviation``; :data:`QUANTILES`; ``changes``, the mean distance of neighbouring
    frames; or :func:`order`, which needs ``projection``, the :func:`movements`. ValueError for another name.
    """
    bounds = piece_bounds(len(frames), length)
    pieces = len(bounds) - 1
    step = max(1, mapped.ROWS * pieces // len(frames))
    found = np.empty(0)
    for first in range(0, pieces, step):
        some = bounds[first : first + step + 1]
        vectors = _vectors(frames[some[0] : some[-1]], some[:-1] - some[0], statistics, projection)
        if not first:
            found = mapped.empty((pieces, vectors.shape[1]))
        found[first : first + step] = vectors
        mapped.let_go(frames)
        mapped.let_go(found)
    return found


def _vectors(
    frames: np.ndarray, bounds: np.ndarray, statistics: str, projection: np.ndarray | None
) -> np.ndarray:
    """Return the vectors of pieces that begin at ``bounds``."""
    counts = np.diff(np.append(bounds, len(frames)))[:, np.newaxis]
    values = frames if statistics in ("extremes", "order") else np.asarray(frames, dtype=np.float64)

    def mean(of: np.ndarray) -> np.ndarray:
        return np.add.reduceat(of, bounds) / counts

    columns: list[np.ndarray] = []
    for name in statistics.split("+"):
        if name not in STATISTICS:
            raise ValueError(f"expected statistics among {' '.join(STATISTICS)}, got '{name}'")
        if name == "mean":
            columns.append(mean(values))
        elif name == "extremes":
            columns += [np.minimum.reduceat(frames, bounds), np.maximum.reduceat(frames, bounds)]
        elif name == "deviation":
            columns.append(np.sqrt(mean((values - np.repeat(mean(values), counts[:, 0], axis=0)) ** 2)))
        elif name == "quantiles":
            found = [np.quantile(piece, QUANTILES, axis=0).ravel() for piece in np.split(values, bounds[1:])]
            columns.append(np.stack(found))
        elif name == "changes":
            steps = np.abs(np.diff(values, axis=0, append=values[-1:]))
            steps[bounds[1:] - 1] = 0.0  # the next frame is another piece's
            columns.append(np.add.reduceat(steps, bounds) / np.maximum(counts - 1, 1))
        else:
            moves = _moves(frames, projection)
            columns.append(np.stack([order(piece) for piece in np.split(moves, bounds[1:])]))
    return np.concatenate(columns, axis=1)


def _moves(frames: np.ndarray, projection: np.ndarray | None) -> np.ndarray:
    """Return frames times the projection, block by block."""
    if projection is None:
        raise ValueError("expected a projection for the order of frames, got none")
    moves = mapped.empty((len(frames), projection.shape[1]), np.float64)
    for number, block in enumerate(mapped.blocks(frames)):
        moves[number * mapped.ROWS :][: len(block)] = block.astype(np.float64) @ projection
        mapped.let_go(moves)
    return moves
