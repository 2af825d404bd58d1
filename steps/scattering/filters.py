"""ScatNet's filter banks, one function a formula, and the filters as samples in frequency.

Frequencies are in radians a sample of the full rate, widths are the standard deviation of a filter's
Gaussian envelope in samples. A filter lives on a grid of ``num_bins`` frequencies ``2 pi k / num_bins``;
bin ``k`` may be negative and stands for ``k + num_bins``. The formulas are those of ScatNet v0.2
(``morlet_filter_bank_1d.m``, ``dyadic_freq_1d.m``, ``T_to_J.m``).
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

Floats = NDArray[np.floating]

S0 = 2.0 / math.sqrt(3.0)
PERIODS = (-2, -1, 0, 1, 2)
# Widths from its centre at which a Gaussian is nothing in double precision.
FAR = 9.0
LITTLEWOOD_PALEY_MAX = 2.0
GRID_PER_WINDOW = 128
NEGLIGIBLE = {"float32": 1e-8, "float64": 1e-17}


def centre_of_mother(Q: int) -> float:
    """Centre frequency of the first wavelet, ``pi (2^(-1/Q) + 1) / 2``."""
    return math.pi * (2.0 ** (-1.0 / Q) + 1.0) / 2.0


def width_of_mother(Q: int) -> float:
    """Time width of the first wavelet, ``(s0 / 2) / (1 - 2^(-1/Q))``."""
    return (S0 / 2.0) / (1.0 - 2.0 ** (-1.0 / Q))


def width_of_father(Q: int) -> float:
    """Time width of the low-pass before its dilation: the mother's, halved for Q = 1."""
    return width_of_mother(Q) / (1 + (Q == 1))


def num_logarithmic(Q: int, T: int) -> int:
    """Count the wavelets spaced by ``2^(1/Q)``: ``J = 1 + round(Q log2(T / (4 Q / (1 + [Q = 1]))))``."""
    return 1 + round_half_up(Q * math.log2(T / (4.0 * Q / (1 + (Q == 1)))))


def num_linear(Q: int) -> int:
    """Count the wavelets of constant bandwidth: ``P = round((2^(-1/Q) - s0/(4 w)) / (1 - 2^(-1/Q)))``."""
    ratio = 2.0 ** (-1.0 / Q)
    return round_half_up((ratio - S0 / (4.0 * width_of_father(Q))) / (1.0 - ratio))


def linear_step(Q: int, T: int) -> float:
    """Spacing of the linear wavelets, ``pi 2^(-J/Q) (1 - (s0 / (4 w)) 2^(1/Q)) / P``; 0 if there are none."""
    P = num_linear(Q)
    if P == 0:
        return 0.0
    low = math.pi * 2.0 ** (-num_logarithmic(Q, T) / Q)
    return low * (1.0 - S0 / (4.0 * width_of_father(Q)) * 2.0 ** (1.0 / Q)) / P


def lowpass_width(Q: int, T: int) -> float:
    """Time width of the low-pass in samples, ``w_phi 2^((J - 1)/Q)``."""
    return width_of_father(Q) * 2.0 ** ((num_logarithmic(Q, T) - 1) / Q)


def bandwidth(width: Floats | float) -> Floats:
    """Bandwidth in radians of a filter of a time width, ``(pi / 2) s0 / width``."""
    return (math.pi / 2.0) * S0 / np.asarray(width, dtype=np.float64)


def wavelet_resolution(width: float, oversampling: int = 1) -> int:
    """Log2 of the subsampling after a wavelet, ``max(0, round(log2(2 pi / bw / 2)) - oversampling)``."""
    return max(0, round_half_up(math.log2(math.pi / float(bandwidth(width)))) - oversampling)


def lowpass_resolution(width: float, oversampling: int = 1) -> int:
    """Log2 of the subsampling after the low-pass, ``max(0, round(log2(2 pi / bw)) - oversampling)``."""
    return max(0, round_half_up(math.log2(2.0 * math.pi / float(bandwidth(width)))) - oversampling)


def round_half_up(value: float) -> int:
    """Round to the nearest integer, halves upwards as ScatNet's language does for positive numbers."""
    return math.floor(value + 0.5)


def gaussian(omega: Floats, centre: float, width: float, dtype: DTypeLike = np.float64) -> Floats:
    """Sample ``exp(-((omega - centre) width)^2 / 2)``, periodised over 2 pi; exponentials in ``dtype``."""
    total = np.zeros_like(omega, dtype=dtype)
    low, high = float(np.min(omega)), float(np.max(omega))
    for period in PERIODS:
        shift = 2.0 * math.pi * period - centre
        if (low + shift) * width < FAR and (high + shift) * width > -FAR:
            distance = omega + shift
            distance *= width
            distance *= distance
            distance *= -0.5
            total += np.exp(distance.astype(dtype, copy=False))
    return total


