"""What a feature set is made of: averaging scale, wavelets an octave, orders, sample rate."""

import math
import re
from dataclasses import dataclass

from steps.scattering import filters
from utils.cli import UserError

MAX_SCALE = 2**20
MAX_QUALITY = 64


@dataclass(frozen=True)
class Config:
    """Configuration of the scattering features; the defaults are the paper's 525 dimensions.

    ``T`` is the averaging scale in samples, which is also the window of a frame, ``Q`` the wavelets an octave
    in the first and the second layer of each block; ``sample_rate`` in Hz only gives the columns their
    frequencies and the frames their times. Raises UserError if a value is out of range or the blocks' frame
    rates differ.
    """

    T: int = 8192
    Q: tuple[tuple[int, int], ...] = ((8, 1), (1, 1))
    max_order: int = 2
    sample_rate: int = 22050

    def __post_init__(self) -> None:
        if not 64 <= self.T <= MAX_SCALE:
            raise UserError(f"scattering: T must lie between 64 and {MAX_SCALE} samples, got {self.T}")
        if self.max_order not in (0, 1, 2):
            raise UserError(f"scattering: the highest order must be 0, 1 or 2, got {self.max_order}")
        if self.sample_rate < 1:
            raise UserError(f"scattering: the sample rate must be positive, got {self.sample_rate}")
        if not self.Q:
            raise UserError("scattering: Q names no block; expected for instance 8,1:1,1")
        for quality in {q for pair in self.Q for q in pair}:
            if not 1 <= quality <= MAX_QUALITY:
                raise UserError(f"scattering: Q must lie between 1 and {MAX_QUALITY}, got {quality}")
            if filters.num_logarithmic(quality, self.T) < 1:
                raise UserError(f"scattering: T={self.T} samples are too short for Q={quality}; raise T")
        hops = {1 << filters.lowpass_resolution(filters.lowpass_width(q2, self.T)) for _, q2 in self.Q}
        if len(hops) > 1:
            raise UserError(f"scattering: the blocks have different frame shifts, {sorted(hops)} samples")

    @property
    def hop(self) -> int:
        """Samples from a frame to the next, a power of two near T / 2."""
        return 1 << filters.lowpass_resolution(filters.lowpass_width(self.Q[0][1], self.T))

    @property
    def scale(self) -> float:
        """ScatNet's factor over plain averages, the root of the hop (64 for T = 8192)."""
        return math.sqrt(self.hop)

    @property
    def frame_shift(self) -> float:
        """Seconds from a frame to the next."""
        return self.hop / self.sample_rate

    def banks(self, block: int) -> tuple[filters.Bank, filters.Bank]:
        """Filter banks of the two layers of a block."""
        first, second = self.Q[block]
        return filters.Bank("gabor", first, self.T), filters.Bank("morlet", second, self.T)

    def num_frames(self, num_samples: int) -> int:
        """Count the frames of a signal, ``1 + floor((num_samples - 1) / hop)``."""
        return 1 + (num_samples - 1) // self.hop


def parse_quality(text: str) -> tuple[tuple[int, int], ...]:
    """Parse ``8,1:1,1``, one ``Q1,Q2`` a block, into pairs of integers."""
    if not re.fullmatch(r"\d+,\d+(:\d+,\d+)*", text, re.ASCII):
        raise UserError(f"Q: expected Q1,Q2 for each block as in 8,1:1,1, got '{text}'")
    first, second = (map(int, re.findall(pattern, text)) for pattern in (r"(\d+),", r",(\d+)"))
    return tuple(zip(first, second, strict=True))
