"""How tracks are cut into blocks, ScatNet's rule at their two ends, and the filters of a block.

A signal of N samples continues as its mirror image, ``x[-1 - i] = x[i]``, at every layer anew and at
the layer's own rate. Blocks overlap by a margin on either side; what a margin spoils is thrown away.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from steps import mapped
from steps.scattering import filters
from steps.scattering.config import Config, Group, groups, num_dims
from steps.scattering.wav import Signal
from utils.cli import UserError

Reals = NDArray[np.floating]
Band = tuple[int, Reals]
"""One filter where it is not negligible: its first bin, and its values, behind which are ``ZEROS`` zeros.

Cut into rows of as many bins as its output has samples, the last one short, and added up, spectrum times band
is folded to the output's rate. The fold leaves out a shift of all bins, which multiplies the output by a
complex number of modulus 1: nothing is lost, for a modulus always follows.
"""

# Twelve hops at T = 8192: the slowest second-order paths reach as far.
MARGIN_WIDTHS = 20.75
NUM_HOPS = (32, 48, 64, 96, 128, 160, 192)
FULL_BLOCK_SAMPLES = 192 * 4096
# A low-pass that is above CUT at the Nyquist frequency of its rate is sampled on a grid of CUT_GRID hops.
CUT = 1e-10
CUT_GRID = 4096
ZEROS = 16  # behind each band, for vectors that begin in it


def margin_hops(config: Config) -> int:
    """Hops to throw away on either side of a block."""
    width = max(config.banks(block)[1].lowpass_width for block in range(len(config.Q)))
    return math.ceil(MARGIN_WIDTHS * width / config.hop)


def block_sizes(config: Config) -> list[int]:
    """Lengths of block that are in use, in hops, ascending; all multiples of 16 and quick to transform."""
    longest = max(NUM_HOPS[-1], FULL_BLOCK_SAMPLES // config.hop)
    sizes = {size << doubled for size in NUM_HOPS for doubled in range(longest.bit_length())}
    return sorted(size for size in sizes if 2 * margin_hops(config) + 2 <= size <= longest)


def layout(
    config: Config, num_samples: int, num_hops: int | None = None
) -> tuple[int, list[tuple[int, int]]]:
    """Choose the blocks of a track, one that holds it or many of the longest; UserError below one window.

    Returns their length in hops, and the first frame of each and the one behind its last.
    """
    if num_samples < config.T:
        raise UserError(f"shorter than one window: expected {config.T} samples, got {num_samples}")
    frames = config.num_frames(num_samples)
    margins = 2 * margin_hops(config)
    if num_hops is None:
        sizes = block_sizes(config)
        num_hops = next((size for size in sizes if size - margins >= frames), sizes[-1])
    each = num_hops - margins
    return num_hops, [(low, min(low + each, frames)) for low in range(0, frames, each)]


def cut(signal: Signal, start: int, size: int) -> Reals:
    """Take samples from ``start`` on, zeros beyond the track's ends; UserError if one is not finite."""
    low, high = max(0, start), min(len(signal), start + size)
    taken = signal[low:high]
    if not np.all(np.isfinite(taken)):
        place = int(np.argmin(np.isfinite(taken)))
        raise UserError(f"sample {low + place} is {taken[place]}; expected finite numbers in [-1, 1]")
    samples = np.zeros(size, dtype=taken.dtype)
    samples[low - start : high - start] = taken
    return samples


class Piece(NamedTuple):
    """A block of a track of ``num_samples``: its samples from ``start`` on, and the rows for its averages."""

    label: Any
    num_samples: int
    num_hops: int
    start: int
    samples: Any
    rows: Reals
    averages: Reals
    is_last: bool


def pieces(
    tracks: Iterable[tuple[Any, Signal]], config: Config, dtype: str, num_hops: int | None = None
) -> Iterator[Piece]:
    """Yield the blocks of tracks with labels, with which an error in a track begins."""
    for label, signal in tracks:
        try:
            hops, spans = layout(config, len(signal), num_hops)
            averages = mapped.empty((spans[-1][1], num_dims(config)), dtype)
            for low, high in spans:
                start = (low - margin_hops(config)) * config.hop
                samples, is_last = cut(signal, start, hops * config.hop), high == len(averages)
                yield Piece(label, len(signal), hops, start, samples, averages[low:high], averages, is_last)
        except UserError as error:
            raise UserError(f"{label}: {error}") from error


def mirror_places(place: Any, start: Any, length: Any) -> Any:
    """Say what each ``place`` in a block is a mirror image of; itself if that lies outside the block."""
    period = (place + start) % (2 * length)
    source = length - (abs(2 * (period - length) + 1) + 1) // 2 - start
    return place + (source - place) * ((source >= 0) & (source < len(place)))


class Bands(NamedTuple):
    """All filters of a configuration for blocks of one length.

    ``groups`` has for each group the wavelets of its members and those of its children, ``taps[r]`` is the
    decimating low-pass of orders 1 and 2 at resolution ``r`` (all but the frame rate's own) and
    ``zero[block]`` that of order 0 [shape=(taps, hop / 2^r)].
    """

    groups: list[tuple[Group, list[Band], list[Band]]]
    taps: dict[int, Reals]
    zero: list[Reals]


