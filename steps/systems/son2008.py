"""son2008 (a re-design): a product of similarities, weights by EM, regularised least squares.

Y. Song, C. Zhang: Content-based information fusion for semi-supervised music genre classification, IEEE
Transactions on Multimedia 10(1), 2008. 84.77 % on ISMIR2004. The abstract states that similarity scores by
several distances are multiplied, that each has a weight learnt by EM, and that regularised least squares
with unlabelled tracks decides [S]. Distances (root of the symmetric divergence of Gaussians of MFCC, the same
of their slopes, fluctuation pattern, spectrum histogram, periodicity), form of EM and regularisers are ours
[O], so this is no reproduction. Figures of :func:`transductive_scores` must be called so, of which the
publication's is one.
"""

from argparse import Namespace
from collections.abc import Iterator

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray
from scipy.linalg import solve
from scipy.spatial.distance import cdist

from steps import mapped
from steps.scattering.wav import Signal
from steps.scoring.svm import make_folds
from steps.systems import leo2012, spectra
from steps.systems.leo2012 import FLOOR, NUM_BANDS, ROWS
from steps.systems.tracks import Arrays, Tracks

NEIGHBOURS = 10  # of the graph whose Laplacian is used
AMBIENT = (1e-4, 1e-3, 1e-2, 1e-1)  # tried for the ridge
INTRINSIC = (1e-2, 1e-1, 1.0)  # tried for the Laplacian
SHARPNESS = (1.0, 2.0, 4.0)  # tried for the sum of the weights
ROUNDS, STEPS, RATE = 8, 20, 0.5
FRAME_RATE = spectra.SAMPLE_RATE / leo2012.HOP
RANGE = 75.0  # loudness is in dB above this much below the loudest band of the track
NUM_LEVELS = 25
SEGMENT_SECONDS = 6.0
NUM_MODULATIONS = 60  # up to 10 Hz
LAGS = (round(0.25 * FRAME_RATE), round(1.5 * FRAME_RATE))  # 240 to 40 beats a minute
OPTIONS = Namespace(num_folds=5)


