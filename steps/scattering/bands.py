"""The filters of one block length, kept only where they are not negligible and cut to their own rate.

A band is a run of at least ``num_out`` consecutive frequency bins from ``start`` on. Cut into rows of
``num_out`` bins, the last one short, and added up, spectrum times band is folded to the rate of
``num_out`` samples. The fold leaves out a shift of all bins, which multiplies the output by a complex
number of modulus 1: nothing is lost, for a modulus always follows.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steps.scattering import blocks, filters, paths
from steps.scattering.config import Config

Reals = NDArray[np.floating]

# A low-pass that is above CUT at the Nyquist frequency of its rate is sampled on a grid of CUT_GRID hops.
CUT = 1e-10
CUT_GRID = 4096


@dataclass(frozen=True)
class Band:
    """One filter about its band: ``values`` [shape=(bins,)] for the bins from ``start`` on."""

    start: int
    values: Reals


@dataclass(frozen=True)
class Bands:
    """All filters of a configuration for blocks of ``num_hops`` hops.

    ``first[g][i]`` is the wavelet of member ``i`` of group ``g``, ``second[g][i]`` that of its child
    ``i``, ``taps[r]`` the decimating low-pass of orders 1 and 2 at resolution ``r`` (all but the frame
    rate's own) and ``zero[block]`` that of order 0 [shape=(taps, hop / 2^r)].
    """

    first: list[list[Band]]
    second: list[list[Band]]
    taps: dict[int, Reals]
    zero: list[Reals]


def band_edges(low: float, high: float, num_bins: int) -> tuple[int, int]:
    """First bin and number of bins of the frequencies from ``low`` to ``high``, on the full-rate grid."""
    step = 2.0 * math.pi / num_bins
    first = math.floor(low / step)
    return first, min(num_bins, math.ceil(high / step) - first + 1)


def first_band(bank: filters.Bank, n: int, num_bins: int, num_out: int, dtype: str) -> Band:
    """Cut a first-layer wavelet for a spectrum known from bin ``-num_bins / 2`` to ``num_bins - 1``."""
    start, size = band_edges(*bank.interval(n, filters.NEGLIGIBLE[dtype]), num_bins)
    size = max(size, num_out)
    start = max(0 if size == num_bins else start, -(num_bins // 2))
    return Band(start, bank.response(n, np.arange(start, start + size) * (2.0 * math.pi / num_bins), dtype))


def second_bands(
    bank: filters.Bank, n: int, cuts: list[tuple[int, int]], num_bins: int, dtype: str
) -> Iterator[Band]:
    """Cut a second-layer wavelet for spectra of signals of (``num_in``, then ``num_out``) samples each.

    The filter of a rate is the full-rate filter up to the rate's Nyquist frequency and half of it
    there, as ScatNet has it; the spectrum is known from bin ``-num_in / 2`` to ``num_in / 2 - 1``.
    """
    low, size = band_edges(*bank.interval(n, filters.NEGLIGIBLE[dtype]), num_bins)
    ranges = []
    for num_in, num_out in cuts:
        half = num_in // 2
        start, end = max(low, -half), min(low + size, half)
        end = max(end, start + num_out)
        ranges.append((start - max(0, end - half), min(end, half)))
    first = min(start for start, _ in ranges)
    step = 2.0 * math.pi / num_bins
    whole = bank.response(n, np.arange(first, max(end for _, end in ranges)) * step, dtype)
    for (num_in, _), (start, end) in zip(cuts, ranges, strict=True):
        values = whole[start - first : end - first].copy()
        if start == -num_in // 2 and num_in < num_bins:
            values[0] = 0.5 * float(np.sum(bank.response(n, np.array([start, -start]) * step)))
        yield Band(start, values)


def lowpass_taps(width: float, hop: int, resolution: int, negligible: float, longest: int) -> Reals:
    """Low-pass in time, cut into hops: the weight of sample ``s`` of hop ``m + q`` in frame ``m``.

    Sum 1; a Gaussian of standard deviation ``width`` full-rate samples. Where the resolution's Nyquist
    frequency cuts the Gaussian's spectrum, it rings in time and is given ``longest`` hops on either
    side [shape=(hops, hop / 2^resolution)]; ``q`` from ``-hops / 2`` on.
    """
    per_hop = hop >> resolution
    spread = width / (1 << resolution)
    if math.exp(-0.5 * (spread * math.pi) ** 2) < CUT:  # at the Nyquist frequency
        reach = math.ceil(math.sqrt(-2.0 * math.log(negligible)) * width / hop)
        distance = np.arange(-reach * per_hop, reach * per_hop) / spread
        weights = np.exp(-0.5 * distance**2) / (spread * math.sqrt(2.0 * math.pi))
        return weights.reshape(2 * reach, per_hop)
    size = CUT_GRID * per_hop
    response = np.exp(-0.5 * (np.arange(size // 2 + 1) * (2.0 * math.pi / size) * spread) ** 2)
    weights = np.roll(np.fft.irfft(response, size), longest * per_hop)[: 2 * longest * per_hop]
    return weights.reshape(2 * longest, per_hop)


def build(config: Config, num_hops: int, dtype: str) -> Bands:
    """Evaluate all filters for blocks of ``num_hops`` hops, an even number, in ``dtype``."""
    negligible = filters.NEGLIGIBLE[dtype]
    num_bins = num_hops * config.hop
    groups = paths.groups(config)
    banks = [config.banks(block) for block in range(len(config.Q))]
    first = [
        [
            first_band(banks[block][0], n, num_bins, num_bins >> group.resolution, dtype)
            for block, n in group.members
        ]
        for group in groups
    ]
    cuts: dict[tuple[filters.Bank, int], list[tuple[int, int]]] = {}
    for group in groups:
        for child in group.children:
            cut = (num_bins >> group.resolution, num_bins >> child.resolution)
            cuts.setdefault((group.second, child.n2), []).append(cut)
    seconds = {key: second_bands(*key, own, num_bins, dtype) for key, own in cuts.items()}
    second = [[next(seconds[group.second, child.n2]) for child in group.children] for group in groups]
    rates = {part.resolution for group in groups for part in group.parts()}

    def taps(bank: filters.Bank, rate: int) -> Reals:
        longest = blocks.margin_hops(config)
        return lowpass_taps(bank.lowpass_width, config.hop, rate, negligible, longest).astype(dtype)

    decimating = {rate: taps(banks[0][1], rate) for rate in sorted(rates) if config.hop >> rate > 1}
    return Bands(first, second, decimating, [taps(bank, 0) for bank, _ in banks])
