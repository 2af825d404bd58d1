"""The scattering transform on torch.fft, block by block; on the CPU's threads here, on CUDA in ``batches``.

Every spectrum is cut to the band of a filter, multiplied by it, folded to the filter's own rate and
transformed back; wavelets of equal rate go together; the low-pass is a decimating matrix product. The
forward transforms divide by the length, the inverse ones do not.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steps.scattering import bands, blocks, kernels, paths
from steps.scattering.config import Config

# Samples of a signal of which those of all groups of wavelets are computed together on the CPU: it is calls
# that cost there. Longer ones are computed while they are in its cache.
SMALL = 8192
COARSE_AT_ONCE = 8
Jobs = Sequence[Callable[[], None]]


class Edges(Protocol):
    """What continues signals beyond the ends of their tracks."""

    def extend(self, signals: Tensor, resolution: int, *, near: bool = False) -> Tensor:
        """Return signals [shape=(blocks, rows, samples)], perhaps the same, with the mirror images.

        ``near`` says that only their averages in the frames of the track are wanted.
        """


class _Second(NamedTuple):
    rate: int
    places: Tensor
    band: kernels.Band
    row: int | None


def in_turn(jobs: Jobs) -> None:
    """Do one job after the other."""
    for job in jobs:
        job()


class Transform:
    """The scattering transform of blocks of one length.

    Parameters
    ----------
    config : Config
        The feature set.
    num_hops : int
        Length of a block in hops.
    dtype : torch.dtype
        torch.float32 or torch.float64.
    device : torch.device
        Where the work is done.
    """

    def __init__(self, config: Config, num_hops: int, dtype: torch.dtype, device: torch.device) -> None:
        self.config = config
        self.num_samples = num_hops * config.hop
        self.margin = blocks.margin_hops(config)
        self.num_frames = num_hops - 2 * self.margin
        self.num_dims = paths.num_dims(config)
        self.groups = paths.groups(config)
        self.dtype = dtype
        self.device = device
        made = bands.build(config, num_hops, str(dtype).removeprefix("torch."))

        def band(filter_: bands.Band, resolution: int) -> kernels.Band:
            twice = torch.from_numpy(filter_.values).to(device).repeat_interleave(2)
            return kernels.Band(filter_.start, twice.split(2 * (self.num_samples >> resolution)))

        def taps(values: NDArray[np.floating]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).clone().to(device)

        self.first = [
            [band(filter_, group.resolution) for filter_ in own]
            for group, own in zip(self.groups, made.first, strict=True)
        ]
        self.taps = {resolution: taps(values) for resolution, values in made.taps.items()}
        self.zero = [taps(values) for values in made.zero]
        # The second-order paths of each group: resolution, places in the output, filter, and the first row
        # among all of that resolution where these are computed together.
        self.second: list[list[_Second]] = []
        together: dict[int, list[int]] = {}
        for group, own in zip(self.groups, made.second, strict=True):
            self.second.append([])
            for child, filter_ in zip(group.children, own, strict=True):
                rate, row = child.resolution, None
                if device.type != "cpu" or self.num_samples >> rate <= SMALL:
                    row = len(together.setdefault(rate, []))
                    together[rate] += child.columns
                places = torch.tensor(child.columns, device=device)
                self.second[-1].append(_Second(rate, places, band(filter_, rate), row))
        self.first_places = [torch.tensor(group.columns, device=device) for group in self.groups]
        self.together = {rate: torch.tensor(own, device=device) for rate, own in together.items()}
        parts = [(g.resolution, g.columns) for g in self.groups]
        parts += [(child.resolution, child.columns) for g in self.groups for child in g.children]
        self.coarse_columns = [c for rate, own in parts if rate not in self.taps for c in own]
        self.zero_columns = [c.dim for c in paths.columns(config) if c.order == 0]

    def __call__(self, signal: Tensor, edges: Edges, do: Callable[[Jobs], object] = in_turn) -> Tensor:
        """Transform blocks.

        Parameters
        ----------
        signal : Tensor [shape=(blocks, samples)]
            The blocks, mirror images included.
        edges : Edges
            Where the tracks end.
        do : callable
            Does some jobs that do not depend on each other.

        Returns
        -------
        Tensor [shape=(blocks, dims, frames)]
        """
        out = torch.empty(len(signal), self.num_dims, self.num_frames, dtype=self.dtype, device=self.device)
        products = {rate: self._product(len(signal), len(own), rate) for rate, own in self.together.items()}
        jobs: list[Callable[[], None]] = [partial(self._order_zero, signal, out)]
        if self.groups:
            half = kernels.forward(signal)
            spectrum = kernels.as_pairs(kernels.two_sided(half, self.num_samples // 2, wrapped=True))
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

    def _product(self, num_blocks: int, rows: int, resolution: int) -> Tensor:
        samples = self.num_samples >> resolution
        return torch.empty(num_blocks, rows, samples, dtype=self.dtype.to_complex(), device=self.device)

    def _order_zero(self, signal: Tensor, out: Tensor) -> None:
        for column, taps in zip(self.zero_columns, self.zero, strict=True):
            out[:, column] = kernels.decimate(signal, taps, self.margin, self.num_frames)

    def _first_order(
        self, index: int, spectrum: Tensor, edges: Edges, products: dict[int, Tensor], out: Tensor
    ) -> None:
        """Do order 1 of a group of wavelets, and order 2 up to the products with its filters.

        ``spectrum`` is that of the blocks from bin ``-samples / 2`` on, as pairs of real numbers.
        """
        group = self.groups[index]
        product = self._product(len(spectrum), len(group.members), group.resolution)
        for band, out_pairs in zip(self.first[index], kernels.as_pairs(product).unbind(1), strict=True):
            kernels.fold(spectrum, self.num_samples // 2, band, out_pairs)
        envelope = kernels.modulus(kernels.inverse(product))
        del product
        envelope = edges.extend(envelope, group.resolution)
        self._store(envelope, group.resolution, self.first_places[index], out)
        if not group.children:
            return
        negative = max(-part.band.start for part in self.second[index])
        own = kernels.as_pairs(kernels.two_sided(kernels.forward(envelope), negative))
        del envelope
        for rate, places, band, row in self.second[index]:
            parents = own[:, : len(places)]
            if row is not None:
                shared = kernels.as_pairs(products[rate])[:, row : row + len(places)]
                kernels.fold(parents, negative, band, shared)
                continue
            product = self._product(len(spectrum), len(places), rate)
            kernels.fold(parents, negative, band, kernels.as_pairs(product))
            self._second_order(rate, places, product, edges, out)

    def _second_order(self, rate: int, places: Tensor, product: Tensor, edges: Edges, out: Tensor) -> None:
        """Do what is left of second-order paths of one resolution."""
        envelope = kernels.modulus(kernels.inverse(product))
        if rate in self.taps:
            envelope = edges.extend(envelope, rate, near=True)
        self._store(envelope, rate, places, out)

    def _store(self, envelope: Tensor, resolution: int, places: Tensor, out: Tensor) -> None:
        if resolution in self.taps:
            rows = envelope.flatten(0, 1)
            values = kernels.decimate(rows, self.taps[resolution], self.margin, self.num_frames)
            values = values.view(len(envelope), len(places), -1)
        else:
            values = envelope[..., self.margin : self.margin + self.num_frames]
        out.index_copy_(1, places, values)

    def finish(self, averages: NDArray[np.floating]) -> None:
        """Low-pass in place what has the frame rate already, over the whole track [shape=(frames, dims)]."""
        for first in range(0, len(self.coarse_columns), COARSE_AT_ONCE):  # double precision takes memory
            columns = self.coarse_columns[first : first + COARSE_AT_ONCE]
            averages[:, columns] = lowpass_frames(averages[:, columns], self.config)


class HostEdges:
    """Mirror images within a block on the CPU, written in place."""

    def __init__(self, made: Transform, plan: blocks.Layout, block: int) -> None:
        self.whole = {g.resolution: blocks.outside(plan, block, g.resolution) for g in made.groups}
        self.near = {
            rate: blocks.outside(plan, block, rate, len(taps) // 2) for rate, taps in made.taps.items()
        }

    def extend(self, signals: Tensor, resolution: int, *, near: bool = False) -> Tensor:
        """See :class:`Edges`."""
        kernels.mirror(signals[0], (self.near if near else self.whole)[resolution])
        return signals


_MAKING = threading.Lock()
_READING = threading.Lock()


@functools.lru_cache(maxsize=4)
def transform(config: Config, num_hops: int, dtype: torch.dtype, device: torch.device) -> Transform:
    """Return the transform of a block length, made once and kept while it is in use."""
    with _MAKING:
        return Transform(config, num_hops, dtype, device)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep each operation on one thread: it is the groups of wavelets that run in parallel."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def averages(
    signal: blocks.Signal,
    config: Config,
    dtype: torch.dtype = torch.float32,
    num_threads: int = 1,
    num_hops: int | None = None,
) -> NDArray[np.floating]:
    """Scattering coefficients before ScatNet's factor, renormalisation and logarithm, on the CPU.

    Parameters
    ----------
    signal : array or blocks.Signal [shape=(samples,)]
        Audio in [-1, 1].
    config : Config
        The feature set.
    dtype : torch.dtype
        Precision of the work and of the result.
    num_threads : int
        Threads; the result does not depend on it.
    num_hops : int, optional
        Length of the blocks in hops, chosen from the track's length if omitted.

    Returns
    -------
    array [shape=(frames, dims)]
    """
    plan = blocks.layout(config, len(signal), num_hops)
    made = transform(config, plan.num_hops, dtype, torch.device("cpu"))
    result = np.empty((plan.num_frames, made.num_dims), dtype=str(dtype).removeprefix("torch."))

    def work(block: int, do: Callable[[Jobs], object] = in_turn) -> None:
        with _READING:
            samples = blocks.cut(signal, plan.start(block), made.num_samples)
        given = torch.from_numpy(samples).to(dtype)[None]
        out = made(given, HostEdges(made, plan, block), do)[0].numpy()
        low, high = plan.frames(block)
        result[low:high] = out[:, : high - low].T

    # Whole blocks side by side keep the threads busiest; what is left over is shared by groups of wavelets.
    alone = plan.num_blocks - plan.num_blocks % num_threads
    threads = ThreadPoolExecutor(num_threads, initializer=torch.set_num_threads, initargs=(1,))
    with one_torch_thread(), threads as pool:
        for _ in pool.map(work, range(alone)) if num_threads > 1 else map(work, range(alone)):
            pass
        for block in range(alone, plan.num_blocks):
            work(block, lambda jobs: list(pool.map(lambda job: job(), jobs)))
    made.finish(result)
    return result


def lowpass_frames(envelope: NDArray[np.floating], config: Config) -> NDArray[np.floating]:
    """Low-pass what is sampled at the frame rate already, over the whole track [shape=(frames, columns)].

    The track continues as its mirror image; the Gaussian ends at the Nyquist frequency.
    """
    frames = len(envelope)
    spread = config.banks(0)[1].lowpass_width / config.hop
    response = np.exp(-0.5 * (np.arange(frames + 1) * (np.pi / frames) * spread) ** 2)
    spectrum = np.fft.rfft(np.concatenate([envelope, envelope[::-1]]), axis=0)
    smooth = np.fft.irfft(spectrum * response[:, None], 2 * frames, axis=0)
    return smooth[:frames].astype(envelope.dtype)
