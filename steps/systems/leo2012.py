"""leo2012: Gaussians of MFCC and derivatives, a FastMap filter, exact divergences, the nearest neighbour.

F. de León, K. Martínez: Enhancing timbre model using MFCC and its time derivatives for music similarity
estimation (EUSIPCO 2012) and a companion at DAFx-12. 76.27 % on ISMIR2004 is quoted. The paper was not at
hand: that a modified FastMap filters candidates, the symmetric divergence refines them and 1-NN decides is
from memory of the abstract; the pivots at the median distance are those of Schnitzer, Flexer and Widmer
(ISMIR 2009) [S]; equal weights of the three streams, 40 axes and 10 % candidates are our choice [O].
"""

from argparse import Namespace
from collections.abc import Callable, Iterator

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from steps import mapped
from steps.scattering.wav import Signal
from steps.systems import spectra
from steps.systems.tracks import Arrays, Options, Tracks
from utils import cli

FRAME, HOP = 1024, 512  # [O], with a Hann window
NUM_MEL, NUM_CEPS, NUM_BANDS = 40, 20, 20
FLOOR = 1e-10
STREAMS = ("mfcc", "delta", "acceleration")
ROWS = 1 << 14
"""Frames whose cepstra are in memory together."""
Distances = Callable[[int], NDArray]
"""Distances from the pivot with this number to all objects of a set."""
OPTIONS: Options = {
    "num-axes": (cli.positive_int, 40, "of FastMap"),
    "candidates": (cli.finite_float, 0.1, "share that is refined"),
}


def mel_powers(signal: Signal) -> NDArray[np.float32]:
    """Return the energy in 40 and, beside it, in 20 mel bands of all frames, (num_frames, 60)."""
    window = np.hanning(FRAME)
    banks = [spectra.triangles(spectra.mel_edges(number), FRAME) for number in (NUM_MEL, NUM_BANDS)]
    blocks = (spectra.power_spectrum(frames, window) for frames in spectra.frame_blocks(signal, FRAME, HOP))
    energy = (np.concatenate([power @ bank for bank in banks], axis=1) for power in blocks)
    return mapped.gathered(energy, spectra.num_frames(len(signal), FRAME, HOP))


def cepstra(energy: NDArray) -> Iterator[NDArray[np.float64]]:
    """Yield 20 MFCC with the 0th, their slope and its slope, (3, some frames, 20), of energy in 40 bands."""
    for low in range(0, len(energy), ROWS):
        first = max(low - 2 * spectra.REACH, 0)
        some = energy[first : low + ROWS + 2 * spectra.REACH].astype(np.float64)
        static = scipy.fft.dct(np.log(some + FLOOR), axis=1, norm="ortho")[:, :NUM_CEPS]
        slope = spectra.delta(static)
        yield np.stack([static, slope, spectra.delta(slope)])[:, low - first :][:, :ROWS]
        mapped.let_go(energy)


def gaussians(energy: NDArray) -> NDArray[np.float64]:
    """Return a Gaussian of each of :func:`cepstra`, one below the other, (63, 20).

    The mean is the first row of each, the covariance the others; a ridge keeps it invertible. Second moments
    are about the mean of the first frames, so that no digits are lost.
    """
    near, total, scatter = np.zeros(()), np.zeros(()), np.zeros(())
    for rows in cepstra(energy):
        near = near if near.ndim else rows.mean(axis=1, keepdims=True)
        rest = rows - near
        total = total + rest.sum(axis=1)
        scatter = scatter + rest.transpose(0, 2, 1) @ rest
    shift = (total / len(energy))[:, np.newaxis]
    covariance = scatter / len(energy) - shift.transpose(0, 2, 1) * shift
    ridge = 1e-6 * np.trace(covariance, axis1=1, axis2=2) / NUM_CEPS + 1e-6
    covariance += ridge[:, np.newaxis, np.newaxis] * np.eye(NUM_CEPS)
    return np.concatenate([near + shift, covariance], axis=1).reshape(-1, NUM_CEPS)


