"""The transform of a block on the CPU in single precision, in C (``scatter.c``)."""

import contextlib
import ctypes
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steps import native
from steps.scattering import bands, blocks, paths
from steps.scattering.config import Config

SOURCE = Path(__file__).with_name("scatter.c")
_INT, _POINTER = ctypes.c_int64, ctypes.c_void_p
_SIGNATURES: dict[str, list] = {
    "scatter_spectrum": [_POINTER] * 5,
    "scatter_mirror": [_POINTER, _INT, _INT, _INT, _POINTER],
    "scatter_average": [_POINTER, _POINTER, _INT, _INT, _POINTER],
    "scatter_paths": [_POINTER, _POINTER, _INT, _POINTER, _INT, _POINTER],
    "scatter_lanes": [],
}
Floats = NDArray[np.float32]


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled transform, or None where it cannot be had; the log says why."""
    found = native.load("scattering", [SOURCE], _SIGNATURES)
    if found is not None:
        found.scatter_lanes.restype = _INT
    return found


def works(config: Config, num_hops: int) -> bool:
    """Whether blocks of a length can be transformed in C: lanes fill up, and its factors are 2, 3 and 5."""
    found = library()
    if found is None:
        return False
    odd = num_hops // (num_hops & -num_hops)
    for factor in (3, 5):
        while odd % factor == 0:
            odd //= factor
    sizes = [num_hops] + [
        (num_hops * config.hop >> g.resolution) // 2 for g in paths.groups(config) if g.children
    ]
    return odd == 1 and all(size % found.scatter_lanes() == 0 for size in sizes)


def turns(numerator: NDArray[np.integer], denominator: int) -> NDArray[np.complex128]:
    """``e^(2 pi i numerator / denominator)``."""
    return np.exp(2j * math.pi / denominator * (numerator % denominator))


def twiddles(size: int) -> Floats:
    """Factors of short transforms, in the order in which ``scatter.c`` takes them."""
    found = []
    while size > 1:
        radix = next((odd for odd in (5, 3) if size % odd == 0), 2 if size.bit_length() % 2 == 0 else 4)
        rest = size // radix
        if rest > 1:
            found.append(turns(np.outer(np.arange(rest), np.arange(1, radix)), size).ravel())
        size = rest
    return np.concatenate([*found, np.zeros(1)]).astype(np.complex64).view(np.float32)


def address(array: np.ndarray) -> int:
    """Where an array's memory begins."""
    return array.ctypes.data


class Kept(list):
    """Arrays that C has the addresses of."""

    def __call__(self, array: np.ndarray) -> int:
        """Keep an array and return its address."""
        self.append(array)
        return address(array)

    def record(self, *numbers: int) -> int:
        """Keep a structure of 64-bit numbers and return its address."""
        return self(np.array(numbers, dtype=np.int64))


def aligned(shape: tuple[int, ...]) -> Floats:
    """Zeros that begin where a line of the cache does, with room for a vector behind them."""
    count = math.prod(shape)
    memory = np.zeros(count + 64, dtype=np.float32)
    first = -address(memory) % 64 // 4
    return memory[first : first + count].reshape(shape)