def morlet(omega: Floats, centre: float, width: float, dtype: DTypeLike = np.float64) -> Floats:
    """Sample the Morlet filter: the Gabor filter less the Gaussian at 0 that makes it vanish at 0."""
    zero = np.zeros(1)
    share = float(gaussian(zero, centre, width)[0] / gaussian(zero, 0.0, width)[0])
    return gaussian(omega, centre, width, dtype) - share * gaussian(omega, 0.0, width, dtype)


def lowpass(omega: Floats, width: float) -> Floats:
    """Sample the low-pass, a Gaussian at 0 that is 1 there."""
    return gaussian(omega, 0.0, width) / float(gaussian(np.zeros(1), 0.0, width)[0])


# A Gabor filter is a Gaussian about its centre; it does not quite vanish at 0.
SHAPES = {"gabor": gaussian, "morlet": morlet}


def reach(width: float, negligible: float) -> float:
    """Distance from its centre, in radians, at which a filter falls to ``negligible``."""
    return math.sqrt(-2.0 * math.log(negligible)) / width


@dataclass(frozen=True)
class Bank:
    """One filter bank: ``shape`` is 'gabor' or 'morlet', ``Q`` wavelets an octave, averaging scale ``T``."""

    shape: str
    Q: int
    T: int

    @functools.cached_property
    def centres(self) -> Floats:
        """Centre frequencies in radians a sample, from high to low, logarithmic first [shape=(J + P,)]."""
        logarithmic = centre_of_mother(self.Q) * 2.0 ** (-np.arange(num_logarithmic(self.Q, self.T)) / self.Q)
        linear = linear_step(self.Q, self.T) * np.arange(1, num_linear(self.Q) + 1)
        return np.concatenate([logarithmic, logarithmic[-1] - linear])

    @functools.cached_property
    def widths(self) -> Floats:
        """Time widths in samples; the linear wavelets share the last one [shape=(J + P,)]."""
        logarithmic = width_of_mother(self.Q) * 2.0 ** (np.arange(num_logarithmic(self.Q, self.T)) / self.Q)
        return np.concatenate([logarithmic, np.full(num_linear(self.Q), logarithmic[-1])])

    @functools.cached_property
    def bandwidths(self) -> Floats:
        """Bandwidths in radians a sample [shape=(J + P,)]."""
        return bandwidth(self.widths)

    @functools.cached_property
    def lowpass_width(self) -> float:
        """Time width of the low-pass in samples."""
        return lowpass_width(self.Q, self.T)

    def response(self, n: int, omega: Floats, dtype: DTypeLike = np.float64) -> Floats:
        """Frequency response of wavelet ``n`` at ``omega``, with the bank's common scale."""
        return scale(self) * SHAPES[self.shape](omega, float(self.centres[n]), float(self.widths[n]), dtype)

    def interval(self, n: int, negligible: float) -> tuple[float, float]:
        """Frequencies between which wavelet ``n`` is not negligible; may be wider than 2 pi."""
        width = float(self.widths[n])
        centre = float(self.centres[n])
        low, high = centre - reach(width, negligible), centre + reach(width, negligible)
        share = math.exp(-0.5 * (centre * width) ** 2)
        if self.shape == "morlet" and share > negligible:
            low = min(low, -reach(width, negligible / share))
        return low, high


def littlewood_paley(bank: Bank, omega: Floats) -> Floats:
    """Sum ``|psi|^2`` of the logarithmic, unscaled wavelets at frequencies in ascending order."""
    total = np.zeros_like(omega)
    for n in range(num_logarithmic(bank.Q, bank.T)):
        low, high = bank.interval(n, NEGLIGIBLE["float32"])
        wraps = low < 0.0 or high > 2.0 * math.pi
        there = slice(None) if wraps else slice(*np.searchsorted(omega, (low, high)))
        if len(omega[there]):
            values = SHAPES[bank.shape](omega[there], float(bank.centres[n]), float(bank.widths[n]))
            total[there] += values * values
    return total


@functools.cache
def scale(bank: Bank) -> float:
    """One number for all wavelets of a bank, so that the Littlewood-Paley sum has the maximum 2.

    The maximum is that over ScatNet's grid, without all of its points: the sum has about one peak a wavelet,
    so it is sampled in steps that follow their spacing, and then closely about the high peaks.
    """
    num_bins = GRID_PER_WINDOW * bank.T
    step = 2.0 * math.pi / num_bins
    lowest = math.log2(float(bank.centres[-1]) / (2.0 * step))
    octaves = math.log2(num_bins) - lowest
    bins = np.unique(np.rint(2.0 ** np.linspace(lowest, lowest + octaves, int(64 * bank.Q * octaves))))
    total = littlewood_paley(bank, bins * step)
    peaks = 1 + np.flatnonzero((total[1:-1] >= total[:-2]) & (total[1:-1] >= total[2:]))
    peaks = peaks[total[peaks] > 0.99 * np.max(total)]
    near = np.unique(np.rint(np.linspace(bins[peaks - 1], bins[peaks + 1], 512)))
    return math.sqrt(LITTLEWOOD_PALEY_MAX / float(np.max(littlewood_paley(bank, near * step))))
