"""leo2012: Gaussians of MFCC and derivatives, a FastMap filter, exact divergences, the nearest neighbour.

F. de León, K. Martínez: Enhancing timbre model using MFCC and its time derivatives for music similarity
estimation (EUSIPCO 2012) and a companion at DAFx-12. 76.27 % on ISMIR2004 is quoted. The paper was not at
hand: that a modified FastMap filters candidates, the symmetric divergence refines them and 1-NN decides is
from memory of the abstract; the pivots at the median distance are those of Schnitzer, Flexer and Widmer
(ISMIR 2009) [S]; equal weights of the three streams, 40 axes and 10 % candidates are our choice [O].
"""

from argparse import Namespace
from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from steps import mapped
from steps.scattering.wav import Signal
from steps.systems import spectra
from steps.systems.tracks import Arrays, Tracks

FRAME, HOP = 1024, 512  # [O], with a Hann window
NUM_MEL, NUM_CEPS, NUM_BANDS = 40, 20, 20
FLOOR = 1e-10
STREAMS = ("mfcc", "delta", "acceleration")
REACH = 4  # frames on either side that a slope, that of the regression line, depends on
TAPS = np.arange(-REACH, REACH + 1) / (2 * sum(n * n for n in range(1, REACH + 1)))
ROWS = 1 << 14  # frames whose cepstra are in memory together
OPTIONS = Namespace(num_axes=40, candidates=0.1)


def mel_powers(signal: Signal) -> NDArray[np.float32]:
    """Return the energy in 40 and, beside it, in 20 mel bands of all frames, (num_frames, 60)."""
    window, top = np.hanning(FRAME), np.log1p(spectra.SAMPLE_RATE / 2 / 700.0)
    edges = [700.0 * np.expm1(np.linspace(0.0, top, number + 2)) for number in (NUM_MEL, NUM_BANDS)]
    banks = [spectra.triangles(frequencies, FRAME) for frequencies in edges]
    blocks = (spectra.power_spectrum(frames, window) for frames in spectra.frame_blocks(signal, FRAME, HOP))
    energy = (np.concatenate([power @ bank for bank in banks], axis=1) for power in blocks)
    return mapped.gathered(energy, spectra.num_frames(len(signal), FRAME, HOP))


def cepstra(energy: NDArray) -> Iterator[NDArray[np.float64]]:
    """Yield 20 MFCC with the 0th, their slope and its slope, (3, some frames, 20), of energy in 40 bands."""
    for low in range(0, len(energy), ROWS):
        first = max(low - 2 * REACH, 0)
        some = energy[first : low + ROWS + 2 * REACH].astype(np.float64)
        streams = [scipy.fft.dct(np.log(some + FLOOR), axis=1, norm="ortho")[:, :NUM_CEPS]]
        for _ in STREAMS[1:]:  # at the ends, the first and the last frame are repeated
            streams.append(scipy.ndimage.correlate1d(streams[-1], TAPS, axis=0, mode="nearest"))
        yield np.stack(streams)[:, low - first :][:, :ROWS]
        mapped.let_go(energy)


def gaussians(energy: NDArray) -> NDArray[np.float64]:
    """Return a Gaussian of each of :func:`cepstra`, one below the other, mean above covariance, (63, 20).

    A ridge keeps covariances invertible; moments about the mean of the first frames keep the digits.
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


def features(signal: Signal, _options: Namespace, _network: Arrays) -> dict[str, NDArray]:
    """Return the Gaussians of a track."""
    return {"gaussians": gaussians(mel_powers(signal)[:, :NUM_MEL])}


def streams(tracks: Tracks) -> NDArray[np.float64]:
    """Return the Gaussians of all tracks by stream, (n, 3, 21, 20)."""
    return tracks.stacked("gaussians").reshape(-1, len(STREAMS), NUM_CEPS + 1, NUM_CEPS)


def symmetric_divergence(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Return the mean of both Kullback-Leibler divergences between Gaussians of two sets, of shape (n, m).

    Each set is of shape (n, dim + 1, dim), means first. The mean is 1/4 (tr(A⁻¹B) + tr(B⁻¹A) + (a - b)ᵀ(A⁻¹ +
    B⁻¹)(a - b) - 2 dim), never below 0.
    """
    one_way = _trace_and_distance(a, b) + _trace_and_distance(b, a).T
    return np.maximum(0.25 * (one_way - 2 * a.shape[2]), 0.0)


