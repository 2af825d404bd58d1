"""leo2012: Gaussians of MFCC and derivatives, a FastMap filter, exact divergences, the nearest neighbour.

F. de León, K. Martínez: Enhancing timbre model using MFCC and its time derivatives for music similarity
estimation (EUSIPCO 2012) and a companion at DAFx-12. 76.27 % on ISMIR2004 is quoted. The paper was not at
hand: that a modified FastMap filters candidates, the symmetric divergence refines them and 1-NN decides is
from memory of the abstract; the pivots at the median distance are those of Schnitzer, Flexer and Widmer
(ISMIR 2009) [S]; equal weights of the three streams, 40 axes and 10 % candidates are our choice [O].
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from steps.scattering.wav import Signal
from steps.systems import timbre
from steps.systems.tracks import Arrays, Tracks
from utils import cli

Distances = Callable[[int], NDArray]
"""Distances from the pivot with this number to all objects of a set."""


def add_options(parser: ArgumentParser) -> None:
    """Add the options of this system."""
    parser.add_argument("--num-axes", type=cli.positive_int, default=40, help="of FastMap")
    parser.add_argument("--candidates", type=cli.finite_float, default=0.1, help="share that is refined")


def features(signal: Signal, _options: Namespace, _network: Arrays) -> dict[str, NDArray]:
    """Return the Gaussians of a track."""
    return {"gaussians": timbre.gaussians(timbre.mel_powers(signal)[:, : timbre.NUM_MEL])}


def streams(tracks: Tracks) -> list[NDArray]:
    """Return the Gaussians of each stream, each of shape (n, 21, 20)."""
    return np.split(tracks.stacked("gaussians"), len(timbre.STREAMS), axis=1)


def combined(a: list[NDArray], b: list[NDArray], medians: NDArray) -> NDArray:
    """Return the root of the mean of the streams' divergences over their training medians, (n, m)."""
    total = sum(
        timbre.symmetric_divergence(x, y) / median for x, y, median in zip(a, b, medians, strict=True)
    )
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
    medians = np.array([median_of_pairs(timbre.symmetric_divergence(stream, stream)) for stream in own])
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
    stored, own = np.split(model["gaussians"], len(timbre.STREAMS), axis=1), streams(tracks)

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
SCORES = {"Seg_acc": scores, "FullSeg_acc": full_scan_scores}
NOTES = {
    "Seg_acc": "leo2012 from its abstract: FastMap filter, exact divergences, 1-NN",
    "FullSeg_acc": "leo2012 without the filter: the exact divergence to every training track",
}
