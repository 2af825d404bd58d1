"""The scattering transform on torch.fft: blockwise, on the CPU's threads or on CUDA.

Every spectrum is cut to the band of a filter, multiplied by it, folded to the filter's own rate and
transformed back; wavelets of equal rate go together; the low-pass is a decimating matrix product. The
forward transforms divide by the length, the inverse ones do not.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steps.scattering import bands, blocks, kernels, paths
from steps.scattering.config import Config

# Blocks that go through together: a GPU wants many, a CPU's cache one.
BLOCKS_AT_ONCE = {"cpu": 1, "cuda": 8}
# Samples of a signal that is quickly transformed.
CHEAP = 32_768
Runs = list[list[blocks.Run]]


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
        self.second = [
            [band(filter_, child.resolution) for child, filter_ in zip(group.children, own, strict=True)]
            for group, own in zip(self.groups, made.second, strict=True)
        ]
        self.taps = {resolution: taps(values) for resolution, values in made.taps.items()}
        self.zero = [taps(values) for values in made.zero]
        parts = [(g.resolution, g.columns) for g in self.groups]
        parts += [(child.resolution, child.columns) for g in self.groups for child in g.children]
        self.places = {own: torch.tensor(own, device=device) for _, own in parts}
        self.coarse_columns = [c for rate, own in parts if rate not in self.taps for c in own]
        self.zero_columns = [c.dim for c in paths.columns(config) if c.order == 0]

    def order_zero(self, signal: Tensor, out: Tensor) -> None:
        """Low-pass the signal [shape=(blocks, samples)] into ``out`` [shape=(blocks, dims, frames)]."""
        for column, taps in zip(self.zero_columns, self.zero, strict=True):
            out[:, column] = kernels.decimate(signal, taps, self.margin, self.num_frames)

    def group(self, index: int, spectrum: Tensor, edges: dict[int, Runs], out: Tensor) -> None:
        """Compute orders 1 and 2 of one group of wavelets.

        Parameters
        ----------
        index : int
            Place of the group in ``groups``.
        spectrum : Tensor [shape=(blocks, 3 samples)]
            Spectrum of the blocks from bin ``-samples / 2`` on, as pairs of real numbers.
        edges : dict
            For every resolution and block, the runs to be replaced by mirror images.
        out : Tensor [shape=(blocks, dims, frames)]
            Receives the columns of the group.
        """
        group = self.groups[index]
        num_blocks, width = len(spectrum), len(group.members)
        num_in = self.num_samples >> group.resolution
        product = torch.empty(num_blocks, width, num_in, dtype=self.dtype.to_complex(), device=self.device)
        for band, out_pairs in zip(self.first[index], kernels.as_pairs(product).unbind(1), strict=True):
            kernels.fold(spectrum, self.num_samples // 2, band, out_pairs)
        envelope = kernels.modulus(kernels.inverse(product))
        del product
        extend(envelope, edges.get(group.resolution, []))
        self._store(envelope, group.resolution, group.columns, out)
        if not group.children:
            return
        negative = max(-band.start for band in self.second[index])
        spectrum = kernels.as_pairs(kernels.two_sided(kernels.forward(envelope), negative))
        del envelope
        for child, band in zip(group.children, self.second[index], strict=True):
            num_out = self.num_samples >> child.resolution
            product = torch.empty(
                num_blocks, child.count, num_out, dtype=self.dtype.to_complex(), device=self.device
            )
            kernels.fold(spectrum[:, : child.count], negative, band, kernels.as_pairs(product))
            envelope = kernels.modulus(kernels.inverse(product))
            if child.resolution in edges:
                extend(envelope, edges[child.resolution])
            self._store(envelope, child.resolution, child.columns, out)

    def _store(self, envelope: Tensor, resolution: int, columns: tuple[int, ...], out: Tensor) -> None:
        if resolution in self.taps:
            rows = envelope.flatten(0, 1)
            values = kernels.decimate(rows, self.taps[resolution], self.margin, self.num_frames)
            values = values.view(len(envelope), len(columns), -1)
        else:
            values = envelope[..., self.margin : self.margin + self.num_frames]
        out.index_copy_(1, self.places[columns], values)

    @property
    def in_turn(self) -> list[int]:
        """Indices of the groups in an order that keeps threads busy.

        The dearest first, beside it the cheap ones, whose many small operations in two threads would wait
        for Python's lock, then the others, the dearest first again, so that threads end together.
        """
        length = [self.num_samples >> group.resolution for group in self.groups]
        cost = [len(group.members) * samples for group, samples in zip(self.groups, length, strict=True)]
        dearest, *others = sorted(range(len(cost)), key=lambda g: -cost[g])
        return [dearest, *sorted(others, key=lambda g: length[g] > CHEAP)]


def extend(envelope: Tensor, edges: Runs) -> None:
    """Replace what lies outside the track by mirror images, in place [shape=(blocks, rows, samples)]."""
    for block, runs in enumerate(edges):
        kernels.mirror(envelope[block], runs)


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
    device: torch.device | str = "cpu",
    num_threads: int = 1,
    num_hops: int | None = None,
) -> NDArray[np.floating]:
    """Scattering coefficients before ScatNet's factor, renormalisation and logarithm.

    Parameters
    ----------
    signal : array or blocks.Signal [shape=(samples,)]
        Audio in [-1, 1].
    config : Config
        The feature set.
    dtype : torch.dtype
        Precision of the work and of the result.
    device : torch.device or str
        ``cpu`` or ``cuda``.
    num_threads : int
        Threads on the CPU; the result does not depend on it.
    num_hops : int, optional
        Length of the blocks in hops, chosen from the track's length if omitted.

    Returns
    -------
    array [shape=(frames, dims)]
    """
    plan = blocks.layout(config, len(signal), num_hops)
    place = torch.device(device)
    made = transform(config, plan.num_hops, dtype, place)
    result = np.empty((plan.num_frames, made.num_dims), dtype=str(dtype).removeprefix("torch."))
    together = BLOCKS_AT_ONCE.get(place.type, 1)

    def work(first: int, pool: ThreadPoolExecutor | None = None) -> None:
        chosen = range(first, min(first + together, plan.num_blocks))
        out = _some_blocks(made, plan, signal, chosen, pool).cpu().numpy()
        for row, block in enumerate(chosen):
            low, high = plan.frames(block)
            result[low:high] = out[row, :, : high - low].T

    starts = range(0, plan.num_blocks, together)
    # Whole blocks side by side keep the threads busiest; what is left over is shared by groups of wavelets.
    alone = starts[: len(starts) - len(starts) % num_threads]
    threads = ThreadPoolExecutor(num_threads, initializer=torch.set_num_threads, initargs=(1,))
    with one_torch_thread(), threads as pool:
        for _ in pool.map(work, alone) if num_threads > 1 else map(work, alone):
            pass
        for first in starts[len(alone) :]:
            work(first, pool)
    coarse = made.coarse_columns
    if coarse:
        result[:, coarse] = lowpass_frames(result[:, coarse], config)
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


def _some_blocks(
    made: Transform,
    plan: blocks.Layout,
    track: blocks.Signal,
    chosen: range,
    pool: ThreadPoolExecutor | None,
) -> Tensor:
    """Transform some blocks of a track [shape=(blocks, dims, frames)]."""
    size = made.num_samples
    host = torch.empty(len(chosen), size, dtype=made.dtype)
    with _READING:
        for row, block in enumerate(chosen):
            host[row] = torch.from_numpy(blocks.cut(track, plan.start(block), size))
    signal = host.to(made.device)
    edges = {
        resolution: [blocks.outside(plan, block, resolution) for block in chosen]
        for resolution in {group.resolution for group in made.groups} | set(made.taps)
    }
    out = torch.empty(len(chosen), made.num_dims, made.num_frames, dtype=made.dtype, device=made.device)
    jobs: list[Future[None]] = []

    def run(part: Callable[..., None], *arguments: object) -> None:
        if pool is None:
            part(*arguments)
        else:
            jobs.append(pool.submit(part, *arguments))

    run(made.order_zero, signal, out)
    if made.groups:
        half = kernels.forward(signal)
        spectrum = kernels.as_pairs(kernels.two_sided(half, size // 2, wrapped=True))
        for index in made.in_turn:
            run(made.group, index, spectrum, edges, out)
    for job in jobs:
        job.result()
    return out
