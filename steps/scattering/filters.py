"""ScatNet's filter banks, one property a formula, and the filters as samples in frequency.

Frequencies are in radians a sample of the full rate, widths are the standard deviation of a filter's Gaussian
envelope in samples (ScatNet v0.2: ``morlet_filter_bank_1d.m``, ``dyadic_freq_1d.m``, ``T_to_J.m``).
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
AT_ONCE = 1 << 15  # frequencies, whose double precision stays in the cache


def round_half_up(value: float) -> int:
    """Round to the nearest integer, halves upwards as ScatNet's language does for positive numbers."""
    return math.floor(value + 0.5)


def bandwidth(width: Floats | float) -> Floats:
    """Bandwidth in radians of a filter of a time width, ``(pi / 2) s0 / width``."""
    return (math.pi / 2.0) * S0 / np.asarray(width, dtype=np.float64)


def resolution(width: float, oversampling: int = 1) -> int:
    """Log2 of the subsampling after a wavelet, ``max(0, round(log2(2 pi / bw / 2)) - oversampling)``."""
    return max(0, round_half_up(math.log2(math.pi / float(bandwidth(width)))) - oversampling)


def gaussian(omega: Floats, centre: float, width: float, dtype: DTypeLike = np.float64) -> Floats:
    """``exp(-((omega - centre) width)^2 / 2)``, periodised over 2 pi, at ascending frequencies."""
    total = None
    for period in PERIODS:
        shift = 2.0 * math.pi * period - centre
        if (omega[0] + shift) * width < FAR and (omega[-1] + shift) * width > -FAR:
            distance = omega + shift
            distance *= width
            distance *= distance
            values = distance.astype(dtype, copy=False)
            values *= -0.5
            np.exp(values, out=values)
            total = values if total is None else total + values
    return np.zeros(len(omega), dtype) if total is None else total