def fluctuation_pattern(levels: NDArray) -> NDArray[np.float64]:
    """Return Pampalk's fluctuation pattern, the median over segments of 6 s, flattened, 1200 values."""
    frequency = np.arange(1, NUM_MODULATIONS + 1)[:, np.newaxis] / SEGMENT_SECONDS
    felt = 1.0 / (frequency / 4.0 + 4.0 / frequency)
    size = round(SEGMENT_SECONDS * FRAME_RATE)

    def of_segments() -> Iterator[NDArray]:
        for segment in spectra.windows(mapped.blocks(levels), size, size // 2):
            weighted = np.abs(scipy.fft.rfft(segment, axis=0)[1 : NUM_MODULATIONS + 1]) / size * felt
            yield np.abs(np.diff(weighted, axis=0, prepend=weighted[:1])).reshape(1, -1)

    found = mapped.gathered(of_segments(), spectra.num_frames(len(levels), size, size // 2))
    median = mapped.quantiles(found, [0.5]).reshape(NUM_MODULATIONS, NUM_BANDS)
    for axis in (0, 1):
        median = scipy.ndimage.correlate1d(median, [0.25, 0.5, 0.25], axis=axis, mode="constant")
    return median.ravel()


def spectrum_histogram(levels: NDArray) -> NDArray[np.float64]:
    """Return the share of frames in which each band reaches each of 25 levels, flattened, 500 values."""
    thresholds = np.arange(1, NUM_LEVELS + 1) * (RANGE / NUM_LEVELS)
    return mapped.sums(levels, lambda some: some[:, :, np.newaxis] >= thresholds).ravel() / len(levels)


def periodicity(levels: NDArray) -> NDArray[np.float64]:
    """Return the normalised autocorrelation of the onset strength for lags from 0.25 to 1.5 s."""

    def rises() -> Iterator[NDArray]:
        last = levels[:1].copy()
        for some in mapped.blocks(levels):
            yield np.maximum(np.diff(some, axis=0, prepend=last), 0.0).sum(axis=1, keepdims=True)
            last = some[-1:].copy()

    onset = mapped.gathered(rises(), len(levels))
    mean = mapped.sums(onset) / len(onset)
    correlation = np.zeros(LAGS[1])
    for low in range(0, len(onset), ROWS):
        some = onset[low : low + ROWS + LAGS[1] - 1, 0] - mean
        some = np.pad(some, (0, ROWS + LAGS[1] - 1 - len(some)))
        correlation += np.correlate(some, some[:ROWS])
        mapped.let_go(onset)
    return correlation[LAGS[0] :] / max(float(correlation[0]), FLOOR)


def features(signal: Signal, _options: Namespace, _network: Arrays) -> dict[str, NDArray]:
    """Return Gaussians and (as one row) patterns of a track, from one spectrogram."""
    fine, coarse = np.split(leo2012.mel_powers(signal), [leo2012.NUM_MEL], axis=1)
    loudest = 10.0 * np.log10(max(float(some.max()) for some in mapped.blocks(coarse)) + FLOOR)
    decibels = (10.0 * np.log10(some.astype(np.float64) + FLOOR) for some in mapped.blocks(coarse))
    levels = mapped.gathered((np.maximum(some - loudest + RANGE, 0.0) for some in decibels), len(coarse))
    parts = [fluctuation_pattern(levels), spectrum_histogram(levels), periodicity(levels)]
    return {"gaussians": leo2012.gaussians(fine), "patterns": np.concatenate(parts)[np.newaxis]}


def distances(gaussians: NDArray, patterns: NDArray, others: NDArray, other_patterns: NDArray) -> NDArray:
    """Return all five distances between the tracks of two sets, of shape (5, n, m)."""
    parts = [np.sqrt(leo2012.symmetric_divergence(gaussians[:, i], others[:, i])) for i in (0, 1)]
    ends = np.cumsum([NUM_BANDS * NUM_MODULATIONS, NUM_BANDS * NUM_LEVELS])
    pairs = zip(np.split(patterns, ends, axis=1), np.split(other_patterns, ends, axis=1), strict=True)
    parts += [cdist(own, other) for own, other in pairs]
    return np.stack(parts)


def similarity(scaled: NDArray, weights: NDArray) -> NDArray:
    """Return the product of the similarities, exp(-sum of weight times distance), of shape (n, m)."""
    return np.exp(-np.tensordot(weights, scaled, axes=1))


def laplacian(kernel: NDArray, num_neighbours: int = NEIGHBOURS) -> NDArray:
    """Return the normalised Laplacian of the graph of nearest neighbours by a similarity matrix."""
    masked = kernel - np.diag(np.diag(kernel))
    count = min(num_neighbours, len(kernel) - 1)
    graph = np.zeros_like(masked)
    nearest = np.argsort(-masked, axis=1, kind="stable")[:, :count]
    np.put_along_axis(graph, nearest, np.take_along_axis(masked, nearest, axis=1), axis=1)
    graph = np.maximum(graph, graph.T)
    root = 1.0 / np.sqrt(np.maximum(graph.sum(axis=1), 1e-12))
    return np.eye(len(kernel)) - root[:, np.newaxis] * graph * root


def least_squares(
    kernel: NDArray, labels: NDArray, num_classes: int, ambient: float, intrinsic: float = 0.0
) -> NDArray:
    """Solve (Laplacian) regularised least squares for coefficients (n, C): scores are ``kernel`` times these.

    Labelled tracks come first, others have -1. ``ambient`` and ``intrinsic`` are the weights of the ridge and
    of the Laplacian; with intrinsic 0 unlabelled tracks have no influence.
    """
    total, num_labelled = len(kernel), int((labels >= 0).sum())
    system = kernel.copy()
    system[num_labelled:] = 0.0
    system[np.diag_indices(total)] += ambient * num_labelled
    if intrinsic:
        system += intrinsic * num_labelled / total**2 * (laplacian(kernel) @ kernel)
    return solve(system, one_of(num_classes, labels))


def one_of(num_classes: int, labels: NDArray) -> NDArray:
    """Return 1 in the column of each label and 0 elsewhere, (n, C); a row of zeros for -1."""
    return np.eye(num_classes + 1, num_classes)[labels]


def _centred(matrix: NDArray) -> NDArray:
    return matrix - matrix.mean(axis=0) - matrix.mean(axis=1, keepdims=True) + matrix.mean()


def learn_weights(
    scaled: NDArray, labels: NDArray, num_classes: int, ambient: float, sharpness: float
) -> NDArray:
    """Learn the weights of the distances by EM over labelled tracks and, after them, unlabelled ones (-1).

    The M step aligns the product kernel with what is believed, by exponentiated gradient.
    """
    weights = np.full(len(scaled), sharpness / len(scaled))
    for _ in range(ROUNDS if labels.min() < 0 else 1):
        kernel = similarity(scaled, weights)
        found = np.maximum(kernel @ least_squares(kernel, labels, num_classes, ambient), 1e-6)
        believed = found / found.sum(axis=1, keepdims=True)  # the E step, but where the truth is known
        believed[labels >= 0] = one_of(num_classes, labels[labels >= 0])
        total, wanted = weights.sum(), _centred(believed @ believed.T)
        for _ in range(STEPS):
            kernel = similarity(scaled, weights)
            centred = _centred(kernel)
            inner, norm = (centred * wanted).sum(), (centred * centred).sum()
            direction = wanted / max(abs(inner), 1e-300) - centred / max(norm, 1e-300)
            gradient = -np.tensordot(scaled, kernel * direction * np.sign(inner), axes=((1, 2), (0, 1)))
            weights = weights * np.exp(RATE * np.clip(gradient, -2.0, 2.0))
            weights = weights * (total / weights.sum())
    return weights


def choose(scaled: NDArray, tracks: Tracks, num_folds: int, seed: int) -> tuple[float, float, float, int]:
    """Choose ridge and sharpness, then the Laplacian, by cross-validation, and say how many were right."""
    labels, num_classes = tracks.labels, len(tracks.classes)
    folds, _ = make_folds(labels, tracks.artists, tracks.classes, num_folds, seed)

    def right(ambient: float, intrinsic: float, sharpness: float) -> int:
        count = 0
        for train, held in folds:
            order = np.concatenate([train, held])
            inner = scaled[:, train][:, :, train]
            weights = learn_weights(inner, labels[train], num_classes, ambient, sharpness)
            kernel = similarity(scaled[:, order][:, :, order], weights)
            known = np.where(np.isin(order, train), labels[order], -1)
            found = kernel @ least_squares(kernel, known, num_classes, ambient, intrinsic)
            count += int((found.argmax(axis=1) == labels[order])[known < 0].sum())
        return count

    plain = [(right(a, 0.0, s), -s, a) for s in SHARPNESS for a in AMBIENT]
    best, minus_sharpness, ambient = max(plain)
    sharpness = -minus_sharpness
    intrinsic = max((right(ambient, i, sharpness), -i) for i in INTRINSIC)
    return ambient, -intrinsic[1], sharpness, best


def fit(tracks: Tracks, options: Namespace) -> Arrays:
    """Scale distances by their training medians, learn weights from the labels, solve least squares."""
    labels, num_classes = tracks.labels, len(tracks.classes)
    gaussians, patterns = leo2012.streams(tracks), tracks.stacked("patterns")[:, 0]
    between = distances(gaussians, patterns, gaussians, patterns)
    medians = leo2012.medians_of_pairs(between)[:, np.newaxis, np.newaxis]
    scaled = between / medians
    ambient, intrinsic, sharpness, right = choose(scaled, tracks, options.num_folds, options.seed)
    weights = learn_weights(scaled, labels, num_classes, ambient, sharpness)
    return {
        "gaussians": gaussians,
        "patterns": patterns,
        "labels": labels,
        "medians": medians,
        "weights": weights,
        "coefficients": least_squares(similarity(scaled, weights), labels, num_classes, ambient),
        "chosen": np.array([ambient, intrinsic, sharpness]),
        "right": np.array(right),
    }


def scores(model: Arrays, tracks: Tracks) -> NDArray:
    """Return the inductive scores, of shape (n, C), each track's alone: with the same bits in any company."""
    result = []
    for gaussians, pattern in zip(leo2012.streams(tracks), tracks.stacked("patterns"), strict=True):
        between = distances(gaussians[np.newaxis], pattern, model["gaussians"], model["patterns"])
        result.append(similarity(between / model["medians"], model["weights"])[0] @ model["coefficients"])
    return np.stack(result)


def transductive_scores(model: Arrays, tracks: Tracks) -> NDArray:
    """Return scores for which the audio of ``tracks`` took part in training: in EM and in the Laplacian."""
    gaussians = np.concatenate([model["gaussians"], leo2012.streams(tracks)])
    patterns = np.concatenate([model["patterns"], tracks.stacked("patterns")[:, 0]])
    scaled = distances(gaussians, patterns, gaussians, patterns) / model["medians"]
    labels = np.concatenate([model["labels"], np.full(len(tracks.genre), -1)])
    num_classes = len(tracks.classes)
    ambient, intrinsic, sharpness = model["chosen"]
    kernel = similarity(scaled, learn_weights(scaled, labels, num_classes, ambient, sharpness))
    return (kernel @ least_squares(kernel, labels, num_classes, ambient, intrinsic))[labels < 0]


KINDS = ("gaussians", "patterns")
SHAPES = {
    "gaussians": "n 3 21 20",
    "patterns": "n dim",
    "labels": "n",
    "medians": "kinds 1 1",
    "weights": "kinds",
    "coefficients": "n classes",
}
SCORES = {
    "Seg_acc": (scores, "son2008, a re-design (distances, EM and regularisers are our choice); inductive"),
    "TransSeg_acc": (
        transductive_scores,
        "son2008, a re-design; transductive: the test tracks' audio took part in training",
    ),
}
