"""son2008 (a re-design): a product of similarities, weights by EM, regularised least squares.

Y. Song, C. Zhang: Content-based information fusion for semi-supervised music genre classification, IEEE
Transactions on Multimedia 10(1), 2008. 84.77 % on ISMIR2004. The abstract states that similarity scores by
several distances are multiplied, that each has a weight learnt by EM, and that regularised least squares
with unlabelled tracks decides [S]. Which distances, which form of EM and which regularisers is not known:
they are ours [O], so this is no reproduction. Distances: root of the symmetric divergence of Gaussians of
MFCC, the same of their slopes, fluctuation pattern, spectrum histogram, periodicity.

``scores`` is inductive: the test tracks play no part in training. ``transductive_scores`` uses their audio,
as the publication does, and must be called so wherever its figure stands.
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
from steps.systems import leo2012, spectra
from steps.systems.leo2012 import FLOOR, NUM_BANDS, ROWS
from steps.systems.tracks import Arrays, Options, Tracks
from utils import cli

NEIGHBOURS = 10  # of the graph whose Laplacian is used
AMBIENT = (1e-4, 1e-3, 1e-2, 1e-1)  # tried for the ridge
INTRINSIC = (1e-2, 1e-1, 1.0)  # tried for the Laplacian
SHARPNESS = (1.0, 2.0, 4.0)  # tried for the sum of the weights
ROUNDS, STEPS, RATE = 8, 20, 0.5
FRAME_RATE = spectra.SAMPLE_RATE / leo2012.HOP
RANGE = 75.0
"""Loudness is in dB above this much below the loudest band of the track."""
NUM_LEVELS = 25
SEGMENT_SECONDS = 6.0
NUM_MODULATIONS = 60  # up to 10 Hz
LAGS = (round(0.25 * FRAME_RATE), round(1.5 * FRAME_RATE))  # 240 to 40 beats a minute
OPTIONS: Options = {"num-folds": (cli.positive_int, 5, "inside training")}


def loudness(energy: NDArray) -> Iterator[NDArray[np.float64]]:
    """Yield the loudness of bands in dB, 0 at 75 dB below the loudest of the track, (some frames, 20)."""
    loudest = 10.0 * np.log10(max(float(some.max()) for some in mapped.blocks(energy)) + FLOOR)
    for some in mapped.blocks(energy):
        yield np.maximum(10.0 * np.log10(some.astype(np.float64) + FLOOR) - loudest + RANGE, 0.0)


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
    levels = mapped.gathered(loudness(coarse), len(coarse))
    parts = [fluctuation_pattern(levels), spectrum_histogram(levels), periodicity(levels)]
    return {"gaussians": leo2012.gaussians(fine), "patterns": np.concatenate(parts)[np.newaxis]}


def distances(gaussians: NDArray, patterns: NDArray, others: NDArray, other_patterns: NDArray) -> NDArray:
    """Return all five distances between the tracks of two sets, of shape (5, n, m)."""
    size = gaussians.shape[1] // len(leo2012.STREAMS)
    parts = [
        np.sqrt(leo2012.symmetric_divergence(gaussians[:, low : low + size], others[:, low : low + size]))
        for low in (0, size)
    ]
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
    kernel: NDArray, targets: NDArray, num_labelled: int, ambient: float, intrinsic: float = 0.0
) -> NDArray:
    """Solve (Laplacian) regularised least squares for coefficients (n, C): scores are ``kernel`` times these.

    In ``kernel`` (n, n) and ``targets`` (n, C), one of C, labelled tracks come first; others have zeros.
    ``ambient`` and ``intrinsic`` are the weights of the ridge and of the Laplacian; with intrinsic 0
    unlabelled tracks have no influence.
    """
    total = len(kernel)
    system = kernel.copy()
    system[num_labelled:] = 0.0
    system[np.diag_indices(total)] += ambient * num_labelled
    if intrinsic:
        system += intrinsic * num_labelled / total**2 * (laplacian(kernel) @ kernel)
    return solve(system, targets)


def soft_classes(scores: NDArray, labels: NDArray) -> NDArray:
    """Return what is believed of each track (the E step): the truth where known, else normalised scores."""
    believed = np.maximum(scores, 1e-6)
    believed = believed / believed.sum(axis=1, keepdims=True)
    known = labels >= 0
    believed[known] = np.eye(scores.shape[1])[labels[known]]
    return believed


def _centred(matrix: NDArray) -> NDArray:
    return matrix - matrix.mean(axis=0) - matrix.mean(axis=1, keepdims=True) + matrix.mean()


def align_weights(scaled: NDArray, target: NDArray, weights: NDArray) -> NDArray:
    """Align the product kernel with ``target`` by exponentiated gradient (M step); the weights' sum stays."""
    total = weights.sum()
    wanted = _centred(target)
    for _ in range(STEPS):
        kernel = similarity(scaled, weights)
        centred = _centred(kernel)
        inner, norm = (centred * wanted).sum(), (centred * centred).sum()
        direction = wanted / max(abs(inner), 1e-300) - centred / max(norm, 1e-300)
        gradient = -np.tensordot(scaled, kernel * direction * np.sign(inner), axes=((1, 2), (0, 1)))
        weights = weights * np.exp(RATE * np.clip(gradient, -2.0, 2.0))
        weights = weights * (total / weights.sum())
    return weights


