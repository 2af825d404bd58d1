"""Gaussians of cepstra and patterns of loudness over time: what leo2012 and son2008 compare tracks by.

One spectrogram serves both: frames of 1024 samples every 512 with a Hann window [O].
"""

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from steps.scattering.wav import Signal
from steps.systems import spectra

FRAME, HOP = 1024, 512
FRAME_RATE = spectra.SAMPLE_RATE / HOP
NUM_MEL, NUM_CEPS = 40, 20
FLOOR = 1e-10
STREAMS = ("mfcc", "delta", "acceleration")

NUM_BANDS = 20
RANGE = 75.0
"""Loudness is in dB above this much below the loudest band of the track."""
NUM_LEVELS = 25
SEGMENT_SECONDS = 6.0
NUM_MODULATIONS = 60  # up to 10 Hz
LAGS = (round(0.25 * FRAME_RATE), round(1.5 * FRAME_RATE))  # 240 to 40 beats a minute


def mel_powers(signal: Signal) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the energy in 40 and in 20 mel bands of all frames, each of shape (num_frames, bands)."""
    window = np.hanning(FRAME)
    banks = [spectra.triangles(spectra.mel_edges(number), FRAME) for number in (NUM_MEL, NUM_BANDS)]
    fine, coarse = [], []
    for frames in spectra.frame_blocks(signal, FRAME, HOP):
        power = spectra.power_spectrum(frames, window)
        fine.append(power @ banks[0])
        coarse.append(power @ banks[1])
    return np.concatenate(fine).astype(np.float64), np.concatenate(coarse).astype(np.float64)


def cepstra(energy: NDArray) -> NDArray[np.float64]:
    """Return 20 MFCC with the 0th from the energy in 40 mel bands, of shape (num_frames, 20)."""
    return scipy.fft.dct(np.log(energy + FLOOR), axis=1, norm="ortho")[:, :NUM_CEPS]


def gaussian(rows: NDArray) -> NDArray[np.float64]:
    """Return mean (first row) and covariance of vectors, (dim + 1, dim); a ridge keeps it invertible."""
    dim = rows.shape[1]
    covariance = np.atleast_2d(np.cov(rows, rowvar=False, bias=True))
    ridge = 1e-6 * np.trace(covariance) / dim + 1e-6
    return np.concatenate([rows.mean(axis=0)[np.newaxis], covariance + ridge * np.eye(dim)])


def gaussians(energy: NDArray) -> NDArray[np.float64]:
    """Return a Gaussian of the cepstra, of their slope and of its slope, one below the other, (63, 20)."""
    static = cepstra(energy)
    slope = spectra.delta(static)
    return np.concatenate([gaussian(rows) for rows in (static, slope, spectra.delta(slope))])


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


def loudness(energy: NDArray) -> NDArray[np.float64]:
    """Return the loudness of bands in dB, 0 at 75 dB below the loudest of the track, shaped as ``energy``."""
    decibels = 10.0 * np.log10(energy + FLOOR)
    return np.maximum(decibels - decibels.max() + RANGE, 0.0)


def fluctuation_pattern(levels: NDArray) -> NDArray[np.float64]:
    """Return Pampalk's fluctuation pattern, the median over segments of 6 s, flattened, 1200 values."""
    frequency = np.arange(1, NUM_MODULATIONS + 1) / SEGMENT_SECONDS
    felt = 1.0 / (frequency / 4.0 + 4.0 / frequency)
    size = round(SEGMENT_SECONDS * FRAME_RATE)
    if len(levels) < size:
        levels = np.pad(levels, ((0, size - len(levels)), (0, 0)))
    patterns = []
    for low in range(0, len(levels) - size + 1, size // 2):
        modulation = np.abs(scipy.fft.rfft(levels[low : low + size], axis=0)[1 : NUM_MODULATIONS + 1]) / size
        weighted = modulation * felt[:, np.newaxis]
        patterns.append(np.abs(np.diff(weighted, axis=0, prepend=weighted[:1])))
    kernel = np.array([0.25, 0.5, 0.25])
    median = np.median(patterns, axis=0)
    for axis in (0, 1):
        median = scipy.ndimage.correlate1d(median, kernel, axis=axis, mode="constant")
    return median.ravel()


def spectrum_histogram(levels: NDArray) -> NDArray[np.float64]:
    """Return the share of frames in which each band reaches each of 25 levels, flattened, 500 values."""
    thresholds = np.arange(1, NUM_LEVELS + 1) * (RANGE / NUM_LEVELS)
    return (levels[:, :, np.newaxis] >= thresholds).mean(axis=0).ravel()


def periodicity(levels: NDArray) -> NDArray[np.float64]:
    """Return the normalised autocorrelation of the onset strength for lags from 0.25 to 1.5 s."""
    onset = np.maximum(np.diff(levels, axis=0, prepend=levels[:1]), 0.0).sum(axis=1)
    onset -= onset.mean()
    spectrum = scipy.fft.rfft(onset, n=scipy.fft.next_fast_len(2 * len(onset), real=True))
    correlation = scipy.fft.irfft(np.square(np.abs(spectrum)))
    wanted = np.zeros(LAGS[1])
    found = correlation[: min(LAGS[1], len(onset))]
    wanted[: len(found)] = found
    return wanted[LAGS[0] :] / max(float(correlation[0]), FLOOR)


def patterns(energy: NDArray) -> NDArray[np.float64]:
    """Return fluctuation pattern, spectrum histogram and periodicity from the energy in 20 bands, one row."""
    levels = loudness(energy)
    return np.concatenate([fluctuation_pattern(levels), spectrum_histogram(levels), periodicity(levels)])[
        np.newaxis
    ]


def pattern_slices() -> tuple[slice, slice, slice]:
    """Return where the three parts of :func:`patterns` stand."""
    first, second = NUM_BANDS * NUM_MODULATIONS, NUM_BANDS * NUM_LEVELS
    return slice(0, first), slice(first, first + second), slice(first + second, None)
