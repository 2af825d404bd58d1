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


def cut(signal: Signal, plan: Layout, block: int) -> NDArray[np.floating]:
    """Take the :func:`finite` samples of a block, zeros where the signal does not reach."""
    start, size = plan.start(block), plan.num_hops * plan.hop
    low, high = max(0, start), min(len(signal), start + size)
    samples = np.zeros(size, dtype=signal.dtype)
    samples[low - start : high - start] = finite(signal, low, high)
    return samples


def mirror(signals: NDArray, plan: Layout, block: int, resolution: int = 0) -> None:
    """Write the mirror images beyond the ends of the track into signals of a block [shape=(..., samples)].

    A sample whose source is farther off than the block stays: no frame that is kept sees it.
    """
    size = (plan.num_hops * plan.hop) >> resolution
    start = plan.start(block) >> resolution
    length = 1 + ((plan.num_samples - 1) >> resolution)
    beyond = [np.arange(min(max(0, -start), size)), np.arange(max(0, min(length - start, size)), size)]
    place = np.concatenate(beyond)
    period = (place + start) % (2 * length)
    source = np.minimum(period, 2 * length - 1 - period) - start
    there = (source >= 0) & (source < size)
    signals[..., place[there]] = signals[..., source[there]]
