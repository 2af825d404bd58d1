"""The scattering transform on CUDA: blocks of several tracks go through together, as one recorded graph.

A thread reads and cuts tracks and puts the samples where the GPU can fetch them, while the GPU computes; what
it has computed is taken when the next batch is under way. Where a track begins and ends is data.
"""

import functools
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steps import mapped
from steps.recorded import Recorded, own_stream
from steps.scattering import blocks, fast, paths
from steps.scattering.config import Config
from steps.scattering.transform import Transform
from steps.scattering.wav import Signal
from utils.cli import UserError
from utils.read_ahead import read_ahead

TOGETHER = 8  # blocks
AHEAD = 4 * TOGETHER

Label = TypeVar("Label")


class Piece(NamedTuple):
    """A block of a track, its samples, and where the averages of the whole track go."""

    label: Any
    plan: blocks.Layout
    block: int
    samples: Tensor
    averages: NDArray[np.floating]


class Batch:
    """The transform of ``TOGETHER`` blocks, always in the same memory; unused rows do not matter."""

    def __init__(self, config: Config, num_hops: int, dtype: str, where: torch.device) -> None:
        self.made = Transform(config, num_hops, dtype, where)
        self.device, size = where, self.made.num_samples
        self.signal = torch.zeros(TOGETHER, size, dtype=getattr(torch, dtype), device=where)
        self.ends = torch.tensor([[[0]] * TOGETHER, [[size]] * TOGETHER], device=where)
        what = f"Scattering of {TOGETHER} blocks of {size} samples on the GPU"
        self.compute = Recorded(self._compute, what) if where.type == "cuda" else self._compute

    def _compute(self) -> None:
        self.out = self.made(self.signal, *self.ends)

    def start(self, pieces: list[Piece]) -> tuple[list[Piece], Tensor, torch.cuda.Event | None]:
        """Begin with some blocks; returns them, what will hold their averages, and when."""
        starts = [[piece.plan.start(piece.block)] for piece in pieces]
        lengths = [[piece.plan.num_samples] for piece in pieces]
        with own_stream(self.device):
            for row, piece in enumerate(pieces):
                self.signal[row].copy_(piece.samples, non_blocking=True)
            self.ends[:, : len(pieces)].copy_(torch.tensor([starts, lengths]))
            self.compute()
            if self.device.type != "cuda":
                return pieces, self.out.clone(), None
            averages = torch.empty(self.out.shape, dtype=self.out.dtype, pin_memory=True)
            averages.copy_(self.out, non_blocking=True)
            done = torch.cuda.Event()
            done.record()
        return pieces, averages, done


batch = functools.lru_cache(maxsize=8)(Batch)  # recording takes longer than some batches


def averages(
    tracks: Iterable[tuple[Label, Signal]],
    config: Config,
    dtype: str,
    where: torch.device,
    num_hops: int | None = None,
) -> Iterator[tuple[Label, NDArray[np.floating]]]:
    """Yield what ``fast.averages`` has, of tracks with labels, which a thread takes ahead of use."""

    def pieces() -> Iterator[Piece]:
        for label, signal in tracks:
            try:
                plan = blocks.layout(config, len(signal), num_hops)
                found = mapped.empty((plan.num_frames, paths.num_dims(config)), dtype)
                for block in range(plan.num_blocks):
                    samples = torch.from_numpy(blocks.cut(signal, plan, block))
                    samples = samples.pin_memory() if where.type == "cuda" else samples
                    yield Piece(label, plan, block, samples, found)
            except UserError as error:
                raise UserError(f"{label}: {error}") from error

    def started() -> Iterator[tuple[list[Piece], Tensor, torch.cuda.Event | None]]:
        every = groupby(read_ahead(pieces(), AHEAD), key=lambda piece: piece.plan.num_hops)
        for length, same in every:
            while together := list(islice(same, TOGETHER)):
                yield batch(config, length, dtype, where).start(together)

    running = started()
    before = next(running, None)
    while before:
        together, computed, done = before
        before = next(running, None)
        if done is not None:
            done.synchronize()
        for row, piece in zip(computed.numpy(), together, strict=False):
            low, high = piece.plan.frames(piece.block)
            piece.averages[low:high] = row[:, : high - low].T
            if high == piece.plan.num_frames:
                fast.finish(piece.averages, config)
                yield piece.label, piece.averages
