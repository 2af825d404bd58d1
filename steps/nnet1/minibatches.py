"""Minibatches of utterances: shuffled single frames, or chunks of several utterances side by side.

Kaldi's own permutation of the frames cannot be reproduced; ours is that of numpy's PCG64 for the seed, so
it depends on the seed and the order of the list alone.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from steps.nnet1.inputs import Utterance

NO_STREAMS = torch.zeros(0, dtype=torch.bool)


class Minibatch(NamedTuple):
    """Rows of features and of targets, their weights, and flags of the streams that begin an utterance.

    ``frames`` of the rows are frames of utterances, the others fill up.
    """

    feats: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    new: torch.Tensor
    frames: int


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

    def of(self, utterances: Iterable[Utterance], *, training: bool = True) -> Iterator[Minibatch]:
        """Yield the minibatches of utterances."""
        generator = None
        if training and self.seed is not None:
            generator = np.random.default_rng(self.seed % 2**32)
        buffer: list[Utterance] = []
        held = total = 0
        for utterance in utterances:
            keep = utterance.weights != 0
            if not keep.all():
                utterance = Utterance(*(part[keep] for part in utterance))
            buffer.append(utterance)
            held += len(utterance.weights)
            total += len(utterance.weights)
            if held > self.randomizer_size:
                buffer = [(yield from self._empty(buffer, generator))]
                held = len(buffer[0].weights)
        if held:
            rest = yield from self._empty(buffer, generator)
            if not training and len(rest.weights) == total:
                yield Minibatch(*rest, NO_STREAMS, total)

    def _empty(
        self, buffer: list[Utterance], generator: np.random.Generator | None
    ) -> Generator[Minibatch, None, Utterance]:
        """Yield the minibatches of what a buffer holds and return the rest."""
        parts = [torch.cat(part) for part in zip(*buffer, strict=True)]
        buffer.clear()
        held, size = len(parts[0]), self.minibatch_size
        order = torch.arange(held) if generator is None else torch.from_numpy(generator.permutation(held))
        for some in order.split(size):
            picked = Utterance(*(part.index_select(0, some) for part in parts))
            if len(some) < size:
                return picked
            yield Minibatch(*picked, NO_STREAMS, size)
        return Utterance(*(part[:0] for part in parts))


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

    def of(self, utterances: Iterable[Utterance], *, training: bool = True) -> Iterator[Minibatch]:  # noqa: ARG002
        """Yield the chunks of utterances, the same in training and in cross-validation."""
        source = iter(utterances)
        streams: list[Utterance | None] = [None] * self.num_stream
        places = [0] * self.num_stream
        while True:
            new = torch.zeros(self.num_stream, dtype=torch.bool)
            for index, utterance in enumerate(streams):
                ended = utterance is None or places[index] >= len(utterance.feats)
                if ended and (following := next(source, None)) is not None:
                    streams[index], places[index], new[index] = following, 0, True
            begun = {i: (each, places[i]) for i, each in enumerate(streams) if each is not None}
            if all(place >= len(utterance.feats) for utterance, place in begun.values()):
                return
            yield self._chunk(begun, new)
            places = [place + self.batch_size for place in places]

    def _chunk(self, begun: dict[int, tuple[Utterance, int]], new: torch.Tensor) -> Minibatch:
        """Cut a chunk from utterances, each by its stream and with the place where it goes on."""
        size = (self.batch_size, self.num_stream)
        first, _ = begun[0]
        feats, targets = (part.new_zeros(*size, part.shape[1]) for part in first[:2])
        weights, frames = torch.zeros(size), 0
        for stream, (utterance, place) in begun.items():
            last = len(utterance.feats) - 1
            rows = torch.arange(place, place + self.batch_size)
            here = rows.clamp(max=last)
            feats[:, stream] = utterance.feats[(rows + self.targets_delay).clamp_(max=last)]
            targets[:, stream] = utterance.targets[here]
            weights[:, stream] = torch.where(rows <= last, utterance.weights[here], 0)
            frames += int((rows <= last).sum())
        return Minibatch(feats.flatten(0, 1), targets.flatten(0, 1), weights.flatten(), new, frames)
