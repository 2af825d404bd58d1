"""Minibatches of utterances: shuffled single frames, or chunks of several utterances side by side.

Kaldi's own permutation of the frames cannot be reproduced; ours is that of numpy's PCG64 for the seed, so
it depends on the seed and the order of the list alone.
"""

from collections.abc import Iterable, Iterator, Sequence
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
        waiting: list[tuple[torch.Tensor, ...]] = []
        frames = total = 0
        for utterance in utterances:
            rows = _weighted_rows(utterance)
            waiting.append(rows)
            frames += len(rows[0])
            total += len(rows[0])
            if frames > self.randomizer_size:
                rest = yield from self._empty(waiting, generator)
                waiting, frames = [rest], len(rest[0])
        if waiting:
            rest = yield from self._empty(waiting, generator)
            if not training and 0 < len(rest[0]) == total:
                feats, targets, weights = rest
                yield Minibatch(feats, targets, weights, total)

    def _empty(self, waiting: list[tuple[torch.Tensor, ...]], generator: np.random.Generator | None):
        """Yield the minibatches of a full buffer and return its rest."""
        buffer = [torch.cat(parts) for parts in zip(*waiting, strict=True)]
        frames, size = len(buffer[0]), self.minibatch_size
        order = None
        if generator is not None:
            order = torch.from_numpy(generator.permutation(frames)).to(buffer[0].device)

        def rows(start: int, stop: int) -> list[torch.Tensor]:
            if order is None:
                return [part[start:stop] for part in buffer]
            return [part.index_select(0, order[start:stop]) for part in buffer]

        for start in range(0, frames - size + 1, size):
            feats, targets, weights = rows(start, start + size)
            yield Minibatch(feats, targets, weights, size)
        return tuple(part.clone() for part in rows(frames - frames % size, frames))


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
