"""From any recording to the recipe's audio: one channel, 22 050 Hz, 16 bit, as WAV.

The chain is decode, mean of the channels, soxr at its best (VHQ), round to 16 bit, as a stream. Nothing is
dithered or normalised: a mono 16-bit track of the target rate comes out bit for bit as it went in.
"""

import hashlib
import math
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np
import soxr

from steps.audio.decode import AudioError, Track
from utils import atomic

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


@dataclass
class TrackReport:
    """What was found in one track. The peak is relative to full scale 1.0, of the mono 22 050 Hz signal."""

    codec: str
    source_rate: int
    channels: int
    header_frames: int | None
    decoded_frames: int = 0
    num_samples: int = 0
    peak: float = 0.0
    over_full_scale: int = 0
    dc: float = 0.0
    sha256: str = ""
    warnings: list[str] = field(default_factory=list)


def decibels(peak: float) -> float:
    """Return ``20 log10 peak``, the level in dB relative to full scale; minus infinity for 0."""
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def convert_track(source: str | Path, target: str | Path, how: Conversion) -> TrackReport:
    """Convert one recording and return what was found in it; AudioError if it is refused."""
    digest = hashlib.sha256()
    with (
        atomic.replacing(target, "wb") as file,
        Track(source, allow_truncated=how.allow_truncated) as track,
        _open_wav(file, how.sample_rate) as out,
    ):
        report = TrackReport(track.codec, track.sample_rate, track.channels, track.header_frames)
        for mono in _resampled(track, report, how):
            size = np.abs(mono)
            report.peak = max(report.peak, float(size.max(initial=0.0)))
            report.over_full_scale += int(np.count_nonzero(size > 1.0))
            samples = np.clip(np.rint(mono * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype("<i2")
            out.writeframesraw(samples.tobytes())
            digest.update(samples.tobytes())
            report.num_samples += len(samples)
        report.decoded_frames = track.frames
        report.dc /= track.frames
        report.warnings += track.warnings
        report.sha256 = digest.hexdigest()
        _judge(report, str(source), how)
    return report


def cut_track(
    whole: Path, report: TrackReport, target: Path, span: tuple[int, int], how: Conversion
) -> TrackReport:
    """Write samples from first to last (not counted) of a converted recording as a WAV file."""
    first, last = span
    with wave.open(str(whole), "rb") as wav:
        wav.setpos(first)
        data = wav.readframes(last - first)
    peak = float(np.abs(np.frombuffer(data, "<i2").astype(np.int32)).max()) / FULL_SCALE
    digest, count = hashlib.sha256(data).hexdigest(), last - first
    piece = replace(report, num_samples=count, peak=peak, over_full_scale=0, sha256=digest, warnings=[])
    _judge(piece, str(target), how)
    with atomic.replacing(target, "wb") as file, _open_wav(file, how.sample_rate) as out:
        out.writeframesraw(data)
    return piece


def _open_wav(file: IO[bytes], sample_rate: int) -> wave.Wave_write:
    """Open a 16-bit mono WAV file; where the disk is full, an error in libsndfile's callback gets lost."""
    out = wave.open(file, "wb")  # noqa: SIM115
    out.setparams((1, 2, sample_rate, 0, "NONE", ""))
    return out


def _resampled(track: Track, report: TrackReport, how: Conversion) -> Iterator[np.ndarray]:
    """Yield blocks ``[n]`` of the mono signal at the output rate, and note its sum."""
    stream = None
    if track.sample_rate != how.sample_rate:
        stream = soxr.ResampleStream(track.sample_rate, how.sample_rate, 1, "float64", "VHQ")
    for block in track.blocks():
        mono = sum(block.T) / track.channels  # numpy's mean over a few columns takes long
        report.dc += float(mono.sum())
        yield mono if stream is None else stream.resample_chunk(mono)
    if stream is not None:
        yield stream.resample_chunk(np.zeros(0), last=True)


def _judge(report: TrackReport, path: str, how: Conversion) -> None:
    """Refuse what may not pass, and put the rest of the oddities into the report's warnings."""
    if report.num_samples < how.min_samples:
        seconds = report.num_samples / how.sample_rate
        raise AudioError(
            f"{path}: {report.num_samples} samples at {how.sample_rate} Hz ({seconds:.3f} s), "
            f"shorter than one window of {how.min_samples}; leave the track out"
        )
    level = decibels(report.peak)
    over = f"{report.over_full_scale} samples exceed full scale, peak {level:+.2f} dBFS"
    if level > how.max_over_db:
        raise AudioError(
            f"{path}: {over}, more than the {how.max_over_db:g} dB allowed; "
            "rescale the file, or give a higher --max-over-db"
        )
    if report.over_full_scale:
        report.warnings.append(f"{over}: saturated")
    if report.peak * FULL_SCALE <= 0.5:
        report.warnings.append("the track is silent: kept")
    elif abs(report.dc) > 0.01:
        report.warnings.append(f"DC offset {report.dc:+.4f} of full scale: kept")
