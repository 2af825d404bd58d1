"""The scattering transform of blocks on arrays: on CUDA, in double precision, and without a compiler.

Every spectrum is cut to the band of a filter, multiplied by it, folded to the filter's own rate and
transformed back; wavelets of equal rate go together; the low-pass is a decimating matrix product. The
forward transforms divide by the length, the inverse ones do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from steps.scattering import bands, blocks, paths
from steps.scattering.config import Config

Jobs = Sequence[Callable[[], None]]
Array = Any


class Band(NamedTuple):
    """A filter as ``bands.Band``, cut into rows of the filter's own rate, every value twice.

    Twice for the real and the imaginary part: each row but the last, which may be short, has
    ``2 num_out`` values, and belongs to the bins from ``start`` on.
    """

    start: int
    rows: list[Array]


class Kernels(Protocol):
    """The inner loops. Complex numbers are pairs of real ones where they are multiplied by filters."""

    together: (
        bool  # whether second-order paths of one rate are computed together, since it is calls that cost
    )

    def array(self, values: Any) -> Array:
        """Return numbers in the precision of the work, or places."""

    def empty(self, *shape: int, pairs: bool = False) -> Array:
        """Return memory, for complex numbers if they are to be pairs."""

    def as_pairs(self, values: Array) -> Array:
        """See complex numbers as pairs of real ones [shape=(..., n)] -> [shape=(..., 2 n)]."""

    def inverse(self, spectrum: Array) -> Array:
        """Inverse transform along the last axis, not divided by the length; may overwrite its input."""

    def forward(self, signals: Array) -> Array:
        """Half spectra of real signals along the last axis, divided by the length."""

    def modulus(self, values: Array) -> Array:
        """Absolute values."""

    def negative(self, half: Array, count: int, out: Array) -> None:
        """Write the bins from ``-count`` to -1 of the spectra of real signals."""

    def add_product(self, out: Array, values: Array, factors: Array) -> None:
        """``out += values * factors``."""

    def decimate(self, signals: Array, taps: Array, margin: int, num_frames: int) -> Array:
        """Average signals [shape=(rows, samples)] about ``num_frames`` hops from hop ``margin`` on.

        ``taps`` is the low-pass, as ``bands.lowpass_taps``.
        """


class Edges(Protocol):
    """What continues signals beyond the ends of their tracks."""

    def extend(self, signals: Array, resolution: int) -> Array:
        """Return signals [shape=(blocks, rows, samples)], perhaps the same, with the mirror images."""


class _Second(NamedTuple):
    rate: int
    places: Array
    band: Band
    row: int


def in_turn(jobs: Jobs) -> None:
    """Do one job after the other."""
    for job in jobs:
        job()


class Transform:
    """The scattering transform of blocks of ``num_hops`` hops in ``float32`` or ``float64``."""

    def __init__(self, config: Config, num_hops: int, dtype: str, kernels: Kernels) -> None:
        self.kernels = kernels
        self.num_samples = num_hops * config.hop
        self.margin = blocks.margin_hops(config)
        self.num_frames = num_hops - 2 * self.margin
        self.num_dims = paths.num_dims(config)
        self.groups = paths.groups(config)
        made = bands.build(config, num_hops, dtype)

        def band(filter_: bands.Band, resolution: int) -> Band:
            twice, size = filter_.values.repeat(2), 2 * (self.num_samples >> resolution)
            return Band(
                filter_.start, [kernels.array(twice[i : i + size]) for i in range(0, len(twice), size)]
            )

        self.first = [
            [band(filter_, group.resolution) for filter_ in own]
            for group, own in zip(self.groups, made.first, strict=True)
        ]
        self.taps = {resolution: kernels.array(values) for resolution, values in made.taps.items()}
        self.zero = [kernels.array(values) for values in made.zero]
        # The second-order paths of each group: resolution, places in the output, filter, and the first row
        # among all of that resolution where these are computed together.
        self.second: list[list[_Second]] = []
        together: dict[int, list[int]] = {}
        for group, own in zip(self.groups, made.second, strict=True):
            self.second.append([])
            for child, filter_ in zip(group.children, own, strict=True):
                places = together.setdefault(child.resolution, [])
                second = _Second(
                    child.resolution,
                    kernels.array(child.columns),
                    band(filter_, child.resolution),
                    len(places),
                )
                places += child.columns
                self.second[-1].append(second)
        self.together = {rate: kernels.array(own) for rate, own in together.items() if kernels.together}
        self.first_places = [kernels.array(group.columns) for group in self.groups]
        self.zero_columns = [c.dim for c in paths.columns(config) if c.order == 0]

    def __call__(self, signal: Array, edges: Edges, do: Callable[[Jobs], object] = in_turn) -> Array:
        """Transform blocks [shape=(blocks, samples)], mirror images included, whose tracks end at ``edges``.

        ``do`` does some jobs that do not depend on each other. Returns averages
        [shape=(blocks, dims, frames)].
        """
        out = self.kernels.empty(len(signal), self.num_dims, self.num_frames)
        products = {rate: self._product(len(signal), len(own), rate) for rate, own in self.together.items()}
        jobs: list[Callable[[], None]] = [partial(self._order_zero, signal, out)]
        if self.groups:
            half = self.num_samples // 2
            spectrum = self._two_sided(signal, half, wrapped=True)
            every = range(len(self.groups))
            jobs += [partial(self._first_order, index, spectrum, edges, products, out) for index in every]
        do(jobs)
        do(
            [
                partial(self._second_order, rate, self.together[rate], product, edges, out)
                for rate, product in products.items()
            ]
        )
        return out

    def _product(self, num_blocks: int, rows: int, resolution: int) -> Array:
        return self.kernels.empty(num_blocks, rows, self.num_samples >> resolution, pairs=True)

    def _two_sided(self, signals: Array, negative: int, *, wrapped: bool = False) -> Array:
        """Spectra of signals of n samples from bin ``-negative`` to n / 2 - 1, or to n - 1, as pairs."""
        half = self.kernels.forward(signals)
        middle = half.shape[-1] - 1
        size = negative + (2 * middle if wrapped else middle)
        out = self.kernels.empty(*half.shape[:-1], size, pairs=True)
        out[..., negative : negative + middle] = half[..., :middle]
        self.kernels.negative(half, negative, out)
        if wrapped:
            out[..., negative + middle :] = out[..., negative - middle : negative]
        return self.kernels.as_pairs(out)

    def _fold(self, spectrum: Array, offset: int, band: Band, out: Array) -> None:
        """Multiply spectra by a filter and fold the product to its rate; bin 0 is the pair at ``offset``."""
        place = 2 * (offset + band.start)
        out[...] = 0
        for row in band.rows:
            self.kernels.add_product(out[..., : len(row)], spectrum[..., place : place + len(row)], row)
            place += len(row)

    def _order_zero(self, signal: Array, out: Array) -> None:
        for column, taps in zip(self.zero_columns, self.zero, strict=True):
            out[:, column] = self.kernels.decimate(signal, taps, self.margin, self.num_frames)

    def _first_order(
        self, index: int, spectrum: Array, edges: Edges, products: dict[int, Array], out: Array
    ) -> None:
        """Do order 1 of a group of wavelets, and order 2 up to the products with its filters.

        ``spectrum`` is that of the blocks from bin ``-samples / 2`` on, as pairs of real numbers.
        """
        group, kernels = self.groups[index], self.kernels
        product = self._product(len(spectrum), len(group.members), group.resolution)
        pairs = kernels.as_pairs(product)
        for member, band in enumerate(self.first[index]):
            self._fold(spectrum, self.num_samples // 2, band, pairs[:, member])
        envelope = kernels.modulus(kernels.inverse(product))
        del product, pairs
        envelope = edges.extend(envelope, group.resolution)
        self._store(envelope, group.resolution, self.first_places[index], out)
        if not group.children:
            return
        negative = max(-part.band.start for part in self.second[index])
        own = self._two_sided(envelope, negative)
        del envelope
        for rate, places, band, row in self.second[index]:
            parents = own[:, : len(places)]
            if rate in products:
                shared = kernels.as_pairs(products[rate])[:, row : row + len(places)]
                self._fold(parents, negative, band, shared)
                continue
            product = self._product(len(spectrum), len(places), rate)
            self._fold(parents, negative, band, kernels.as_pairs(product))
            self._second_order(rate, places, product, edges, out)

    def _second_order(self, rate: int, places: Array, product: Array, edges: Edges, out: Array) -> None:
        """Do what is left of second-order paths of one resolution."""
        envelope = self.kernels.modulus(self.kernels.inverse(product))
        if rate in self.taps:
            envelope = edges.extend(envelope, rate)
        self._store(envelope, rate, places, out)

    def _store(self, envelope: Array, resolution: int, places: Array, out: Array) -> None:
        if resolution in self.taps:
            rows = envelope.reshape(-1, envelope.shape[-1])
            values = self.kernels.decimate(rows, self.taps[resolution], self.margin, self.num_frames)
            out[:, places] = values.reshape(len(envelope), len(places), -1)
        else:
            out[:, places] = envelope[..., self.margin : self.margin + self.num_frames]
