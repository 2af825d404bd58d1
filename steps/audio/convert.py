"""From any recording to the recipe's audio: one channel, 22 050 Hz, 16 bit, as WAV.

The chain is decode, mean of the channels, soxr at its best (VHQ), round to 16 bit, as a stream. Nothing is
dithered or normalised: a mono 16-bit track of the target rate comes out bit for bit as it went in.
"""

import hashlib
import math
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import soxr

from steps.audio.decode import MAX_RATE, MIN_RATE, AudioError, Track
from utils import atomic
from utils.cli import UserError

FULL_SCALE = 32768


@dataclass(frozen=True)
class Conversion:
    """How tracks are converted.

    What exceeds full scale after resampling is saturated and reported. A track whose peak lies further beyond
    than ``max_over_db`` is refused: that is a float file that was never meant to have full scale at 1.0. So
    is one that is shorter than ``min_samples`` at the output rate, one scattering window.
    """

    sample_rate: int = 22050
    max_over_db: float = 6.0
    min_samples: int = 8192
    allow_truncated: bool = False

    def __post_init__(self) -> None:
        if not MIN_RATE <= self.sample_rate <= MAX_RATE:
            raise UserError(f"--sample-rate={self.sample_rate}: expected {MIN_RATE} to {MAX_RATE} Hz")

    def check_length(self, num_samples: int, path: object) -> None:
        """Refuse a track that is too short."""
        if num_samples < self.min_samples:
            seconds = num_samples / self.sample_rate
            raise AudioError(
                f"{path}: {num_samples} samples at {self.sample_rate} Hz ({seconds:.3f} s), "
                f"shorter than one window of {self.min_samples}; leave the track out"
            )


class Converted(NamedTuple):
    """A track at the output rate, the SHA-256 of its samples, and what is odd about it."""

    num_samples: int
    sha256: str
    warnings: tuple[str, ...] = ()


def convert_track(source: str | Path, target: str | Path, how: Conversion) -> Converted:
    """Convert one recording; AudioError if it is refused."""
    digest, num_samples, peak, num_over = hashlib.sha256(), 0, 0.0, 0
    with (
        atomic.replacing(target, "wb") as file,
        Track(source, allow_truncated=how.allow_truncated) as track,
        _open_wav(file, how.sample_rate) as out,
    ):
        for mono in _resampled(track, how.sample_rate):
            size = np.abs(mono)
            peak = max(peak, float(size.max(initial=0.0)))
            num_over += int(np.count_nonzero(size > 1.0))
            samples = np.clip(np.rint(mono * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype("<i2")
            out.writeframesraw(samples.tobytes())
            digest.update(samples.tobytes())
            num_samples += len(samples)
        how.check_length(num_samples, source)
        if num_over:
            level = 20 * math.log10(peak)
            over = f"{num_over} samples exceed full scale, peak {level:+.2f} dBFS"
            if level > how.max_over_db:
                allowed = f"more than the {how.max_over_db:g} dB allowed"
                raise AudioError(
                    f"{source}: {over}, {allowed}; rescale the file, or give a higher --max-over-db"
                )
            track.warnings.append(f"{over}: saturated")
        if peak * FULL_SCALE <= 0.5:
            track.warnings.append("the track is silent: kept")
        return Converted(num_samples, digest.hexdigest(), tuple(track.warnings))


def cut_track(whole: Path, target: Path, span: tuple[int, int], how: Conversion) -> Converted:
    """Write samples from first to last (not counted) of a converted recording as a WAV file."""
    first, last = span
    how.check_length(last - first, target)
    with wave.open(str(whole), "rb") as wav:
        wav.setpos(first)
        data = wav.readframes(last - first)
    with atomic.replacing(target, "wb") as file, _open_wav(file, how.sample_rate) as out:
        out.writeframesraw(data)
    return Converted(last - first, hashlib.sha256(data).hexdigest())


def _open_wav(file: IO[bytes], sample_rate: int) -> wave.Wave_write:
    """Open a 16-bit mono WAV file; where the disk is full, an error in libsndfile's callback gets lost."""
    out = wave.open(file, "wb")  # noqa: SIM115
    out.setparams((1, 2, sample_rate, 0, "NONE", ""))
    return out


def _resampled(track: Track, sample_rate: int) -> Iterator[np.ndarray]:
    """Yield blocks ``[n]`` of the mono signal at the output rate."""
    stream = None
    if track.sample_rate != sample_rate:
        stream = soxr.ResampleStream(track.sample_rate, sample_rate, 1, "float64", "VHQ")
    for block in track.blocks():
        mono = sum(block.T) / track.channels  # numpy's mean over a few columns takes long
        yield mono if stream is None else stream.resample_chunk(mono)
    if stream is not None:
        yield stream.resample_chunk(np.zeros(0), last=True)
