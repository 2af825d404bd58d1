"""The transform of a block on the CPU in single precision, in C (``scatter.c``)."""

import ctypes
import functools
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steps import native
from steps.scattering import blocks
from steps.scattering.config import Config, columns, groups

SOURCE = Path(__file__).with_name("scatter.c")
_INT, _POINTER = ctypes.c_int64, ctypes.c_void_p
_SIGNATURES: dict[str, list] = {
    "scatter_spectrum": [_POINTER] * 5,
    "scatter_mirror": [_POINTER, _INT, _INT, _INT, _POINTER],
    "scatter_average": [_POINTER, _POINTER, _INT, _INT, _POINTER],
    "scatter_paths": [_POINTER, _POINTER, _INT, _POINTER, _INT, _POINTER],
    "scatter_lanes": [],
}
CONSECUTIVE = 512
Floats = NDArray[np.float32]


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the compiled transform, or None where it cannot be had; the log says why."""
    found = native.load("scattering", [SOURCE], _SIGNATURES)
    if found is not None:
        found.scatter_lanes.restype = _INT
    return found


def works(config: Config) -> bool:
    """Whether blocks, of a multiple of 16 hops, can be transformed in C: lanes fill up."""
    sizes = [(16 * config.hop >> group.resolution) // 2 for group in groups(config) if group.children]
    found = library()
    return found is not None and all(size % found.scatter_lanes() == 0 for size in sizes)


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


def aligned(*sizes: int) -> list[Floats]:
    """Arrays of zeros that begin where a line of the cache does, with room for a vector behind each."""
    ends = np.cumsum([-(-size // 16) * 16 + 64 for size in sizes])
    memory = np.zeros(ends[-1] + 16, dtype=np.float32)  # in one piece: large pages
    first = -memory.ctypes.data % 64 // 4
    return [memory[first + start :][:size] for start, size in zip([0, *ends], sizes, strict=False)]


class Transform:
    """The scattering transform of blocks of ``num_hops`` hops, of one at a time."""

    def __init__(self, config: Config, num_hops: int) -> None:
        found = library()
        if found is None:
            raise RuntimeError("no compiled transform")
        self.library, self.num_hops, self.num_samples = found, num_hops, num_hops * config.hop
        self.lanes, self.hop, self.margin = found.scatter_lanes(), config.hop, blocks.margin_hops(config)
        self.kept: list[np.ndarray] = []  # what C has the addresses of
        self.plans: dict[int, int] = {}
        self.longest = 0
        half = self.num_samples // 2
        far, near = np.arange(0, half // 2 + 1, CONSECUTIVE), np.arange(CONSECUTIVE)
        real = np.outer(turns(-far, 2 * half), turns(-near, 2 * half)).ravel()[: half // 2 + 1]
        self.real = np.stack([real.real, real.imag], dtype=np.float32, casting="same_kind")
        self.half = self.plan(half)
        plane = 3 * self.num_samples // 2
        self.signal, *planes = aligned(self.num_samples, plane, plane)
        self.spectrum = [self.keep(plane) + 2 * self.num_samples for plane in planes]  # at bin 0
        made = blocks.build(config, num_hops, "float32")
        levels = np.zeros((config.hop.bit_length(), 2), dtype=np.int64)
        for resolution, taps in made.taps.items():
            levels[resolution] = self.keep(taps), len(taps)
        self.levels = self.keep(levels)
        zero = [column.dim for column in columns(config) if column.order == 0]
        self.zero = [
            (c, self.record(self.keep(taps), len(taps))) for c, taps in zip(zero, made.zero, strict=True)
        ]
        self.paths = []
        for group, first, second in made.groups:
            for row, (band, column) in enumerate(zip(first, group.columns, strict=True)):
                children = [
                    self.path(own, child.resolution, child.columns[row])
                    for child, own in zip(group.children, second, strict=True)
                    if row < len(child.columns)
                ]
                negative = max((-numbers[3] for numbers in children), default=0)
                parent = self.record(*self.path(band, group.resolution, column))
                self.paths.append((parent, len(children), self.record(*sum(children, [])), negative))
        lanes, whole = 2 * self.lanes * self.longest, self.num_samples
        sizes = (lanes, lanes, 2 * whole, whole // 2, whole // 2, whole, whole, whole, whole)
        self.work = self.record(*map(self.keep, aligned(*sizes)))

    def keep(self, array: np.ndarray) -> int:
        """Keep an array and return its address."""
        self.kept.append(array)
        return array.ctypes.data

    def record(self, *numbers: int) -> int:
        """Keep a structure of 64-bit numbers and return its address."""
        return self.keep(np.array(numbers, dtype=np.int64))

    def plan(self, size: int) -> int:
        """Return the address of the plan of a transform of ``size`` samples."""
        if size not in self.plans:
            rows = min(max(self.lanes, 1 << (size.bit_length() // 2)), size & -size)
            short, step = size // rows, 1 << (rows.bit_length() // 2)
            self.longest = max(self.longest, short, rows)
            column = np.arange(-(-short // self.lanes) * self.lanes).reshape(-1, 1, self.lanes)
            row = np.concatenate([np.arange(0, rows, step), np.arange(step)])
            unroll = turns(column * row[:, None], size)
            table = aligned(2 * unroll.size)[0].reshape(len(column), len(row), 2, self.lanes)
            table[:, :, 0], table[:, :, 1] = unroll.real, unroll.imag
            apart = self.num_samples // 2 // size  # 0 for the whole block, which is half of nothing
            real = self.real[:, :: apart or self.num_samples].copy()
            parts = [twiddles(rows), twiddles(short), table, real]
            self.plans[size] = self.record(size, rows, short, step, *map(self.keep, parts))
        return self.plans[size]

    def path(self, band: blocks.Band, resolution: int, column: int) -> list[int]:
        """Return the numbers of a path."""
        start, values = band
        size = self.num_samples >> resolution
        half = self.plan(size // 2) if size % (2 * self.lanes) == 0 else 0
        return [self.plan(size), half, self.keep(values), start, len(values), resolution, column]

    def __call__(self, piece: blocks.Piece) -> blocks.Piece:
        """Write the averages of a block of a track into its rows, and return it."""
        out, signal = piece.rows, self.signal.ctypes.data
        self.signal[:] = piece.samples
        of = self.levels, *self.spectrum, out.ctypes.data, out.shape[1], len(out), self.hop, self.num_hops
        record = np.array([*of, self.margin, piece.start, piece.num_samples], dtype=np.int64)
        block = record.ctypes.data
        self.library.scatter_mirror(block, 0, 0, self.num_samples, signal)
        for column, level in self.zero:
            self.library.scatter_average(block, level, 0, column, signal)
        self.library.scatter_spectrum(self.half, signal, *self.spectrum, self.work)
        for path in self.paths:
            self.library.scatter_paths(block, *path, self.work)
        return piece


transform = functools.lru_cache(maxsize=4)(Transform)