class Place(NamedTuple):
    """The bins of a band from ``start`` to ``end``; the first is the Nyquist frequency if ``halved``."""

    bank: filters.Bank
    n: int
    start: int
    end: int
    halved: bool = False

    def sample(self, step: float, values: Reals) -> None:
        """Evaluate the wavelet at its bins, which are ``step`` apart."""
        self.bank.sample(self.n, self.start, step, values)
        if self.halved:
            both = self.bank.response(self.n, np.array([self.start, -self.start]) * step)
            values[0] = 0.5 * float(np.sum(both))


def band_edges(bank: filters.Bank, n: int, num_bins: int, dtype: str) -> tuple[int, int]:
    """Return the first bin of a wavelet and the number of its bins, on the full-rate grid."""
    low, high = bank.interval(n, filters.NEGLIGIBLE[dtype])
    step = 2.0 * math.pi / num_bins
    first = math.floor(low / step)
    return first, min(num_bins, math.ceil(high / step) - first + 1)


def first_place(bank: filters.Bank, n: int, num_bins: int, num_out: int, dtype: str) -> Place:
    """Place a first-layer wavelet in a spectrum known from bin ``-num_bins / 2`` to ``num_bins - 1``."""
    start, size = band_edges(bank, n, num_bins, dtype)
    size = max(size, num_out)
    start = max(0 if size == num_bins else start, -(num_bins // 2))
    return Place(bank, n, start, start + size)


def second_place(bank: filters.Bank, n: int, num_bins: int, num_in: int, num_out: int, dtype: str) -> Place:
    """Place a second-layer wavelet in spectra of signals of ``num_in``, then ``num_out`` samples.

    The filter of a rate is the full-rate filter up to the rate's Nyquist frequency and half of it there,
    as ScatNet has it; the spectrum is known from bin ``-num_in / 2`` to ``num_in / 2 - 1``.
    """
    low, size = band_edges(bank, n, num_bins, dtype)
    half = num_in // 2
    start, end = max(low, -half), min(low + size, half)
    end = max(end, start + num_out)
    start, end = start - max(0, end - half), min(end, half)
    return Place(bank, n, start, end, halved=start == -half and num_in < num_bins)


def lowpass_taps(width: float, hop: int, resolution: int, negligible: float, longest: int) -> Reals:
    """Low-pass in time, cut into hops: the weight of sample ``s`` of hop ``m + q`` in frame ``m``.

    Sum 1; a Gaussian of standard deviation ``width`` full-rate samples. Where the resolution's Nyquist
    frequency cuts the Gaussian's spectrum, it rings in time and is given ``longest`` hops on either
    side [shape=(hops, hop / 2^resolution)]; ``q`` from ``-hops / 2`` on.
    """
    per_hop = hop >> resolution
    spread = width / (1 << resolution)
    if math.exp(-0.5 * (spread * math.pi) ** 2) < CUT:  # at the Nyquist frequency
        hops = math.ceil(filters.reach(1.0 / width, negligible) / hop)
        distance = np.arange(-hops * per_hop, hops * per_hop) / spread
        weights = np.exp(-0.5 * distance**2) / (spread * math.sqrt(2.0 * math.pi))
        return weights.reshape(2 * hops, per_hop)
    size = CUT_GRID * per_hop
    response = np.exp(-0.5 * (np.arange(size // 2 + 1) * (2.0 * math.pi / size) * spread) ** 2)
    weights = np.roll(np.fft.irfft(response, size), longest * per_hop)[: 2 * longest * per_hop]
    return weights.reshape(2 * longest, per_hop)


def build(config: Config, num_hops: int, dtype: str) -> Bands:
    """Evaluate all filters for blocks of ``num_hops`` hops, an even number, in ``dtype``."""
    num_bins = num_hops * config.hop
    wanted = []
    for group in groups(config):
        num_in = num_bins >> group.resolution
        first = [first_place(config.banks(b)[0], n, num_bins, num_in, dtype) for b, n in group.members]
        second = [
            second_place(group.second, child.n2, num_bins, num_in, num_bins >> child.resolution, dtype)
            for child in group.children
        ]
        wanted.append((group, first, second))
    places = list(dict.fromkeys(place for _, first, second in wanted for place in (*first, *second)))
    sizes = [place.end - place.start + ZEROS for place in places]
    parts = np.split(np.zeros(sum(sizes), dtype), np.cumsum(sizes)[:-1])  # in one piece: large pages
    made = {place: (place.start, part[:-ZEROS]) for place, part in zip(places, parts, strict=True)}
    for place, (_, values) in made.items():
        place.sample(2.0 * math.pi / num_bins, values)

    def taps(bank: filters.Bank, rate: int) -> Reals:
        negligible = filters.NEGLIGIBLE[dtype]
        return lowpass_taps(bank.lowpass_width, config.hop, rate, negligible, margin_hops(config)).astype(
            dtype
        )

    rates = {group.resolution for group in groups(config)}
    rates |= {child.resolution for group in groups(config) for child in group.children}
    return Bands(
        [(group, [made[p] for p in first], [made[p] for p in second]) for group, first, second in wanted],
        {rate: taps(config.banks(0)[1], rate) for rate in sorted(rates) if config.hop >> rate > 1},
        [taps(config.banks(block)[0], 0) for block in range(len(config.Q))],
    )
