"""From any recording to the recipe's audio: one channel, 22 050 Hz, 16 bit, as WAV.

The chain is decode, mean of the channels, soxr (VHQ), round to 16 bit. It streams, so that memory does
not grow with the length of the track. Nothing is dithered and nothing is normalised: a mono 16-bit track
that is already at the target rate comes out bit for bit as it went in.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soxr

from steps.audio.decode import AudioError, Track
from utils import atomic

FULL_SCALE = 32768
CLIP_POLICIES = ("report", "scale", "error")


@dataclass(frozen=True)
class Conversion:
    """How tracks are converted.

    A track that exceeds full scale after resampling is saturated and reported, divided by its peak
    (``clip="scale"``), or refused (``"error"``). One whose peak lies further beyond than ``max_over_db`` is
    always refused: that is a float file that was never meant to have full scale at 1.0. So is a track that is
    shorter than ``min_samples`` at the output rate, one scattering window. ``quality`` is soxr's.
    """

    sample_rate: int = 22050
    quality: str = "VHQ"
    clip: str = "report"
    max_over_db: float = 6.0
    min_samples: int = 8192
    allow_truncated: bool = False


@dataclass
class TrackReport:
    """What was found in one track. Peaks are relative to full scale 1.0, of the mono 22 050 Hz signal."""

    codec: str
    source_rate: int
    channels: int
    header_frames: int | None
    decoded_frames: int = 0
    num_samples: int = 0
    peak: float = 0.0
    source_peak: float = 0.0
    over_full_scale: int = 0
    gain: float = 1.0
    dc: float = 0.0
    sha256: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def silent(self) -> bool:
        """Whether every output sample is zero."""
        return self.peak * self.gain * FULL_SCALE <= 0.5


def decibels(peak: float) -> float:
    """Return ``20 log10 peak``, the level in dB relative to full scale; minus infinity for 0."""
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def convert_track(source: str | Path, target: str | Path, how: Conversion) -> TrackReport:
    """Convert one recording and return what was found in it.

    Raises :class:`AudioError` if the recording is refused; nothing is written then.
    """
    with atomic.replacing(target, "wb") as file:
        report = _write(source, file, how, gain=1.0)
        if report.over_full_scale and how.clip == "scale":
            file.seek(0)
            file.truncate()
            report = _write(source, file, how, gain=(FULL_SCALE - 1) / FULL_SCALE / report.peak)
        _judge(report, str(source), how)
    return report


def cut_track(
    whole: Path, report: TrackReport, target: Path, span: tuple[int, int], how: Conversion
) -> TrackReport:
    """Write some samples of a recording that :func:`convert_track` wrote as a WAV file of their own.

    ``report`` is that of the whole recording; ``span`` is the first sample and the one behind the last.
    Raises :class:`AudioError` if the piece is shorter than a track may be.
    """
    first, last = span
    with whole.open("rb") as file:
        file.seek(len(wav_header(0, 0)) + 2 * first)
        data = file.read(2 * (last - first))
    peak = float(np.abs(np.frombuffer(data, "<i2").astype(np.int32)).max()) / FULL_SCALE / report.gain
    digest = hashlib.sha256(data).hexdigest()
    piece = replace(report, num_samples=last - first, peak=peak, sha256=digest, warnings=[])
    if piece.num_samples < how.min_samples or piece.silent:
        _judge(piece, str(target), how)
    with atomic.replacing(target, "wb") as file:
        file.write(wav_header(piece.num_samples, how.sample_rate) + data)
    return piece


def wav_header(num_samples: int, sample_rate: int) -> bytes:
    """Return the 44 bytes before the samples of a 16-bit mono WAV file.

    libsndfile is not used for writing: where the disk is full, an error in its callback gets lost.
    """
    size = 2 * num_samples
    head = struct.pack("<4sI8sI", b"RIFF", 36 + size, b"WAVEfmt ", 16)
    return head + struct.pack("<HHIIHH4sI", 1, 1, sample_rate, 2 * sample_rate, 2, 16, b"data", size)


def _write(source: str | Path, file, how: Conversion, *, gain: float) -> TrackReport:
    digest = hashlib.sha256()
    with Track(source, allow_truncated=how.allow_truncated) as track:
        file.write(wav_header(0, how.sample_rate))
        report = TrackReport(track.codec, track.sample_rate, track.channels, track.header_frames, gain=gain)
        for mono in _resampled(track, report, how):
            report.peak = max(report.peak, float(np.abs(mono).max(initial=0.0)))
            scaled = mono * gain
            report.over_full_scale += int(np.count_nonzero(np.abs(scaled) > 1.0))
            samples = np.clip(np.rint(scaled * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
            data = samples.astype("<i2").tobytes()
            file.write(data)
            digest.update(data)
            report.num_samples += len(samples)
        report.decoded_frames = track.frames
        report.dc /= track.frames
        report.warnings += track.warnings
    file.seek(0)
    file.write(wav_header(report.num_samples, how.sample_rate))
    report.sha256 = digest.hexdigest()
    return report


def _resampled(track: Track, report: TrackReport, how: Conversion) -> Iterator[np.ndarray]:
    """Yield blocks ``[n]`` of the mono signal at the output rate, noting source peak and sum."""
    stream = None
    if track.sample_rate != how.sample_rate:
        stream = soxr.ResampleStream(track.sample_rate, how.sample_rate, 1, "float64", how.quality)
    for block in track.blocks():
        report.source_peak = max(report.source_peak, float(np.abs(block).max()))
        mono = block.mean(axis=1)
        report.dc += float(mono.sum())
        yield mono if stream is None else stream.resample_chunk(mono)
    if stream is not None:
        yield stream.resample_chunk(np.zeros(0), last=True)


def _judge(report: TrackReport, path: str, how: Conversion) -> None:
    """Refuse what may not pass, and put the rest of the oddities into the report's warnings."""
    if report.num_samples < how.min_samples:
        raise AudioError(
            f"{path}: {report.num_samples} samples at {how.sample_rate} Hz "
            f"({report.num_samples / how.sample_rate:.3f} s), shorter than one window of {how.min_samples}; "
            "leave the track out"
        )
    over = f"{report.over_full_scale} samples exceed full scale, peak {decibels(report.peak):+.2f} dBFS"
    if report.gain != 1.0:
        report.warnings.append(f"peak {decibels(report.peak):+.2f} dBFS: scaled by {report.gain:.4f}")
    elif report.over_full_scale and how.clip == "error":
        raise AudioError(f"{path}: {over}; give --clip scale or --clip report")
    elif report.over_full_scale:
        if decibels(report.peak) > how.max_over_db:
            raise AudioError(
                f"{path}: {over}, more than the {how.max_over_db:g} dB allowed; "
                "rescale the file, or give --clip scale or a higher --max-over-db"
            )
        report.warnings.append(f"{over}: saturated")
    if report.silent:
        why = "silent" if report.source_peak * FULL_SCALE <= 0.5 else "silent once its channels are averaged"
        report.warnings.append(f"the track is {why}: kept")
    elif abs(report.dc) > 0.01:
        report.warnings.append(f"DC offset {report.dc:+.4f} of full scale: kept")
