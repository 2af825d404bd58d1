"""How a track is cut into blocks, and ScatNet's rule at its two ends.

A signal of N samples continues as its mirror image, ``x[-1 - i] = x[i]``, at every layer anew and at
the layer's own rate. Blocks overlap by a margin on either side; what a margin spoils is thrown away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from steps.scattering.config import Config
from utils.cli import UserError

# Twelve hops at T = 8192: the slowest second-order paths reach as far.
MARGIN_WIDTHS = 20.75
NUM_HOPS = (32, 48, 64, 96, 128, 160, 192)
FULL_BLOCK_SAMPLES = 192 * 4096


@dataclass(frozen=True)
class Layout:
    """Blocks of ``num_hops`` hops, ``margin`` of them on either side to be thrown away."""

    num_samples: int
    num_frames: int
    hop: int
    num_hops: int
    margin: int

    @property
    def frames_per_block(self) -> int:
        """Frames that one block yields."""
        return self.num_hops - 2 * self.margin

    @property
    def num_blocks(self) -> int:
        """Count the blocks of the track."""
        return -(-self.num_frames // self.frames_per_block)

    def start(self, block: int) -> int:
        """First sample of a block; negative in the first one."""
        return (block * self.frames_per_block - self.margin) * self.hop

    def frames(self, block: int) -> tuple[int, int]:
        """First frame of a block and one past its last."""
        first = block * self.frames_per_block
        return first, min(first + self.frames_per_block, self.num_frames)


def margin_hops(config: Config) -> int:
    """Hops to throw away on either side of a block."""
    width = max(config.banks(block)[1].lowpass_width for block in range(len(config.Q)))
    return math.ceil(MARGIN_WIDTHS * width / config.hop)


def block_sizes(config: Config) -> list[int]:
    """Lengths of block that are in use, in hops, ascending; all even and quick to transform."""
    margin = margin_hops(config)
    longest = max(NUM_HOPS[-1], FULL_BLOCK_SAMPLES // config.hop)
    sizes = set(NUM_HOPS)
    while max(sizes) < longest:
        sizes |= {2 * size for size in sizes if 2 * size <= longest}
    return sorted(size for size in sizes if size >= 2 * margin + 2)


def layout(config: Config, num_samples: int, num_hops: int | None = None) -> Layout:
    """Choose the blocks of a track: one that just holds it, or as many of the longest as it takes."""
    frames = config.num_frames(num_samples)
    margin = margin_hops(config)
    if num_hops is None:
        sizes = block_sizes(config)
        num_hops = next((size for size in sizes if size - 2 * margin >= frames), sizes[-1])
    return Layout(num_samples, frames, config.hop, num_hops, margin)


@dataclass(frozen=True)
class Run:
    """Samples ``low`` to ``high - 1`` of a block mirror those from ``source`` on, upwards or downwards."""

    low: int
    high: int
    source: int
    upwards: bool


def mirrored(start: int, size: int, length: int) -> list[Run]:
    """List the runs of the block from ``start`` on outside a signal of ``length`` samples.

    The signal continues to both sides as its mirror image, ``x[-1 - i] = x[i]``, without end. ``low`` and
    ``high`` of a run count from the block's start, ``source`` from the signal's.
    """
    runs = []
    for period in range(start // length, -(-(start + size) // length)):
        low, high = max(start, period * length), min(start + size, (period + 1) * length)
        if period and low < high:
            upwards = period % 2 == 0
            source = low - period * length if upwards else (period + 1) * length - 1 - low
            runs.append(Run(low - start, high - start, source, upwards))
    return runs


class Signal(Protocol):
    """What a track must offer, an array or a file: its length, and its slices as arrays."""

    @property
    def dtype(self) -> np.dtype:
        """Type of the samples."""

    def __len__(self) -> int:
        """Count the samples."""

    def __getitem__(self, piece: slice, /) -> NDArray[np.floating]:
        """Return some of the samples."""


def finite(signal: Signal, low: int, high: int) -> NDArray[np.floating]:
    """Take the samples ``low`` to ``high - 1``, or raise UserError if one is NaN or infinite."""
    samples = signal[low:high]
    if not np.all(np.isfinite(samples)):
        place = int(np.argmin(np.isfinite(samples)))
        raise UserError(f"sample {low + place} is {samples[place]}; expected finite numbers in [-1, 1]")
    return samples


def cut(signal: Signal, start: int, size: int) -> NDArray[np.floating]:
    """Take ``size`` :func:`finite` samples from ``start`` on; mirror images beyond the signal."""
    low, high = max(0, start), min(len(signal), start + size)
    out = np.empty(size, dtype=signal.dtype)
    out[low - start : high - start] = finite(signal, low, high)
    for run in mirrored(start, size, len(signal)):
        count = run.high - run.low
        if run.upwards:
            out[run.low : run.high] = signal[run.source : run.source + count]
        else:
            out[run.low : run.high] = signal[run.source - count + 1 : run.source + 1][::-1]
    return out


def outside(plan: Layout, block: int, resolution: int, reach: int | None = None) -> list[Run]:
    """List the runs of a block at a resolution outside the track, with sources within the block.

    A sample whose source is farther off than the block is in no run: no frame that is kept sees it. With
    ``reach``, only samples up to so many hops from the hops that are kept are wanted.
    """
    size = (plan.num_hops * plan.hop) >> resolution
    start = plan.start(block) >> resolution
    length = 1 + ((plan.num_samples - 1) >> resolution)
    hops = (0, plan.num_hops)
    if reach is not None:
        hops = max(0, plan.margin - reach), min(plan.num_hops, plan.num_hops - plan.margin + reach)
    first, last = ((hop * plan.hop) >> resolution for hop in hops)
    runs = []
    for run in mirrored(start, size, length):
        source = run.source - start
        low, high = run.low, run.high
        step = 1 if run.upwards else -1
        # Sources and samples that are wanted, from both ends.
        skip = max(0, -source if run.upwards else source - (size - 1), first - low)
        low, source = low + skip, source + step * skip
        high = min(high, last, low + (size - source if run.upwards else source + 1))
        if low < high:
            runs.append(Run(low, high, source, run.upwards))
    return runs
