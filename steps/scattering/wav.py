"""Reading the WAV files that features are computed from."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from steps import archive
from utils.cli import UserError

REMEDY = "convert the corpus with steps/convert_audio.sh"


def read_wav(name: str, sample_rate: int, where: str, *, allow_pipes: bool = False) -> NDArray[np.float32]:
    """Read one channel of audio in [-1, 1].

    Parameters
    ----------
    name : str
        A file, or a command ending in ``|``.
    sample_rate : int
        The rate it must have, in Hz.
    where : str
        What an error is to name: the script file and the track.
    allow_pipes : bool
        Whether commands may be run.

    Returns
    -------
    array [shape=(samples,)]

    Raises
    ------
    UserError
        If it is no audio, of another rate, of several channels, or ends early.
    """
    with archive.open_input(name, allow_pipes=allow_pipes, where=where) as stream:
        data = stream.read()
    declared = int.from_bytes(data[4:8], "little") + 8
    if data[:4] == b"RIFF" and len(data) < declared and not name.endswith("|"):
        raise UserError(f"{where}: {name}: truncated: expected {declared} bytes, got {len(data)}; {REMEDY}")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.samplerate != sample_rate:
                raise UserError(
                    f"{where}: {name}: expected {sample_rate} Hz, got {file.samplerate} Hz; {REMEDY}"
                )
            if file.channels != 1:
                raise UserError(f"{where}: {name}: expected one channel, got {file.channels}; {REMEDY}")
            return file.read(dtype="float32")
    except soundfile.LibsndfileError as error:
        raise UserError(f"{where}: {name}: expected a WAV file: {error.error_string} {REMEDY}") from error


def read_wavs(
    rspecifier: str, sample_rate: int, *, allow_pipes: bool = False
) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    """Read the tracks of ``scp:FILE`` one by one as (utterance, what errors are to name, samples)."""
    spec = archive.parse_rspecifier(rspecifier)
    if spec.type != "scp" or spec.path.endswith("|"):
        raise UserError(f"'{rspecifier}': expected 'scp:FILE' with a line '<utt> <wav file>' for each track")
    for utt, name in archive.read_scp(Path(spec.path)).items():
        where = f"{spec.path}: {utt}"
        yield utt, where, read_wav(name, sample_rate, where, allow_pipes=allow_pipes)