def _trace_and_distance(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Return tr(A⁻¹ (B + (a - b)(a - b)ᵀ)) as three products of matrices."""
    mean_a, mean_b = a[:, 0], b[:, 0]
    inverse = np.linalg.inv(a[:, 1:])
    second = b[:, 1:] + mean_b[:, :, np.newaxis] * mean_b[:, np.newaxis, :]
    pulled = np.einsum("nij,nj->ni", inverse, mean_a)
    flat = inverse.reshape(len(a), -1) @ second.reshape(len(b), -1).T
    return flat - 2.0 * pulled @ mean_b.T + (pulled * mean_a).sum(axis=1)[:, np.newaxis]


def combined(a: NDArray, b: NDArray, medians: NDArray) -> NDArray:
    """Return the root of the mean of the streams' divergences over their training medians, (n, m)."""
    total = sum(symmetric_divergence(a[:, i], b[:, i]) / median for i, median in enumerate(medians))
    return np.sqrt(np.asarray(total) / len(medians))


def medians_of_pairs(distances: Iterable[NDArray]) -> NDArray[np.float64]:
    """Return the median of each matrix of distances over different pairs; 1 where all are alike."""
    return np.array([np.median(some[np.triu_indices(len(some), 1)]) or 1.0 for some in distances])


def fastmap(distances: NDArray, num_axes: int, seed: int) -> tuple[NDArray, NDArray]:
    """Embed objects by their distances (n, n) with pivots at the median: coordinates and pivots (axes, 2)."""
    rng = np.random.default_rng(seed)
    rest = np.square(distances)
    nothing = 1e-9 * rest.max()
    coordinates = np.zeros((len(rest), num_axes))
    pivots: list[tuple[int, int]] = []
    for _ in range(num_axes):
        first = _at_median(rest[int(rng.integers(len(rest)))])
        second = _at_median(rest[first])
        if rest[first, second] > nothing:
            x = (rest[first] + rest[first, second] - rest[second]) / (2.0 * np.sqrt(rest[first, second]))
            rest = np.maximum(rest - np.square(x[:, np.newaxis] - x), 0.0)
            coordinates[:, len(pivots)] = x
            pivots.append((first, second))
    return coordinates[:, : len(pivots)], np.array(pivots, dtype=np.int64).reshape(-1, 2)


def _at_median(row: NDArray) -> int:
    """Return the object at the median of the distances above 0; where there is none, the first."""
    order = np.argsort(row, kind="stable")
    order = order[row[order] > 0.0]
    return int(order[len(order) // 2]) if len(order) else 0


def project(distances: NDArray, coordinates: NDArray, pivots: NDArray) -> NDArray:
    """Return the coordinates (m, axes) of new objects by their distances to the pivots, (m, axes, 2)."""
    found = np.zeros((len(distances), len(pivots)))
    for axis, pair in enumerate(pivots):
        squares = np.square(distances[:, axis])
        for earlier in range(axis):
            apart = found[:, [earlier]] - coordinates[pair, earlier]
            squares = np.maximum(squares - np.square(apart), 0.0)
        start, end = coordinates[pair, axis]
        between = np.square(start - end)
        found[:, axis] = (squares[:, 0] + between - squares[:, 1]) / (2.0 * np.sqrt(between)) + start
    return found


def fit(tracks: Tracks, options: Namespace) -> Arrays:
    """Keep the Gaussians of the training tracks, and their FastMap."""
    own = streams(tracks)
    medians = medians_of_pairs(symmetric_divergence(own[:, i], own[:, i]) for i in range(len(STREAMS)))
    coordinates, pivots = fastmap(combined(own, own, medians), options.num_axes, options.seed)
    return {
        "gaussians": own,
        "labels": tracks.labels,
        "medians": medians,
        "coordinates": coordinates,
        "pivots": pivots,
        "candidates": np.array(max(1, round(options.candidates * len(own)))),
    }


def scores(model: Arrays, tracks: Tracks, *, filtered: bool = True) -> NDArray:
    """Return minus the distance to each class's nearest candidate, without one twice the farthest, (n, C)."""
    stored, own = model["gaussians"], streams(tracks)
    to_pivots = [combined(own, stored[[pivot]], model["medians"]) for pivot in model["pivots"].ravel()]
    there = np.reshape(to_pivots, (*model["pivots"].shape, len(own))).transpose(2, 0, 1)
    near = cdist(project(there, model["coordinates"], model["pivots"]), model["coordinates"])
    result = np.empty((len(own), len(tracks.classes)))
    count = int(model["candidates"]) if filtered else len(stored)  # all of them are the upper reference
    for i, row in enumerate(np.argsort(near, axis=1, kind="stable")[:, :count]):
        exact = combined(own[[i]], stored[row], model["medians"])[0]
        result[i] = -2.0 * exact.max() - 1.0
        np.maximum.at(result[i], model["labels"][row], -exact)
    return result


KINDS = ("gaussians",)
SHAPES = {"gaussians": "n 3 21 20", "labels": "n", "medians": "3", "candidates": ""}
SHAPES |= {"coordinates": "n axes", "pivots": "axes 2"}
SCORES = {
    "Seg_acc": (scores, "leo2012 from its abstract: FastMap filter, exact divergences, 1-NN"),
    "FullSeg_acc": (
        partial(scores, filtered=False),
        "leo2012 without the filter: the divergence to every training track",
    ),
}
