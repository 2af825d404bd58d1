"""Gaussians of cepstra and patterns of loudness over time: what leo2012 and son2008 compare tracks by.

One spectrogram serves both: frames of 1024 samples every 512 with a Hann window [O].
"""

from collections.abc import Iterator

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from steps import mapped
from steps.scattering.wav import Signal
from steps.systems import spectra

FRAME, HOP = 1024, 512
FRAME_RATE = spectra.SAMPLE_RATE / HOP
NUM_MEL, NUM_CEPS = 40, 20
FLOOR = 1e-10
STREAMS = ("mfcc", "delta", "acceleration")
ROWS = 1 << 14
"""Frames whose cepstra and onsets are in memory together."""

NUM_BANDS = 20
RANGE = 75.0
"""Loudness is in dB above this much below the loudest band of the track."""
NUM_LEVELS = 25
SEGMENT_SECONDS = 6.0
NUM_MODULATIONS = 60  # up to 10 Hz
LAGS = (round(0.25 * FRAME_RATE), round(1.5 * FRAME_RATE))  # 240 to 40 beats a minute


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


def patterns(energy: NDArray) -> NDArray[np.float64]:
    """Return fluctuation pattern, spectrum histogram and periodicity from the energy in 20 bands, one row."""
    levels = mapped.gathered(loudness(energy), len(energy))
    found = [fluctuation_pattern(levels), spectrum_histogram(levels), periodicity(levels)]
    return np.concatenate(found)[np.newaxis]


def pattern_slices() -> tuple[slice, slice, slice]:
    """Return where the three parts of :func:`patterns` stand."""
    first, second = NUM_BANDS * NUM_MODULATIONS, NUM_BANDS * NUM_LEVELS
    return slice(0, first), slice(first, first + second), slice(first + second, None)
