"""What a feature set is made of, and which coefficients it has, in the order of the feature matrix."""

import functools
import math
import re
from collections import defaultdict, namedtuple
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from steps.scattering import filters
from utils.cli import UserError

MAX_SCALE = 2**20
MAX_QUALITY = 64


@dataclass(frozen=True)
class Config:
    """Configuration of the scattering features; the defaults are the paper's 525 dimensions.

    ``T`` is the averaging scale in samples, which is also the window of a frame, ``Q`` the wavelets an octave
    in the first and the second layer of each block; ``sample_rate`` in Hz only gives the frames their
    times. Raises UserError if a value is out of range or the blocks' frame
    rates differ.
    """

    T: int = 8192
    Q: tuple[tuple[int, int], ...] = ((8, 1), (1, 1))
    max_order: int = 2
    sample_rate: int = 22050

    def __post_init__(self) -> None:
        if not 64 <= self.T <= MAX_SCALE:
            raise UserError(f"scattering: T must lie between 64 and {MAX_SCALE} samples, got {self.T}")
        if self.max_order not in (1, 2):
            raise UserError(f"scattering: the highest order must be 1 or 2, got {self.max_order}")
        for quality in {q for pair in self.Q for q in pair}:
            if not 1 <= quality <= MAX_QUALITY:
                raise UserError(f"scattering: Q must lie between 1 and {MAX_QUALITY}, got {quality}")
            if filters.bank("gabor", quality, self.T).num_logarithmic < 1:
                raise UserError(f"scattering: T={self.T} samples are too short for Q={quality}; raise T")
        hops = {self.hop_of(block) for block in range(len(self.Q))}
        if len(hops) > 1:
            raise UserError(f"scattering: the blocks have different frame shifts, {sorted(hops)} samples")

    def banks(self, block: int) -> tuple[filters.Bank, filters.Bank]:
        """Filter banks of the two layers of a block."""
        first, second = self.Q[block]
        return filters.bank("gabor", first, self.T), filters.bank("morlet", second, self.T)

    def hop_of(self, block: int) -> int:
        """Return the samples from a frame of a block to the next, a power of two near T / 2."""
        return 1 << filters.resolution(self.banks(block)[1].lowpass_width, oversampling=0)

    @property
    def hop(self) -> int:
        """Samples from a frame to the next."""
        return self.hop_of(0)

    @property
    def scale(self) -> float:
        """ScatNet's factor over plain averages, the root of the hop (64 for T = 8192)."""
        return math.sqrt(self.hop)

    @property
    def frame_shift(self) -> float:
        """Seconds from a frame to the next."""
        return self.hop / self.sample_rate

    def num_frames(self, num_samples: int) -> int:
        """Count the frames of a signal, ``1 + floor((num_samples - 1) / hop)``."""
        return 1 + (num_samples - 1) // self.hop


def parse_quality(text: str) -> tuple[tuple[int, int], ...]:
    """Parse ``8,1:1,1``, one ``Q1,Q2`` a block, into pairs of integers."""
    if not re.fullmatch(r"\d+,\d+(:\d+,\d+)*", text, re.ASCII):
        raise UserError(f"Q: expected Q1,Q2 for each block as in 8,1:1,1, got '{text}'")
    pairs = (map(int, pair.split(",")) for pair in text.split(":"))
    return tuple((first, second) for first, second in pairs)


Column = namedtuple("Column", "dim block order n1 n2")
"""One column of the feature matrix; an index of -1 stands for a layer the path does not reach."""


@functools.cache
def columns(config: Config) -> tuple[Column, ...]:
    """Describe every column of the feature matrix.

    Paths of order 2 are those whose bandwidth ``bw1[n1]`` exceeds the centre ``xi2[n2]``.
    """
    found: list[Column] = []
    for block in range(len(config.Q)):
        first, second = config.banks(block)
        paths = [[-1, -1]] + [[n1, -1] for n1 in range(len(first.centres))]
        if config.max_order == 2:
            paths += np.argwhere(first.bandwidths[:, None] > second.centres).tolist()
        for n1, n2 in paths:
            found.append(Column(len(found), block, (n1 >= 0) + (n2 >= 0), n1, n2))
    return tuple(found)


def num_dims(config: Config) -> int:
    """Count the columns of the feature matrix."""
    return len(columns(config))


@functools.cache
def parents(config: Config) -> np.ndarray:
    """Column of the first-order parent of each second-order column, -1 elsewhere [shape=(dims,)]."""
    first = {(c.block, c.n1): c.dim for c in columns(config) if c.order == 1}
    return np.array([first[c.block, c.n1] if c.order == 2 else -1 for c in columns(config)])


class Child(NamedTuple):
    """Second-order paths that share ``n2``: the first members of their group, one a column, are parents."""

    n2: int
    resolution: int
    columns: tuple[int, ...]


class Group(NamedTuple):
    """First-order wavelets of one resolution before one second bank, as (block, n1) by falling bandwidth."""

    second: filters.Bank
    resolution: int
    members: tuple[tuple[int, int], ...]
    columns: tuple[int, ...]
    children: tuple[Child, ...]


@functools.cache
def groups(config: Config) -> tuple[Group, ...]:
    """Group the paths of orders 1 and 2 by second bank and by the resolution of their first wavelet."""
    place = {(c.block, c.n1, c.n2): c.dim for c in columns(config)}
    wavelets = defaultdict(list)
    for c in columns(config):
        if c.order == 1:
            first, second = config.banks(c.block)
            rank = -float(first.bandwidths[c.n1]), c.block, c.n1
            wavelets[filters.resolution(first.widths[c.n1]), second].append(rank)
    found = []
    for (resolution, second), ranked in sorted(wavelets.items(), key=lambda item: item[0][0]):
        members = tuple((block, n1) for _, block, n1 in sorted(ranked))
        children = []
        for n2, width in enumerate(second.widths):
            own = tuple(place[(*member, n2)] for member in members if (*member, n2) in place)
            if own:
                children.append(Child(n2, max(resolution, filters.resolution(width)), own))
        own = tuple(place[(*member, -1)] for member in members)
        found.append(Group(second, resolution, members, own, tuple(children)))
    return tuple(found)


@functools.cache
def coarse_columns(config: Config) -> tuple[int, ...]:
    """Columns of the paths that are sampled at the frame rate already."""
    parts = [(group.resolution, group.columns) for group in groups(config)]
    parts += [(child.resolution, child.columns) for group in groups(config) for child in group.children]
    return tuple(column for rate, own in parts if config.hop >> rate == 1 for column in own)
