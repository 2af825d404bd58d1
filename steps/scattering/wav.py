"""Reading the WAV files that features are computed from."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from steps import archive
from utils import tables
from utils.cli import UserError
from utils.segments import Segment
from utils.segments import read as read_segments

REMEDY = "convert the corpus with steps/convert_audio.sh"


class Samples:
    """One channel of audio in a file, in [-1, 1], from ``first`` to ``last``; slices are float32 arrays."""

    def __init__(self, file: soundfile.SoundFile, first: int = 0, last: int | None = None) -> None:
        self._file, self._first = file, first
        self._length = (file.frames if last is None else last) - first

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, piece: slice) -> NDArray[np.float32]:
        start, stop, _ = piece.indices(len(self))
        self._file.seek(self._first + start)
        return self._file.read(stop - start, dtype="float32")


Signal = NDArray[np.floating] | Samples
"""A track: samples in [-1, 1] of one channel, in memory or in a file."""


@contextmanager
def open_wav(
    name: str, sample_rate: int, where: str, *, allow_pipes: bool = False, segment: Segment | None = None
) -> Iterator[Samples]:
    """Open a file, or a command ending in ``|`` if allowed, or a segment of it; UserError if it is amiss."""
    source: io.BytesIO | str = name
    with archive.open_input(name, allow_pipes=allow_pipes, where=where) as stream:
        if name.endswith("|"):
            source = io.BytesIO(stream.read())
        else:
            head, size = stream.read(8), stream.seek(0, io.SEEK_END)
            declared = int.from_bytes(head[4:], "little") + 8
            if head[:4] == b"RIFF" and size < declared:
                raise UserError(
                    f"{where}: {name}: truncated: expected {declared} bytes, got {size}; {REMEDY}"
                )
    try:
        file = soundfile.SoundFile(source)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{where}: {name}: expected a WAV file: {error.error_string} {REMEDY}") from error
    with file:
        if (file.samplerate, file.channels) != (sample_rate, 1):
            got = f"{file.samplerate} Hz and {file.channels}; {REMEDY}"
            raise UserError(f"{where}: {name}: expected {sample_rate} Hz and one channel, got {got}")
        try:
            span = segment.span(file.frames, sample_rate) if segment else (0, file.frames)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        yield Samples(file, *span)


def read_wavs(
    rspecifier: str, sample_rate: int, *, allow_pipes: bool = False, segments: str | Path = ""
) -> Iterator[tuple[str, str, Samples]]:
    """Open the tracks of ``scp:FILE``, or ``segments`` of them: utterance, what errors name, samples."""
    spec = archive.parse_rspecifier(rspecifier)
    if spec.type != "scp" or spec.path.endswith("|"):
        raise UserError(f"'{rspecifier}': expected 'scp:FILE' with a line '<utt> <wav file>' for each track")
    names = tables.read_scp(Path(spec.path))
    pieces: Mapping[str, Segment | None] = read_segments(segments) if segments else dict.fromkeys(names)
    for utt, segment in pieces.items():
        where = f"{segments or spec.path}: {utt}"
        name = names.get(segment.recording if segment else utt)
        if name is None:
            raise UserError(f"{where}: its recording is not in {spec.path}")
        with open_wav(name, sample_rate, where, allow_pipes=allow_pipes, segment=segment) as samples:
            yield utt, where, samples
