"""Kaldi's ``segments``: utterances that are pieces of recordings, cut as ``extract-segments`` cuts them."""

import math
from pathlib import Path
from typing import NamedTuple

from utils import tables
from utils.cli import UserError

OVERSHOOT = 0.5  # seconds by which an end may lie beyond the recording's
SHORTEST = 0.1


class Segment(NamedTuple):
    """A piece of a recording: seconds from ``start`` to ``end``, of which -1 is the recording's own."""

    recording: str
    start: float
    end: float

    def span(self, num_samples: int, sample_rate: int) -> tuple[int, int]:
        """Return its first sample and the one behind its last, as featbin/extract-segments.cc does.

        What reaches less than half a second beyond the recording ends with it. Raises UserError if it lies
        outside or is too short.
        """
        first = int(self.start * sample_rate)
        last = num_samples if self.end == -1 else int(self.end * sample_rate)
        if first >= num_samples or last >= num_samples + int(OVERSHOOT * sample_rate):
            raise UserError(
                f"the segment from {self.start:g} to {self.end:g} s lies outside the recording "
                f"'{self.recording}' of {num_samples / sample_rate:.2f} s; correct segments"
            )
        last = min(last, num_samples)
        if last <= first + int(SHORTEST * sample_rate):
            raise UserError(f"the segment is too short: {(last - first) / sample_rate:.3f} s; take it out")
        return first, last


def parse(value: str) -> Segment:
    """Read what follows the utterance in a line of ``segments``; a ValueError says what is wrong."""
    try:
        recording, *times = value.replace("\t", " ").split()
        start, end = map(float, times)
    except ValueError:
        wanted = "'<recording> <start> <end>' in seconds, without a channel"
        raise ValueError(f"expected {wanted}, got '{value}'") from None
    if not (0 <= start < math.inf and (end == -1 or start < end < math.inf)):
        raise ValueError(f"expected 0 <= start < end in seconds, or an end of -1, got '{value}'")
    return Segment(recording, start, end)


def read(path: str | Path) -> dict[str, Segment]:
    """Read ``segments``: the piece of each utterance. A UserError names ``path:line`` of what is wrong."""
    return tables.parse_values(path, parse)
