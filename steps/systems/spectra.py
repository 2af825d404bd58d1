"""Frames, power spectra, bands and cepstra: what several of the systems begin with."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from steps.scattering.wav import Signal

SAMPLE_RATE = 22050  # Hz, of all features here: what stage 1 of the recipe makes
BLOCK = 2048  # frames that are in memory at a time
FULL_SCALE = 32768.0  # 16-bit integers, on whose scale the published formulas with "1 + power" make sense [O]


def num_frames(num_samples: int, size: int, hop: int) -> int:
    """Return how many whole frames there are; audio shorter than a frame is one, filled with zeros."""
    return 1 + max(0, num_samples - size) // hop


def frame_blocks(
    signal: Signal, size: int, hop: int, *, pre_emphasis: float = 0.0
) -> Iterator[NDArray[np.float32]]:
    """Yield frames (at most BLOCK, size) on the scale of 16 bits, of x(n) - pre_emphasis x(n - 1)."""
    total = num_frames(len(signal), size, hop)
    for first in range(0, total, BLOCK):
        start, stop = first * hop, (min(first + BLOCK, total) - 1) * hop + size
        piece = np.asarray(signal[max(start - 1, 0) : stop], dtype=np.float32) * np.float32(FULL_SCALE)
        piece = np.pad(piece, (int(start == 0), 0))  # the sample before the first frame
        if pre_emphasis:
            piece[1:] -= np.float32(pre_emphasis) * piece[:-1]
        piece = np.pad(piece[1:], (0, stop - start + 1 - len(piece)))
        yield sliding_window_view(piece, size)[::hop]


def windows(blocks: Iterable[NDArray], size: int, hop: int) -> Iterator[NDArray]:
    """Yield ``size`` rows every ``hop`` of rows that come in blocks; fewer are filled up with zeros."""
    rest, short = np.empty(0), True
    for block in blocks:
        rest = np.concatenate([rest, block]) if len(rest) else block
        while len(rest) >= size:
            yield rest[:size]
            rest, short = rest[hop:], False
    if short:
        yield np.pad(rest, ((0, size - len(rest)), (0, 0)))


def power_spectrum(frames: NDArray[np.float32], window: NDArray[np.float64], num_fft: int = 0) -> NDArray:
    """Return |FFT|^2 of windowed frames, float32 of shape (num_frames, num_fft / 2 + 1)."""
    spectrum = scipy.fft.rfft(frames * window.astype(np.float32), n=num_fft or len(window), axis=1)
    return np.square(spectrum.real) + np.square(spectrum.imag)


def triangles(edges: Sequence[float] | NDArray, num_fft: int) -> NDArray[np.float32]:
    """Return triangles over the bins, 0 at edges b and b + 2 in Hz, (num_fft / 2 + 1, len(edges) - 2)."""
    points = np.asarray(edges, dtype=np.float64)
    bins = np.linspace(0.0, SAMPLE_RATE / 2, num_fft // 2 + 1)[:, np.newaxis]
    low, peak, high = points[:-2], points[1:-1], points[2:]
    rising, falling = (bins - low) / (peak - low), (high - bins) / (high - peak)
    return np.clip(np.minimum(rising, falling), 0.0, None).astype(np.float32)


@cache
def octave_bands(octaves: float, num_fft: int) -> NDArray[np.float32]:
    """Return rectangular bands of some octaves from 62.5 Hz to 8 kHz, as MPEG-7's spectrum envelope has.

    A bin stands for the frequencies within half a bin of its own, and counts for a band by the share of these
    that lies in it. There is a band below the first edge and one above the last, so the bands add up to the
    whole spectrum: (num_fft / 2 + 1, 7 / octaves + 2).
    """
    step = SAMPLE_RATE / num_fft
    centres = np.arange(num_fft // 2 + 1)[:, np.newaxis] * step
    edges = 62.5 * 2.0 ** (octaves * np.arange(round(7 / octaves) + 1))
    limits = np.concatenate([[-step], edges, [SAMPLE_RATE / 2 + step]])
    low = np.maximum(centres - step / 2, limits[:-1])
    high = np.minimum(centres + step / 2, limits[1:])
    return (np.clip(high - low, 0.0, None) / step).astype(np.float32)


def cosine_transform(num_inputs: int, num_coefficients: int, first: int = 0) -> NDArray[np.float32]:
    """Return cos(l (b + 1/2) pi / num_inputs) for l from ``first``, (num_inputs, num_coefficients)."""
    order = np.arange(first, first + num_coefficients)
    position = np.arange(num_inputs)[:, np.newaxis] + 0.5
    return np.cos(np.pi / num_inputs * position * order).astype(np.float32)
