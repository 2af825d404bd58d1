"""Utterances of about the same length, taken together (``nnet-train-multistream-perutt``).

A buffer holds utterances by their length. For each batch a length is drawn among those present, and the
utterances of this length or the next greater ones are taken, so that little is padded. The draws are
those of an unseeded ``rand()``: Kaldi's order, each time the same.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from steps.nnet1.glibc_random import GlibcRandom
from steps.nnet1.inputs import Utterance
from utils import cli

Pair = tuple[str, np.ndarray]
CAPACITY = 3 * 1024
_MEGABYTE = 2**20


class LengthBuffer:
    """Features of utterances by length, at most about ``capacity`` MB of them.

    Parameters
    ----------
    pairs : iterable of (str, array [frames, dim])
        Read until the buffer is full, and again once it is less than half full.
    capacity : int
        In MB.
    """

    def __init__(self, pairs: Iterable[Pair], capacity: int = CAPACITY) -> None:
        self._source = iter(pairs)
        self._ahead = next(self._source, None)
        self._capacity = capacity
        self._groups: dict[int, deque[Pair]] = {}
        self._lengths: list[int] = []
        self._count = self._bytes = 0
        self._wanted = 0
        self._taken: int | None = None
        self._random = GlibcRandom(1)

    def new_batch(self) -> None:
        """Draw another length for the next utterance."""
        self._wanted = 0

    def __iter__(self) -> Iterator[Pair]:
        """Yield utterances; as in Kaldi's tool the last one of all is left over."""
        self._fill()
        while not self._at_end():
            self._drop_taken()
            if self._bytes // _MEGABYTE < self._capacity / 2:
                self._fill()
            if self._at_end():
                return
            yield self._take()

    def _at_end(self) -> bool:
        return self._ahead is None and self._count <= 1

    def _fill(self) -> None:
        size = self._bytes // _MEGABYTE
        if self._ahead is not None:
            cli.log(
                f"Read() started... Buffer size in MB: {size}, max {self._capacity}, "
                f"having {self._count} utterances."
            )
        while self._ahead is not None and self._bytes // _MEGABYTE <= self._capacity:
            length = len(self._ahead[1])
            if length not in self._groups:
                self._groups[length] = deque()
                insort(self._lengths, length)
            self._groups[length].append(self._ahead)
            self._count += 1
            self._bytes += _size(self._ahead[1])
            self._ahead = next(self._source, None)

    def _take(self) -> Pair:
        """Hand out an utterance; it is counted until the next one is asked for."""
        if self._wanted == 0:
            self._wanted = self._lengths[int(self._random.rand(1)[0]) % len(self._lengths)]
        place = min(bisect_left(self._lengths, self._wanted), len(self._lengths) - 1)
        self._taken = self._lengths[place]
        return self._groups[self._taken][0]

    def _drop_taken(self) -> None:
        if self._taken is None:
            return
        group = self._groups[self._taken]
        self._bytes -= _size(group.popleft()[1])
        self._count -= 1
        if not group:
            del self._groups[self._taken]
            self._lengths.remove(self._taken)
        self._taken = None


def _size(matrix: np.ndarray) -> int:
    """Bytes of a matrix of Kaldi's, whose rows begin at multiples of 16 bytes."""
    return len(matrix) * 4 * (-(-matrix.shape[1] // 4) * 4)


def batches(
    buffer: LengthBuffer, utterances: Iterable[Utterance], *, num_streams: int, max_frames: float
) -> Iterator[list[Utterance]]:
    """Yield utterances to be trained on together.

    Parameters
    ----------
    buffer : LengthBuffer
        Where the utterances come from.
    utterances : iterable of Utterance
        Those of the buffer that have targets.
    num_streams : int
        At most so many in a batch.
    max_frames : float
        None is added to a batch that would be longer with it, frames of padding included.
    """
    batch: list[Utterance] = []
    longest = 0
    buffer.new_batch()
    for utterance in utterances:
        batch.append(utterance)
        longest = max(longest, len(utterance.feats))
        if len(batch) == num_streams or longest * (len(batch) + 1) > max_frames:
            yield batch
            batch, longest = [], 0
            buffer.new_batch()
    if batch:
        yield batch
