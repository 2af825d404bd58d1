"""How a track is cut into blocks, and ScatNet's rule at its two ends.

A signal of N samples continues as its mirror image, ``x[-1 - i] = x[i]``, at every layer anew and at
the layer's own rate. Blocks overlap by a margin on either side; what a margin spoils is thrown away.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steps.scattering.config import Config
from steps.scattering.wav import Signal
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
    longest = max(NUM_HOPS[-1], FULL_BLOCK_SAMPLES // config.hop)
    sizes = {size << doubled for size in NUM_HOPS for doubled in range(longest.bit_length())}
    return sorted(size for size in sizes if 2 * margin_hops(config) + 2 <= size <= longest)


def layout(config: Config, num_samples: int, num_hops: int | None = None) -> Layout:
    """Choose the blocks of a track, one that holds it or many of the longest; UserError below one window."""
    if num_samples < config.T:
        raise UserError(f"shorter than one window: expected {config.T} samples, got {num_samples}")
    frames = config.num_frames(num_samples)
    margin = margin_hops(config)
    if num_hops is None:
        sizes = block_sizes(config)
        num_hops = next((size for size in sizes if size - 2 * margin >= frames), sizes[-1])
    return Layout(num_samples, frames, config.hop, num_hops, margin)


def cut(signal: Signal, plan: Layout, block: int) -> NDArray[np.floating]:
    """Take the samples of a block, zeros where the track does not reach; UserError if one is not finite."""
    start, size = plan.start(block), plan.num_hops * plan.hop
    low, high = max(0, start), min(len(signal), start + size)
    taken = signal[low:high]
    if not np.all(np.isfinite(taken)):
        place = int(np.argmin(np.isfinite(taken)))
        raise UserError(f"sample {low + place} is {taken[place]}; expected finite numbers in [-1, 1]")
    samples = np.zeros(size, dtype=taken.dtype)
    samples[low - start : high - start] = taken
    return samples


def mirror_places(place: Any, start: Any, length: Any) -> Any:
    """Say what each ``place`` in a block is a mirror image of; itself if that lies outside the block."""
    period = (place + start) % (2 * length)
    source = length - (abs(2 * (period - length) + 1) + 1) // 2 - start
    return place + (source - place) * ((source >= 0) & (source < len(place)))
