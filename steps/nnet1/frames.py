"""Minibatches of shuffled frames (``nnet-train-frmshuff``).

Utterances are appended until the buffer holds more than ``randomizer_size`` frames; then it is emptied in
minibatches of exactly ``minibatch_size``. What is left over goes to the front of the next fill, and at
the end of the data it is dropped. Kaldi's own permutation cannot be reproduced; ours is that of numpy's
PCG64 for the seed, so it depends on the seed and the order of the list alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from steps.nnet1.inputs import Utterance


class Minibatch(NamedTuple):
    """Rows of features, of targets, and frame weights."""

    feats: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor

    @property
    def frames(self) -> int:
        """Number of rows."""
        return len(self.feats)


def minibatches(
    utterances: Iterable[Utterance], *, minibatch_size: int, randomizer_size: int, seed: int | None
) -> Iterator[Minibatch]:
    """Yield minibatches of exactly ``minibatch_size`` frames.

    Parameters
    ----------
    utterances : iterable of Utterance
        Frames with weight zero are taken out before they reach the buffer.
    randomizer_size : int
        The buffer is emptied as soon as it holds more frames than this.
    seed : int or None
        Seed of the permutations (its low 32 bits), or ``None`` for the order of the data.
    """
    generator = None if seed is None else np.random.default_rng(seed % 2**32)
    waiting: list[Minibatch] = []
    frames = 0
    for utterance in utterances:
        rows = _weighted_rows(utterance)
        waiting.append(rows)
        frames += len(rows.feats)
        if frames > randomizer_size:
            rest = yield from _empty(waiting, minibatch_size, generator)
            waiting, frames = [rest], len(rest.feats)
    if waiting:
        yield from _empty(waiting, minibatch_size, generator)


def _weighted_rows(utterance: Utterance) -> Minibatch:
    _, feats, targets, weights = utterance
    if not (weights == 0).any():
        return Minibatch(feats, targets, weights)
    keep = weights != 0
    return Minibatch(feats[keep], targets[keep], weights[keep])


def _empty(waiting: list[Minibatch], size: int, generator: np.random.Generator | None):
    """Yield the minibatches of a full buffer and return its rest."""
    buffer = Minibatch(*(torch.cat(parts) for parts in zip(*waiting, strict=True)))
    frames = len(buffer.feats)
    order = None
    if generator is not None:
        order = torch.from_numpy(generator.permutation(frames)).to(buffer.feats.device)
    for start in range(0, frames - size + 1, size):
        yield _rows(buffer, order, start, start + size)
    return Minibatch(*(part.clone() for part in _rows(buffer, order, frames - frames % size, frames)))


def _rows(buffer: Minibatch, order: torch.Tensor | None, start: int, stop: int) -> Minibatch:
    if order is None:
        return Minibatch(*(part[start:stop] for part in buffer))
    return Minibatch(*(part.index_select(0, order[start:stop]) for part in buffer))
