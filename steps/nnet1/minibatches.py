"""Minibatches of utterances: shuffled single frames, or chunks of several utterances side by side.

Kaldi's own permutation of the frames cannot be reproduced; ours is that of numpy's PCG64 for the seed, so
it depends on the seed and the order of the list alone.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from steps.nnet1.inputs import Utterance


class Minibatch(NamedTuple):
    """Rows of features, of targets, and frame weights.

    ``frames`` of the rows are frames of utterances, the others fill up; ``new`` flags the streams that begin
    an utterance.
    """

    feats: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    frames: int
    new: Sequence[bool] = ()


@dataclass(frozen=True)
class Frames:
    """Minibatches of exactly ``minibatch_size`` shuffled frames (``nnet-train-frmshuff``).

    Utterances are appended until the buffer holds more than ``randomizer_size`` frames; then it is emptied.
    What is left over goes to the front of the next fill, and at the end of the data it is dropped. ``seed``
    is that of the permutations (its low 32 bits); with ``None``, and in cross-validation, frames stay in the
    order of the data. Frames of weight zero are taken out before they reach the buffer. Data for
    cross-validation that are less than a minibatch are one of their own; Kaldi would measure nothing.
    """

    minibatch_size: int = 256
    randomizer_size: int = 32768
    seed: int | None = None

    num_stream = 1
    length_tolerance = 5

    def of(self, utterances: Iterable[Utterance], *, training: bool = True) -> Iterator[Minibatch]:
        """Yield the minibatches of utterances."""
        shuffles = training and self.seed is not None
        generator = np.random.default_rng(self.seed % 2**32) if shuffles else None  # type: ignore[operator]
        buffer: list[torch.Tensor] = []
        held = total = 0
        for utterance in utterances:
            rows = _weighted_rows(utterance)
            buffer = _put(buffer, held, rows, self.randomizer_size)
            held += len(rows[0])
            total += len(rows[0])
            if held > self.randomizer_size:
                held = yield from self._empty(buffer, held, generator)
        held = yield from self._empty(buffer, held, generator)
        if not training and 0 < held == total:
            feats, targets, weights = (part[:held] for part in buffer)
            yield Minibatch(feats, targets, weights, total)

    def _empty(
        self, buffer: list[torch.Tensor], held: int, generator: np.random.Generator | None
    ) -> Generator[Minibatch, None, int]:
        """Yield the minibatches of what a buffer holds, put the rest to its front and return its number."""
        size = self.minibatch_size
        order = None
        if generator is not None and held:
            order = torch.from_numpy(generator.permutation(held)).to(buffer[0].device)

        def rows(start: int, stop: int) -> list[torch.Tensor]:
            if order is None:
                return [part[start:stop].clone() for part in buffer]
            return [part.index_select(0, order[start:stop]) for part in buffer]

        for start in range(0, held - size + 1, size):
            feats, targets, weights = rows(start, start + size)
            yield Minibatch(feats, targets, weights, size)
        left = held % size
        for part, rest in zip(buffer, rows(held - left, held), strict=True):
            part[:left] = rest
        return left


def _put(
    buffer: list[torch.Tensor], held: int, rows: tuple[torch.Tensor, ...], size: int
) -> list[torch.Tensor]:
    """Put rows behind those that a buffer holds; a larger one is made where they do not fit."""
    number = held + len(rows[0])
    if not buffer or number > len(buffer[0]):
        larger = [part.new_empty(max(number, size) + len(part), *part.shape[1:]) for part in rows]
        for part, old in zip(larger, buffer, strict=False):
            part[:held] = old[:held]
        buffer = larger
    for part, new in zip(buffer, rows, strict=True):
        part[held:number] = new
    return buffer


def _weighted_rows(utterance: Utterance) -> tuple[torch.Tensor, ...]:
    _, *parts = utterance
    keep = utterance.weights != 0
    return tuple(parts) if bool(keep.all()) else tuple(part[keep] for part in parts)


@dataclass(frozen=True)
class Streams:
    """Chunks of ``batch_size`` frames of ``num_stream`` utterances (``bd-nnet-train-lstm-streams``).

    Frame t of stream s is row ``t * num_stream + s``. Row t of an utterance carries the features of
    ``min(t + targets_delay, last)`` and the target of t; behind its end, the last features and target with
    weight 0. A stream never begins an utterance inside a chunk; an exhausted one goes on so until all are.
    With fewer utterances than streams, a stream that never had one is zeros with weight 0 (Kaldi's tool
    reads outside its memory there).
    """

    batch_size: int = 20
    num_stream: int = 4
    targets_delay: int = 5

    length_tolerance = 0

    def of(self, utterances: Iterable[Utterance], *, training: bool = True) -> Iterator[Minibatch]:  # noqa: ARG002
        """Yield the chunks of utterances, the same in training and in cross-validation."""
        source = iter(utterances)
        streams = [_Stream() for _ in range(self.num_stream)]
        like: Utterance | None = None
        while True:
            new = [stream.left <= 0 and stream.refill(source) for stream in streams]
            if all(stream.left <= 0 for stream in streams):
                return
            if like is None:
                like = next(stream.utterance for stream in streams if stream.utterance is not None)
            yield self._chunk(streams, like, new)

    def _chunk(self, streams: list["_Stream"], like: Utterance, new: list[bool]) -> Minibatch:
        size = (self.batch_size, self.num_stream)
        feats, targets = (part.new_zeros(*size, part.shape[1]) for part in (like.feats, like.targets))
        weights = torch.zeros(size)
        frames = sum(min(self.batch_size, max(stream.left, 0)) for stream in streams)
        for index, stream in enumerate(streams):
            if stream.utterance is None:
                continue
            last = len(stream.utterance.feats) - 1
            rows = torch.arange(stream.position, stream.position + self.batch_size)
            feats[:, index] = stream.utterance.feats[(rows + self.targets_delay).clamp_(max=last)]
            targets[:, index] = stream.utterance.targets[rows.clamp(max=last)]
            weights[:, index] = torch.where(rows <= last, stream.utterance.weights[rows.clamp(max=last)], 0)
            stream.position += self.batch_size
        return Minibatch(feats.flatten(0, 1), targets.flatten(0, 1), weights.flatten(), frames, new)


class _Stream:
    """An utterance and how far it has been read."""

    def __init__(self) -> None:
        self.utterance: Utterance | None = None
        self.position = 0

    @property
    def left(self) -> int:
        """Frames that have not been given out."""
        return 0 if self.utterance is None else len(self.utterance.feats) - self.position

    def refill(self, utterances: Iterator[Utterance]) -> bool:
        """Take the next utterance; False if there is none (the old one stays, exhausted)."""
        following = next(utterances, None)
        if following is None:
            return False
        self.utterance, self.position = following, 0
        return True