class Memory:
    """What a thread works in: a block's samples, its spectrum from bin -samples / 2 on, and C's ``work``."""

    def __init__(self, num_samples: int, lanes: int) -> None:
        self.signal = aligned((num_samples,))
        self.re, self.im = aligned((3 * num_samples // 2,)), aligned((3 * num_samples // 2,))
        self.kept = Kept()
        half, whole = num_samples // 2, num_samples
        sizes = (lanes, lanes, 2 * num_samples, half, half, whole, whole, whole, whole)
        self.work = self.kept.record(*(self.kept(aligned((size,))) for size in sizes))


class Transform:
    """The scattering transform of blocks of ``num_hops`` hops, in single precision."""

    def __init__(self, config: Config, num_hops: int) -> None:
        found = library()
        if found is None:
            raise RuntimeError("no compiled transform")
        self.library, self.config, self.num_hops = found, config, num_hops
        self.lanes = found.scatter_lanes()
        self.num_samples = num_hops * config.hop
        self.margin = blocks.margin_hops(config)
        self.kept = Kept()
        self.plans: dict[int, int] = {}
        self.longest = 0
        self.half = self.plan(self.num_samples // 2)
        made = bands.build(config, num_hops, "float32")
        levels = np.zeros((config.hop.bit_length(), 2), dtype=np.int64)
        for resolution, taps in made.taps.items():
            levels[resolution] = self.kept(np.ascontiguousarray(taps)), len(taps)
        self.levels = self.kept(levels)
        self.zero = [self.kept.record(self.kept(np.ascontiguousarray(taps)), len(taps)) for taps in made.zero]
        self.zero_columns = [c.dim for c in paths.columns(config) if c.order == 0]
        self.paths = [
            path
            for group, first, second in zip(paths.groups(config), made.first, made.second, strict=True)
            for path in self.paths_of(group, first, second)
        ]
        self.free: list[Memory] = []

    def plan(self, size: int) -> int:
        """Return the address of the plan of a transform of ``size`` samples."""
        if size not in self.plans:
            rows = max(self.lanes, 1 << (size.bit_length() // 2))
            rows = min(rows, size & -size)
            short, step = size // rows, 1 << (rows.bit_length() // 2)
            self.longest = max(self.longest, short, rows)
            column = np.arange(-(-short // self.lanes) * self.lanes).reshape(-1, 1, self.lanes)
            row = np.concatenate([np.arange(0, rows, step), np.arange(step)])
            unroll = turns(column * row[:, None], size)
            planes = np.stack([unroll.real, unroll.imag], axis=2).astype(np.float32)
            table = aligned(planes.shape)
            table[:] = planes
            real = turns(-np.arange(size // 2 + 1), 2 * size)
            halves = np.stack([real.real, real.imag]).astype(np.float32)
            parts = [twiddles(rows), twiddles(short), table, halves]
            self.plans[size] = self.kept.record(size, rows, short, step, *map(self.kept, parts))
        return self.plans[size]

    def path(self, band: bands.Band, resolution: int, column: int) -> list[int]:
        """Return the numbers of a path."""
        size = self.num_samples >> resolution
        values = np.concatenate([band.values, np.zeros(self.lanes, dtype=np.float32)])
        half = self.plan(size // 2) if size % (2 * self.lanes) == 0 else 0
        return [self.plan(size), half, self.kept(values), band.start, len(band.values), resolution, column]

    def paths_of(
        self, group: paths.Group, first: list[bands.Band], second: list[bands.Band]
    ) -> Iterator[tuple[int, int, int, int]]:
        """Yield what ``scatter_paths`` wants to know of each member of a group."""
        for index, (band, column) in enumerate(zip(first, group.columns, strict=True)):
            own = self.kept.record(*self.path(band, group.resolution, column))
            children = [
                self.path(band, child.resolution, child.columns[index])
                for child, band in zip(group.children, second, strict=True)
                if index < child.count
            ]
            negative = max((-numbers[3] for numbers in children), default=0)
            yield own, len(children), self.kept(np.array(children, dtype=np.int64)), negative

    def memory(self) -> Memory:
        """Return memory that no thread works in; it goes back to ``free``."""
        with contextlib.suppress(IndexError):
            return self.free.pop()
        return Memory(self.num_samples, 2 * self.lanes * self.longest)

    def __call__(
        self, samples: Floats, plan: blocks.Layout, block: int, out: Floats, run: Callable[..., Iterable]
    ) -> None:
        """Write the averages of a block of a track into ``out`` [shape=(frames, dims)]; ``run`` is a map."""
        own = self.memory()
        own.signal[:] = samples
        signal = address(own.signal)
        spectrum = [address(plane) + 2 * self.num_samples for plane in (own.re, own.im)]  # at bin 0
        of = self.levels, *spectrum, address(out), out.shape[1], len(out), plan.hop, self.num_hops
        record = np.array([*of, plan.margin, plan.start(block), plan.num_samples], dtype=np.int64)
        self.library.scatter_mirror(address(record), 0, 0, self.num_samples, signal)
        for column, level in zip(self.zero_columns, self.zero, strict=True):
            self.library.scatter_average(address(record), level, 0, column, signal)
        if self.paths:
            self.library.scatter_spectrum(self.half, signal, *spectrum, own.work)
        list(run(partial(self.follow, address(record)), self.paths))
        self.free.append(own)

    def follow(self, record: int, path: tuple[int, int, int, int]) -> None:
        """Do a first-order path and those that follow from it."""
        own = self.memory()
        self.library.scatter_paths(record, *path, own.work)
        self.free.append(own)
