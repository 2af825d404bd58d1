"""Reading the WAV files that features are computed from."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from steps import archive
from utils import tables
from utils.cli import UserError

REMEDY = "convert the corpus with steps/convert_audio.sh"


class Samples:
    """One channel of audio in a file, in [-1, 1]; slices are float32 arrays."""

    def __init__(self, file: soundfile.SoundFile) -> None:
        self._file = file

    def __len__(self) -> int:
        return self._file.frames

    def __getitem__(self, piece: slice) -> NDArray[np.float32]:
        start, stop, _ = piece.indices(len(self))
        self._file.seek(start)
        return self._file.read(stop - start, dtype="float32")


Signal = NDArray[np.floating] | Samples
"""A track: samples in [-1, 1] of one channel, in memory or in a file."""


@contextmanager
def open_wav(name: str, sample_rate: int, where: str) -> Iterator[Samples]:
    """Open a WAV file of one channel; the UserError if it is amiss begins with ``where``."""
    try:
        with Path(name).open("rb") as stream:
            head, size = stream.read(8), stream.seek(0, 2)
        file = soundfile.SoundFile(name)
    except OSError as error:
        raise UserError(f"{where}: {name}: {error.strerror}; {REMEDY}") from error
    except soundfile.LibsndfileError as error:
        raise UserError(f"{where}: {name}: expected a WAV file: {error.error_string} {REMEDY}") from error
    with file:
        declared = int.from_bytes(head[4:], "little") + 8
        if head[:4] == b"RIFF" and size < declared:
            raise UserError(f"{where}: {name}: truncated: expected {declared} bytes, got {size}; {REMEDY}")
        if (file.samplerate, file.channels) != (sample_rate, 1):
            got = f"{file.samplerate} Hz and {file.channels}; {REMEDY}"
            raise UserError(f"{where}: {name}: expected {sample_rate} Hz and one channel, got {got}")
        yield Samples(file)


def read_names(rspecifier: str) -> dict[str, str]:
    """Read which file each track of ``scp:FILE`` is in."""
    form, path = archive.parse_rspecifier(rspecifier)
    names = tables.read_scp(path) if form == "scp" else {}
    if not names:
        raise UserError(f"'{rspecifier}': expected 'scp:FILE' with a line '<utt> <wav file>' for each track")
    return names


def opened(names: Mapping[str, str], sample_rate: int) -> Iterator[tuple[str, Samples]]:
    """Open tracks one by one."""
    for utt, name in names.items():
        with open_wav(name, sample_rate, utt) as samples:
            yield utt, samples
