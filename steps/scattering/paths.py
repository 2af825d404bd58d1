"""Which coefficients there are, in the order of the feature matrix, and what each of them means."""

import functools
import math
from collections import namedtuple
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from steps.scattering import filters
from steps.scattering.config import Config

Column = namedtuple("Column", "dim block Q1 Q2 order n1 n2 xi1_hz bw1_hz xi2_hz bw2_hz res_log2")
"""One column of the feature matrix; an index of -1 stands for a layer the path does not reach."""


@dataclass(frozen=True)
class Child:
    """Second-order paths that share ``n2``: the first ``count`` members of their group are parents."""

    n2: int
    resolution: int
    count: int
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """First-order wavelets of one resolution before one second bank, as (block, n1) by falling bandwidth."""

    second: filters.Bank
    resolution: int
    members: tuple[tuple[int, int], ...]
    columns: tuple[int, ...]
    children: tuple[Child, ...]

    def parts(self) -> "tuple[Group | Child, ...]":
        """Return itself and the paths that follow from it."""
        return (self, *self.children)


def second_order(first: filters.Bank, second: filters.Bank) -> list[tuple[int, int]]:
    """Pairs (n1, n2) whose bandwidth ``bw1[n1]`` exceeds the centre ``xi2[n2]``, n1 slowest."""
    return [
        (n1, n2)
        for n1, bandwidth in enumerate(first.bandwidths)
        for n2, centre in enumerate(second.centres)
        if bandwidth > centre
    ]


def block_paths(config: Config, block: int) -> list[tuple[int, int]]:
    """Paths (n1, n2) of a block in the order of its columns; -1 where a path ends."""
    first, second = config.banks(block)
    paths = [(-1, -1)]
    if config.max_order >= 1:
        paths += [(n1, -1) for n1 in range(len(first.centres))]
    if config.max_order >= 2:
        paths += second_order(first, second)
    return paths


@functools.lru_cache(maxsize=16)
def columns(config: Config) -> tuple[Column, ...]:
    """Describe every column of the feature matrix; frequencies in Hz."""

    def hertz(values: filters.Floats, n: int) -> float:
        return config.sample_rate / (2.0 * math.pi) * float(values[n]) if n >= 0 else 0.0

    found: list[Column] = []
    for block, (Q1, Q2) in enumerate(config.Q):
        first, second = config.banks(block)
        for n1, n2 in block_paths(config, block):
            of_first = hertz(first.centres, n1), hertz(first.bandwidths, n1)
            of_second = hertz(second.centres, n2), hertz(second.bandwidths, n2)
            path = (len(found), block, Q1, Q2, (n1 >= 0) + (n2 >= 0), n1, n2)
            found.append(Column(*path, *of_first, *of_second, config.hop.bit_length() - 1))
    return tuple(found)


def num_dims(config: Config) -> int:
    """Count the columns of the feature matrix."""
    return len(columns(config))


@functools.lru_cache(maxsize=16)
def parents(config: Config) -> np.ndarray:
    """Column of the first-order parent of each second-order column, -1 elsewhere [shape=(dims,)]."""
    described = columns(config)
    first = {(c.block, c.n1): c.dim for c in described if c.order == 1}
    found = np.array([first[c.block, c.n1] if c.order == 2 else -1 for c in described], dtype=np.int64)
    found.flags.writeable = False
    return found


def groups(config: Config) -> "list[Group]":
    """Group the paths of orders 1 and 2 by second bank and by the resolution of their first wavelet."""
    place = {(c.block, c.n1, c.n2): c.dim for c in columns(config)}
    wavelets: dict[tuple[filters.Bank, int], list[tuple[float, int, int]]] = {}
    for block in range(len(config.Q)) if config.max_order >= 1 else ():
        first, second = config.banks(block)
        for n1, width in enumerate(first.widths):
            key = (second, filters.wavelet_resolution(width))
            wavelets.setdefault(key, []).append((-float(first.bandwidths[n1]), block, n1))
    found = []
    for (second, resolution), ranked in sorted(wavelets.items(), key=lambda item: item[0][1]):
        members = tuple((block, n1) for _, block, n1 in sorted(ranked))
        children = []
        for n2, width in enumerate(second.widths):
            own = tuple(place[block, n1, n2] for block, n1 in members if (block, n1, n2) in place)
            if own:
                rate = max(resolution, filters.wavelet_resolution(width))
                children.append(Child(n2, rate, len(own), own))
        own = tuple(place[block, n1, -1] for block, n1 in members)
        found.append(Group(second, resolution, members, own, tuple(children)))
    return found


@functools.lru_cache(maxsize=16)
def coarse_columns(config: Config) -> tuple[int, ...]:
    """Columns of the paths that are sampled at the frame rate already."""
    parts = [part for group in groups(config) for part in group.parts()]
    return tuple(column for part in parts if config.hop >> part.resolution == 1 for column in part.columns)


def csv_lines(described: Iterable[Column]) -> Iterable[str]:
    """Format columns as comma-separated lines under a header, frequencies with six decimals."""
    yield ",".join(Column._fields)
    for column in described:
        yield ",".join(f"{v:.6f}" if isinstance(v, float) else str(v) for v in column)