def learn_weights(
    scaled: NDArray, labels: NDArray, num_classes: int, ambient: float, sharpness: float
) -> NDArray:
    """Learn the weights of the distances by EM over labelled tracks and, after them, unlabelled ones (-1)."""
    count = len(scaled)
    weights = np.full(count, sharpness / count)
    num_labelled = int((labels >= 0).sum())
    targets = np.zeros((len(labels), num_classes))
    targets[:num_labelled] = np.eye(num_classes)[labels[:num_labelled]]
    for _ in range(ROUNDS if num_labelled < len(labels) else 1):
        kernel = similarity(scaled, weights)
        believed = soft_classes(kernel @ least_squares(kernel, targets, num_labelled, ambient), labels)
        weights = align_weights(scaled, believed @ believed.T, weights)
    return weights


def choose(scaled: NDArray, tracks: Tracks, num_folds: int, seed: int) -> tuple[float, float, float, int]:
    """Choose ridge and sharpness, then the Laplacian, by cross-validation, and say how many were right."""
    num_classes, folds = len(tracks.classes), tracks.folds(num_folds, seed)

    def right(ambient: float, intrinsic: float, sharpness: float) -> int:
        count = 0
        for train, held in folds:
            order = np.concatenate([train, held])
            inner = scaled[:, train][:, :, train]
            weights = learn_weights(inner, tracks.labels[train], num_classes, ambient, sharpness)
            kernel = similarity(scaled[:, order][:, :, order], weights)
            targets = np.zeros((len(order), num_classes))
            targets[: len(train)] = np.eye(num_classes)[tracks.labels[train]]
            found = kernel @ least_squares(kernel, targets, len(train), ambient, intrinsic)
            count += int((found[len(train) :].argmax(axis=1) == tracks.labels[held]).sum())
        return count

    plain = [(right(a, 0.0, s), -s, a) for s in SHARPNESS for a in AMBIENT]
    best, minus_sharpness, ambient = max(plain)
    sharpness = -minus_sharpness
    intrinsic = max((right(ambient, i, sharpness), -i) for i in INTRINSIC)
    return ambient, -intrinsic[1], sharpness, best


def fit(tracks: Tracks, options: Namespace) -> Arrays:
    """Scale distances by their training medians, learn weights from the labels, solve least squares."""
    gaussians, patterns = tracks.stacked("gaussians"), tracks.vectors("patterns")
    between = distances(gaussians, patterns, gaussians, patterns)
    medians = np.array([leo2012.median_of_pairs(matrix) for matrix in between])
    scaled = between / medians[:, np.newaxis, np.newaxis]
    ambient, intrinsic, sharpness, right = choose(scaled, tracks, options.num_folds, options.seed)
    weights = learn_weights(scaled, tracks.labels, len(tracks.classes), ambient, sharpness)
    targets = np.eye(len(tracks.classes))[tracks.labels]
    return {
        "gaussians": gaussians,
        "patterns": patterns,
        "labels": tracks.labels,
        "medians": medians,
        "weights": weights,
        "coefficients": least_squares(similarity(scaled, weights), targets, len(targets), ambient),
        "chosen": np.array([ambient, intrinsic, sharpness]),
        "right": np.array(right),
    }


def scores(model: Arrays, tracks: Tracks) -> NDArray:
    """Return the inductive scores, of shape (n, C), each track's alone: with the same bits in any company."""
    stored, medians = (model["gaussians"], model["patterns"]), model["medians"][:, np.newaxis, np.newaxis]
    result = []
    for gaussians, patterns in zip(tracks.stacked("gaussians"), tracks.vectors("patterns"), strict=True):
        scaled = distances(gaussians[np.newaxis], patterns[np.newaxis], *stored) / medians
        result.append(similarity(scaled, model["weights"])[0] @ model["coefficients"])
    return np.stack(result)


def transductive_scores(model: Arrays, tracks: Tracks) -> NDArray:
    """Return scores for which the audio of ``tracks`` took part in training: in EM and in the Laplacian."""
    gaussians, patterns = tracks.stacked("gaussians"), tracks.vectors("patterns")
    everyone = np.concatenate([model["gaussians"], gaussians])
    every_pattern = np.concatenate([model["patterns"], patterns])
    scaled = (
        distances(everyone, every_pattern, everyone, every_pattern)
        / model["medians"][:, np.newaxis, np.newaxis]
    )
    num_labelled, num_classes = len(model["labels"]), model["coefficients"].shape[1]
    labels = np.concatenate([model["labels"], np.full(len(gaussians), -1)])
    ambient, intrinsic, sharpness = model["chosen"]
    kernel = similarity(scaled, learn_weights(scaled, labels, num_classes, ambient, sharpness))
    targets = np.zeros((len(labels), num_classes))
    targets[:num_labelled] = np.eye(num_classes)[model["labels"]]
    return (kernel @ least_squares(kernel, targets, num_labelled, ambient, intrinsic))[num_labelled:]


KINDS = ("gaussians", "patterns")
WHAT = "son2008, a re-design"
SCORES = {
    "Seg_acc": (scores, f"{WHAT} (distances, EM and regularisers are our choice); inductive"),
    "TransSeg_acc": (
        transductive_scores,
        f"{WHAT}; transductive: the test tracks' audio took part in training",
    ),
}