def symmetric_divergence(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Return the mean of both Kullback-Leibler divergences between Gaussians of two sets, of shape (n, m).

    Each set is as :func:`gaussian` gives them, (n, dim + 1, dim). The mean is 1/4 (tr(A⁻¹B) + tr(B⁻¹A) + (a -
    b)ᵀ(A⁻¹ + B⁻¹)(a - b) - 2 dim), never below 0.
    """
    dim = a.shape[2]
    one_way = _trace_and_distance(a, b) + _trace_and_distance(b, a).T
    return np.maximum(0.25 * (one_way - 2 * dim), 0.0)


def _trace_and_distance(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Return tr(A⁻¹ (B + (a - b)(a - b)ᵀ)) as three products of matrices."""
    mean_a, mean_b = a[:, 0], b[:, 0]
    inverse = np.linalg.inv(a[:, 1:])
    second = b[:, 1:] + mean_b[:, :, np.newaxis] * mean_b[:, np.newaxis, :]
    pulled = np.einsum("nij,nj->ni", inverse, mean_a)
    flat = inverse.reshape(len(a), -1) @ second.reshape(len(b), -1).T
    return flat - 2.0 * pulled @ mean_b.T + (pulled * mean_a).sum(axis=1)[:, np.newaxis]


def features(signal: Signal, _options: Namespace, _network: Arrays) -> dict[str, NDArray]:
    """Return the Gaussians of a track."""
    return {"gaussians": gaussians(mel_powers(signal)[:, :NUM_MEL])}


def streams(tracks: Tracks) -> list[NDArray]:
    """Return the Gaussians of each stream, each of shape (n, 21, 20)."""
    return np.split(tracks.stacked("gaussians"), len(STREAMS), axis=1)


def combined(a: list[NDArray], b: list[NDArray], medians: NDArray) -> NDArray:
    """Return the root of the mean of the streams' divergences over their training medians, (n, m)."""
    total = sum(symmetric_divergence(x, y) / median for x, y, median in zip(a, b, medians, strict=True))
    return np.sqrt(np.asarray(total) / len(medians))


def median_of_pairs(distances: NDArray) -> float:
    """Return the median over different pairs; 1 where all are alike."""
    pairs = distances[np.triu_indices(len(distances), 1)]
    return float(np.median(pairs)) or 1.0


def fastmap(distances: NDArray, num_axes: int, seed: int) -> tuple[NDArray, NDArray]:
    """Embed objects by their distances (n, n) with pivots at the median: coordinates and pivots (axes, 2)."""
    rng = np.random.default_rng(seed)
    rest = np.square(distances)
    nothing = 1e-9 * rest.max()
    columns, pivots = [], []
    for _ in range(num_axes):
        start = int(rng.integers(len(rest)))
        first = _at_median(rest[start])
        second = _at_median(rest[first])
        if rest[first, second] <= nothing:
            continue
        x = (rest[first] + rest[first, second] - rest[second]) / (2.0 * np.sqrt(rest[first, second]))
        rest = np.maximum(rest - np.square(x[:, np.newaxis] - x), 0.0)
        columns.append(x)
        pivots.append((first, second))
    coordinates = np.stack(columns, axis=1) if columns else np.zeros((len(rest), 1))
    return coordinates, np.array(pivots, dtype=np.int64).reshape(-1, 2)


def _at_median(row: NDArray) -> int:
    """Return the object at the median of the distances that are above 0; where there is none, the first."""
    order = np.argsort(row, kind="stable")
    order = order[row[order] > 0.0]
    return int(order[len(order) // 2]) if len(order) else 0


def project(to_pivots: Distances, coordinates: NDArray, pivots: NDArray) -> NDArray:
    """Return the coordinates of new objects from their distances to the pivots, of shape (m, axes)."""
    columns: list[NDArray] = []
    for first, second in pivots:
        squares = []
        for pivot in (first, second):
            square = np.square(to_pivots(int(pivot)))
            for axis, column in enumerate(columns):
                square = np.maximum(square - np.square(column - coordinates[pivot, axis]), 0.0)
            squares.append(square)
        between = np.square(coordinates[first, len(columns)] - coordinates[second, len(columns)])
        columns.append(
            (squares[0] + between - squares[1]) / (2.0 * np.sqrt(between)) + coordinates[first, len(columns)]
        )
    return np.stack(columns, axis=1) if columns else np.zeros((len(to_pivots(0)), 1))


def fit(tracks: Tracks, options: Namespace) -> Arrays:
    """Keep the Gaussians of the training tracks, and their FastMap."""
    own = streams(tracks)
    medians = np.array([median_of_pairs(symmetric_divergence(stream, stream)) for stream in own])
    distances = combined(own, own, medians)
    coordinates, pivots = fastmap(distances, options.num_axes, options.seed)
    return {
        "gaussians": np.concatenate(own, axis=1),
        "labels": tracks.labels,
        "medians": medians,
        "coordinates": coordinates,
        "pivots": pivots,
        "candidates": np.array(max(1, round(options.candidates * len(tracks.utts)))),
    }


def scores(model: Arrays, tracks: Tracks) -> NDArray:
    """Return minus the distance to each class's nearest candidate, without one twice the farthest, (n, C)."""
    stored, own = np.split(model["gaussians"], len(STREAMS), axis=1), streams(tracks)

    def to_pivots(pivot: int) -> NDArray:
        return combined(own, [stream[[pivot]] for stream in stored], model["medians"])[:, 0]

    near = cdist(project(to_pivots, model["coordinates"], model["pivots"]), model["coordinates"])
    count = int(model["candidates"])
    result = np.empty((len(tracks.utts), len(tracks.classes)))
    for i, row in enumerate(np.argsort(near, axis=1, kind="stable")[:, :count]):
        exact = combined([s[[i]] for s in own], [s[row] for s in stored], model["medians"])[0]
        result[i] = -2.0 * exact.max() - 1.0
        np.maximum.at(result[i], model["labels"][row], -exact)
    return result


def full_scan_scores(model: Arrays, tracks: Tracks) -> NDArray:
    """Return what :func:`scores` returns if every training track is a candidate: the upper reference."""
    return scores({**model, "candidates": np.array(len(model["labels"]))}, tracks)


KINDS = ("gaussians",)
SCORES = {
    "Seg_acc": (scores, "leo2012 from its abstract: FastMap filter, exact divergences, 1-NN"),
    "FullSeg_acc": (full_scan_scores, "leo2012 without the filter: the divergence to every training track"),
}
