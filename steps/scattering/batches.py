"""The scattering transform on CUDA: blocks of several tracks go through together, as one recorded graph.

A thread reads, checks and cuts tracks and puts the samples where the GPU can fetch them, while the GPU
computes; what it has computed is taken when the next batch is under way. Blocks of one length make a batch,
whatever their tracks; what differs between them, where a track begins and ends, is data: the mirror images
at the ends are gathered on the GPU.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from steps.recorded import Recorded, own_stream
from steps.scattering import blocks, device, fast, transform
from steps.scattering.config import Config
from utils.cli import UserError
from utils.read_ahead import read_ahead

TOGETHER = 8  # blocks
AHEAD = 4 * TOGETHER
MOST_OPEN = 64  # tracks, before blocks of a rare length go without waiting for others

Label = TypeVar("Label")


@dataclass
class Track(Generic[Label]):
    """A track under way: its blocks, its averages, and how many blocks are still to come."""

    label: Label
    plan: blocks.Layout
    averages: NDArray[np.floating]
    left: int


class Piece(NamedTuple):
    """A block of a track and its samples, zeros where the track does not reach."""

    track: Track
    block: int
    samples: Tensor


class Batch:
    """The transform of ``TOGETHER`` blocks, always in the same memory; unused rows do not matter."""

    def __init__(self, config: Config, num_hops: int, dtype: torch.dtype, where: torch.device) -> None:
        kernels, precision = device.Kernels(dtype, where), str(dtype).removeprefix("torch.")
        self.made = transform.Transform(config, num_hops, precision, kernels)
        self.device = where
        self.signal = torch.zeros(TOGETHER, self.made.num_samples, dtype=dtype, device=where)
        self.ends = torch.tensor([[0, self.made.num_samples]] * TOGETHER, device=where)
        what = f"Scattering of {TOGETHER} blocks of {self.made.num_samples} samples on the GPU"
        self.compute = Recorded(self._compute, what) if where.type == "cuda" else self._compute

    def _compute(self) -> None:
        start, length = self.ends.unsqueeze(2).unbind(1)
        edges = device.Edges(start, length, self.made.num_samples)
        self.out = self.made(edges.extend(self.signal[:, None], 0)[:, 0], edges)

    def start(self, pieces: list[Piece]) -> tuple[Tensor, torch.cuda.Event | None]:
        """Begin with some blocks; returns what will hold their averages, and when."""
        ends = [[piece.track.plan.start(piece.block), piece.track.plan.num_samples] for piece in pieces]
        with own_stream(self.device):
            for row, piece in enumerate(pieces):
                self.signal[row].copy_(piece.samples, non_blocking=True)
            self.ends[: len(pieces)].copy_(torch.tensor(ends))
            self.compute()
            if self.device.type != "cuda":
                return self.out.clone(), None
            averages = torch.empty(self.out.shape, dtype=self.out.dtype, pin_memory=True)
            averages.copy_(self.out, non_blocking=True)
            done = torch.cuda.Event()
            done.record()
        return averages, done


batch = functools.lru_cache(maxsize=8)(Batch)  # recording takes longer than some batches


def averages(
    tracks: Iterable[tuple[Label, blocks.Signal]],
    config: Config,
    dtype: torch.dtype,
    where: torch.device,
    num_hops: int | None = None,
) -> Iterator[tuple[Label, NDArray[np.floating]]]:
    """Scattering coefficients as ``fast.averages`` has them, of tracks with labels, in their order.

    Tracks are taken from their iterator in another thread, well ahead of use. An error in a track names its
    label.
    """

    def pieces() -> Iterator[Piece]:
        for label, signal in tracks:
            plan = blocks.layout(config, len(signal), num_hops)
            made = batch(config, plan.num_hops, dtype, where).made
            shape = (plan.num_frames, made.num_dims)
            empty = np.empty(shape, dtype=str(dtype).removeprefix("torch."))
            track = Track(label, plan, empty, plan.num_blocks)
            for block in range(plan.num_blocks):
                try:
                    samples = torch.from_numpy(blocks.cut(signal, plan, block))
                except UserError as error:
                    raise UserError(f"{label}: {error}") from error
                yield Piece(track, block, samples.pin_memory() if where.type == "cuda" else samples)

    waiting: dict[int, list[Piece]] = {}
    begun: deque[Track] = deque()
    running: deque[tuple[list[Piece], Tensor, torch.cuda.Event | None]] = deque()

    def start(num_hops: int) -> None:
        together = waiting.pop(num_hops)
        running.append((together, *batch(config, num_hops, dtype, where).start(together)))

    def take() -> None:
        """Take what the batch that was begun first has computed."""
        together, computed, done = running.popleft()
        if done is not None:
            done.synchronize()
        for row, (track, block, _) in zip(computed.numpy(), together, strict=False):
            low, high = track.plan.frames(block)
            track.averages[low:high] = row[:, : high - low].T
            track.left -= 1

    def finished() -> Iterator[tuple[Label, NDArray[np.floating]]]:
        while begun and begun[0].left == 0:
            track = begun.popleft()
            fast.finish(track.averages, config)
            yield track.label, track.averages

    for piece in read_ahead(pieces(), AHEAD):
        if piece.block == 0:
            begun.append(piece.track)
        length = piece.track.plan.num_hops
        waiting.setdefault(length, []).append(piece)
        if len(begun) > MOST_OPEN and len(waiting[length]) < TOGETHER:
            length = next((track.plan.num_hops for track in begun if track.left), length)
        if length in waiting and (len(waiting[length]) == TOGETHER or len(begun) > MOST_OPEN):
            start(length)
            if len(running) > 1:
                take()
                yield from finished()
    for length in list(waiting):
        start(length)
    while running:
        take()
        yield from finished()
