"""How a track is cut into blocks, and ScatNet's rule at its two ends.

A signal of N samples continues as its mirror image, ``x[-1 - i] = x[i]``, at every layer anew and at
the layer's own rate. Blocks overlap by a margin on either side; what a margin spoils is thrown away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steps.scattering.config import Config

Indices = NDArray[np.int64]

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


def mirror(positions: Indices, length: int) -> Indices:
    """Map any positions into a signal of ``length`` samples that continues as its mirror image."""
    wrapped = positions % (2 * length)
    return np.where(wrapped < length, wrapped, 2 * length - 1 - wrapped)


def cut(signal: NDArray[np.floating], start: int, size: int) -> NDArray[np.floating]:
    """Take ``size`` samples from ``start`` on, with the mirror images where the signal does not reach."""
    if start >= 0 and start + size <= len(signal):
        return signal[start : start + size]
    return signal[mirror(np.arange(start, start + size), len(signal))]


def outside(plan: Layout, block: int, resolution: int) -> list[tuple[int, Indices]]:
    """Where a block at a resolution lies outside the track, and what stands there.

    Returns
    -------
    list of (int, indices)
        Position of the run's first sample within the block, and the positions within the block of the
        samples to copy to the run, one for each. Sources farther off than the block are replaced by
        its first sample: no frame that is kept sees them.
    """
    size = (plan.num_hops * plan.hop) >> resolution
    start = plan.start(block) >> resolution
    length = 1 + ((plan.num_samples - 1) >> resolution)
    runs = []
    for low, high in ((0, min(size, -start)), (max(0, length - start), size)):
        if low < high:
            source = mirror(np.arange(start + low, start + high), length) - start
            runs.append((low, np.clip(source, 0, size - 1)))
    return runs
