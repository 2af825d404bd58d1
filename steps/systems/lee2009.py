"""lee2009: modulation spectra of MFCC, OSC and NASE; one LDA each and one on all; nearest centroid.

C.-H. Lee, J.-L. Shih, K.-M. Yu, H.-S. Lin: Automatic music genre classification based on modulation spectral
analysis of spectral and cepstral features, IEEE Transactions on Multimedia 11(4), 2009. 86.83 % on ISMIR2004.

The publication works at 44 100 Hz; here everything above 11 025 Hz is missing [O]: frames of 512 samples
keep its 23 ms, the octave bands end at 11 025 Hz (18 values of OSC instead of 20), the half octaves of the
envelope at 8 kHz (17 values of NASE instead of 19). So there are 112, 104 and 100 values, 316 in all.
"""

from argparse import Namespace
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from steps.scattering.wav import Signal
from steps.systems import spectra
from steps.systems.tracks import Arrays, Tracks

FRAME, HOP = 512, 256
PRE_EMPHASIS = 0.95  # [P]
NUM_MFCC, NUM_MEL = 20, 25  # [P]
OCTAVES = (0.0, 100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0)  # [S] 0 Hz alone, then (0, 100] …
FREQUENCIES = np.arange(FRAME // 2 + 1) * spectra.SAMPLE_RATE / FRAME
OCTAVE_EDGES = np.searchsorted(FREQUENCIES, [-1.0, *OCTAVES, spectra.SAMPLE_RATE / 2], side="right")
"""Where each octave band begins among the bins."""
MEL_EDGES = np.concatenate([np.arange(0.0, 1001.0, 100.0), 1000.0 * 2.0 ** (np.arange(1, 17) / 5)])  # Hz [S]
MEL_FILTERS = spectra.triangles(MEL_EDGES, FRAME)
QUANTILE = 0.2  # [P]
TEXTURE, TEXTURE_HOP = 512, 256  # [P] frames of a texture window
SUBBANDS = (0, 2, 4, 8, 16, 32, 64, 128, 256)  # of modulation bins; [P] how many, [S] which
NULL = 1e-6  # smaller singular values of the standardised scatter within classes are of null directions
FLOOR = 1e-12
SIZES = {"mfcc": NUM_MFCC, "osc": 2 * len(OCTAVES) + 2, "nase": 17}  # values of a frame
OPTIONS = Namespace()  # the publication tunes nothing


def octave_contrast(power: NDArray) -> NDArray:
    """Return OSC: log means of the lowest fifth of bins, then those of the highest less these [P]."""
    peaks, valleys = [], []
    for low, high in pairwise(OCTAVE_EDGES):
        bins = np.sort(power[:, low:high], axis=1)
        count = max(1, round(QUANTILE * bins.shape[1]))
        valleys.append(np.log(bins[:, :count].mean(axis=1) + FLOOR))
        peaks.append(np.log(bins[:, -count:].mean(axis=1) + FLOOR))
    valley = np.stack(valleys, axis=1)
    return np.concatenate([valley, np.stack(peaks, axis=1) - valley], axis=1)


def audio_envelope(power: NDArray, window_energy: float) -> NDArray:
    """Return NASE: the norm of the half-octave envelope in dB, and the envelope divided by it [P]."""
    scaled = power / (FRAME * window_energy)
    scaled[:, 1:-1] *= 2.0
    decibels = 10.0 * np.log10(scaled @ spectra.octave_bands(0.5, FRAME) + FLOOR)
    norm = np.sqrt(np.square(decibels).sum(axis=1, keepdims=True))
    return np.concatenate([norm, decibels / np.maximum(norm, FLOOR)], axis=1)


def frame_features(signal: Signal) -> Iterator[NDArray]:
    """Yield MFCC of log10(1 + energy) [P], OSC and NASE of some frames after the other, (some frames, 55)."""
    window = np.hamming(FRAME)
    energy = float(np.square(window).sum())
    for frames in spectra.frame_blocks(signal, FRAME, HOP, pre_emphasis=PRE_EMPHASIS):
        power = spectra.power_spectrum(frames, window)
        mfcc = np.log10(1.0 + power @ MEL_FILTERS) @ spectra.cosine_transform(NUM_MEL, NUM_MFCC)
        yield np.concatenate([mfcc, octave_contrast(power), audio_envelope(power, energy)], axis=1)


def modulation_spectrum(frames: Iterable[NDArray]) -> NDArray:
    """Return the mean magnitude of FFTs along time of texture windows (zeros fill up), (256, D)."""
    total, count = np.zeros((), np.float32), 0
    for texture in spectra.windows(frames, TEXTURE, TEXTURE_HOP):
        total = total + np.abs(scipy.fft.rfft(texture, axis=0))
        count += 1
    return total[: TEXTURE // 2] / count


def contrast_statistics(spectrum: NDArray) -> NDArray:
    """Return mean and deviation of contrasts and valleys of modulation subbands, by column and row [P]."""
    bands = [spectrum[low:high] for low, high in pairwise(SUBBANDS)]
    valley = np.stack([band.min(axis=0) for band in bands])
    contrast = np.stack([band.max(axis=0) for band in bands]) - valley
    found = [(some.mean(axis=axis), some.std(axis=axis)) for axis in (0, 1) for some in (contrast, valley)]
    return np.concatenate([vector for pair in found for vector in pair])


def features(signal: Signal, _options: Namespace, _network: Arrays) -> dict[str, NDArray]:
    """Return the three vectors of a track as one row, of shape (1, 316)."""
    spectrum = modulation_spectrum(frame_features(signal))
    parts = np.split(spectrum, np.cumsum([*SIZES.values()])[:-1], axis=1)
    return {"modulation": np.concatenate([contrast_statistics(part) for part in parts])[np.newaxis]}


def part_slices() -> dict[str, slice]:
    """Return where the vector of each frame feature stands in the joined one, and all of it."""
    found, end = {}, 0
    for name, dim in SIZES.items():
        end, start = end + 4 * dim + 32, end
        found[name] = slice(start, end)
    return {**found, "all": slice(0, end)}


def fit(tracks: Tracks, _options: Namespace) -> Arrays:
    """Fit min-max scaling, and one LDA to each part and one to all of them: projections and centroids [P].

    Directions without any scatter within the classes are left out: rows and columns of a contrast matrix have
    the same mean, so each part has two of them; corpora with fewer tracks than values have more.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # a second; features do without it

    values, labels = tracks.stacked("modulation")[:, 0], tracks.labels
    low, high = values.min(axis=0), values.max(axis=0)
    scale = 1.0 / np.where(high > low, high - low, 1.0)
    scaled = (values - low) * scale
    model: Arrays = {"low": low, "scale": scale, "present": np.unique(labels)}
    for name, columns in part_slices().items():
        lda = LinearDiscriminantAnalysis(solver="svd", tol=NULL).fit(scaled[:, columns], labels)
        model[f"{name}_projection"] = lda.scalings_[:, : len(lda.classes_) - 1]
        model[f"{name}_centroids"] = lda.means_ @ model[f"{name}_projection"]
    return model


def scores(model: Arrays, tracks: Tracks) -> NDArray:
    """Return minus the sum over the parts of squared distances to the centroids, of shape (n, C) [P]."""
    scaled = (tracks.stacked("modulation")[:, 0] - model["low"]) * model["scale"]
    total = np.zeros((len(scaled), len(model["present"])))
    for name, columns in part_slices().items():
        weight = model[f"{name}_projection"]
        projected = np.stack([row @ weight for row in scaled[:, columns]])  # each alone, with the same bits
        total -= cdist(projected, model[f"{name}_centroids"], "sqeuclidean")
    return tracks.spread(total, model["present"])


KINDS = ("modulation",)
SHAPES = {
    **dict.fromkeys(("low", "scale"), "316"),
    "present": "present",
    **{f"{name}_projection": f"of_{name} dim_{name}" for name in part_slices()},
    **{f"{name}_centroids": f"present dim_{name}" for name in part_slices()},
}
SCORES = {"Seg_acc": (scores, "lee2009 at 22 050 Hz: 316 values instead of 332")}
