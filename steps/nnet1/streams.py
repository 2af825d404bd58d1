"""Chunks of interleaved utterances for LSTM training, as kaldi-lstm and today's Kaldi cut them.

Frame t of stream s is row ``t * num_stream + s`` of a chunk. A stream never begins an utterance inside
a chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch

from steps.nnet1.inputs import Utterance


class Chunk(NamedTuple):
    """``batch_size * num_stream`` interleaved rows; ``new`` flags streams that begin an utterance.

    ``frames`` of the rows are frames of utterances, the others fill up.
    """

    feats: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    new: list[bool]
    lengths: list[int] | None
    frames: int


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


def delayed_chunks(
    utterances: Iterable[Utterance], *, num_stream: int, batch_size: int, targets_delay: int
) -> Iterator[Chunk]:
    """Yield the chunks of ``bd-nnet-train-lstm-streams``.

    Row t of an utterance carries the features of ``min(t + targets_delay, last)`` and the target of t;
    behind its end, the last features and target with weight 0. An exhausted stream goes on so until all
    are. With fewer utterances than streams, a stream that never had one is zeros with weight 0 (Kaldi's
    tool reads outside its memory there).
    """
    source = iter(utterances)
    streams = [_Stream() for _ in range(num_stream)]
    shapes: tuple[int, int] | None = None
    while True:
        new = [stream.left <= 0 and stream.refill(source) for stream in streams]
        if all(stream.left <= 0 for stream in streams):
            return
        if shapes is None:
            first = next(stream.utterance for stream in streams if stream.utterance is not None)
            shapes = (first.feats.shape[1], first.targets.shape[1])
        feats, targets = (torch.zeros(batch_size, num_stream, columns) for columns in shapes)
        weights = torch.zeros(batch_size, num_stream)
        frames = sum(min(batch_size, max(stream.left, 0)) for stream in streams)
        for index, stream in enumerate(streams):
            if stream.utterance is None:
                continue
            last = len(stream.utterance.feats) - 1
            rows = torch.arange(stream.position, stream.position + batch_size)
            feats[:, index] = stream.utterance.feats[(rows + targets_delay).clamp_(max=last)]
            targets[:, index] = stream.utterance.targets[rows.clamp(max=last)]
            weights[:, index] = torch.where(rows <= last, stream.utterance.weights[rows.clamp(max=last)], 0)
            stream.position += batch_size
        yield Chunk(feats.flatten(0, 1), targets.flatten(0, 1), weights.flatten(), new, None, frames)


def padded_chunks(utterances: Iterable[Utterance], *, num_stream: int, batch_size: int) -> Iterator[Chunk]:
    """Yield the chunks of ``nnet-train-multistream``.

    Behind the end of an utterance, features and weights are zero, and ``lengths`` says where. All ends as
    soon as one stream cannot be refilled: what the others still hold is discarded.
    """
    source = iter(utterances)
    streams = [_Stream() for _ in range(num_stream)]
    while True:
        new = [stream.left <= 0 and stream.refill(source) for stream in streams]
        if any(stream.left <= 0 for stream in streams):
            return
        lengths = [min(batch_size, stream.left) for stream in streams]
        parts: dict[str, torch.Tensor] = {}
        for index, (stream, length) in enumerate(zip(streams, lengths, strict=True)):
            if stream.utterance is None:
                continue
            for name in ("feats", "targets", "weights"):
                value = getattr(stream.utterance, name)
                if name not in parts:
                    parts[name] = torch.zeros(batch_size, num_stream, *value.shape[1:])
                parts[name][:length, index] = value[stream.position : stream.position + length]
            stream.position += length
        feats, targets, weights = (parts[name].flatten(0, 1) for name in ("feats", "targets", "weights"))
        yield Chunk(feats, targets, weights, new, lengths, sum(lengths))


def whole_utterances(batch: Sequence[Utterance]) -> Chunk:
    """Interleave whole utterances, one a stream, padded with zeros of weight 0 to the longest."""
    chunks = padded_chunks(batch, num_stream=len(batch), batch_size=max(len(item.feats) for item in batch))
    return next(chunks)