def lowpass(omega: Floats, width: float) -> Floats:
    """Sample the low-pass at ascending frequencies, a Gaussian at 0 that is 1 there."""
    return gaussian(omega, 0.0, width) / float(gaussian(np.zeros(1), 0.0, width)[0])


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
    def mother_width(self) -> float:
        """Time width of the first wavelet, ``(s0 / 2) / (1 - 2^(-1/Q))``."""
        return (S0 / 2.0) / (1.0 - 2.0 ** (-1.0 / self.Q))

    @functools.cached_property
    def father_width(self) -> float:
        """Time width of the low-pass before its dilation: the mother's, halved for Q = 1."""
        return self.mother_width / (1 + (self.Q == 1))

    @functools.cached_property
    def lowpass_width(self) -> float:
        """Time width of the low-pass in samples, ``w_phi 2^((J - 1)/Q)``."""
        return self.father_width * 2.0 ** ((self.num_logarithmic - 1) / self.Q)

    @functools.cached_property
    def num_logarithmic(self) -> int:
        """Count the wavelets spaced by ``2^(1/Q)``: ``J = 1 + round(Q log2(T / (4 Q / (1 + [Q = 1]))))``."""
        return 1 + round_half_up(self.Q * math.log2(self.T / (4.0 * self.Q / (1 + (self.Q == 1)))))

    @functools.cached_property
    def num_linear(self) -> int:
        """Count those of constant bandwidth: ``P = round((2^(-1/Q) - s0/(4 w)) / (1 - 2^(-1/Q)))``."""
        ratio = 2.0 ** (-1.0 / self.Q)
        return round_half_up((ratio - S0 / (4.0 * self.father_width)) / (1.0 - ratio))

    @functools.cached_property
    def centres(self) -> Floats:
        """Centre frequencies in radians a sample, from high to low, logarithmic first [shape=(J + P,)].

        The first is ``pi (2^(-1/Q) + 1) / 2``; the linear ones are
        ``pi 2^(-J/Q) (1 - (s0 / (4 w)) 2^(1/Q)) / P`` apart.
        """
        J, P = self.num_logarithmic, self.num_linear
        mother = math.pi * (2.0 ** (-1.0 / self.Q) + 1.0) / 2.0
        logarithmic = mother * 2.0 ** (-np.arange(J) / self.Q)
        low = math.pi * 2.0 ** (-J / self.Q)
        step = low * (1.0 - S0 / (4.0 * self.father_width) * 2.0 ** (1.0 / self.Q)) / max(P, 1)
        return np.concatenate([logarithmic, logarithmic[-1] - step * np.arange(1, P + 1)])

    @functools.cached_property
    def widths(self) -> Floats:
        """Time widths in samples; the linear wavelets share the last one [shape=(J + P,)]."""
        logarithmic = self.mother_width * 2.0 ** (np.arange(self.num_logarithmic) / self.Q)
        return np.concatenate([logarithmic, np.full(self.num_linear, logarithmic[-1])])

    @functools.cached_property
    def bandwidths(self) -> Floats:
        """Bandwidths in radians a sample [shape=(J + P,)]."""
        return bandwidth(self.widths)

    def unscaled(self, n: int, omega: Floats, dtype: DTypeLike = np.float64) -> Floats:
        """Sample wavelet ``n`` unscaled: a Gaussian, as a Morlet less the one at 0 that makes it 0 there."""
        centre, width = float(self.centres[n]), float(self.widths[n])
        values = gaussian(omega, centre, width, dtype)
        if self.shape == "morlet":
            zero = np.zeros(1)
            share = float(gaussian(zero, centre, width)[0] / gaussian(zero, 0.0, width)[0])
            values -= share * gaussian(omega, 0.0, width, dtype)
        return values

    def response(self, n: int, omega: Floats) -> Floats:
        """Sample wavelet ``n`` with the bank's common scale."""
        return scale(self) * self.unscaled(n, omega)

    def sample(self, n: int, start: int, step: float, out: Floats) -> None:
        """Sample wavelet ``n`` as :meth:`response` at the multiples of ``step`` from ``start`` on."""
        for low in range(0, len(out), AT_ONCE):
            part = out[low : low + AT_ONCE]
            omega = np.arange(start + low, start + low + len(part), dtype=np.float64)
            omega *= step
            np.multiply(self.unscaled(n, omega, out.dtype), scale(self), out=part)

    def interval(self, n: int, negligible: float) -> tuple[float, float]:
        """Frequencies between which wavelet ``n`` is not negligible; may be wider than 2 pi."""
        width, centre = float(self.widths[n]), float(self.centres[n])
        low, high = centre - reach(width, negligible), centre + reach(width, negligible)
        share = math.exp(-0.5 * (centre * width) ** 2)
        if self.shape == "morlet" and share > negligible:
            low = min(low, -reach(width, negligible / share))
        return low, high


bank = functools.cache(Bank)


def littlewood_paley(bank: Bank, omega: Floats) -> Floats:
    """Sum ``|psi|^2`` of the logarithmic, unscaled wavelets at frequencies in ascending order."""
    total = np.zeros_like(omega)
    for n in range(bank.num_logarithmic):
        low, high = bank.interval(n, NEGLIGIBLE["float32"])
        wraps = low < 0.0 or high > 2.0 * math.pi
        there = slice(None) if wraps else slice(*np.searchsorted(omega, (low, high)))
        if len(omega[there]):
            total[there] += bank.unscaled(n, omega[there]) ** 2
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
    bins = np.rint(2.0 ** np.linspace(lowest, lowest + octaves, int(64 * bank.Q * octaves)))
    bins = bins[np.diff(bins, prepend=-1.0) > 0]
    total = littlewood_paley(bank, bins * step)
    peaks = 1 + np.flatnonzero((total[1:-1] >= total[:-2]) & (total[1:-1] >= total[2:]))
    peaks = peaks[total[peaks] > 0.99 * np.max(total)]
    near = np.sort(np.rint(np.linspace(bins[peaks - 1], bins[peaks + 1], 512)), axis=None)
    return math.sqrt(LITTLEWOOD_PALEY_MAX / float(np.max(littlewood_paley(bank, near * step))))
