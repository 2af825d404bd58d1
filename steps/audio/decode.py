"""Opening a recording, whatever its format, as a stream of blocks of samples.

libsndfile reads wav, flac, ogg, opus, mp3, au, aiff and more, and goes by content, not by name. What it
cannot open is given to ``ffmpeg`` if that is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from steps.audio import containers, ffmpeg, mpeg
from steps.audio.source import SourceFile
from utils.cli import UserError

#: Frames decoded at a time: 64 Ki frames of 6 channels in float64 are 3 MiB.
BLOCK_FRAMES = 65536
MIN_RATE, MAX_RATE = 8000, 192000

_UNKNOWN_FRAMES = 1 << 60
_EXACT = ("PCM", "FLOAT", "DOUBLE", "ULAW", "ALAW")  # a fixed number of bytes a sample


class AudioError(UserError):
    """A recording that cannot be used; the message begins with its path."""


class _Sound(soundfile.SoundFile):
    """A ``SoundFile`` read strictly forward: the header's frame count is no limit, and nothing seeks."""

    def seekable(self) -> bool:
        return False

    def read_frames(self, frames: int) -> np.ndarray:
        """Return up to ``frames`` frames ``[frames, channels]`` in float64; none at the end."""
        return self.read(frames, dtype="float64", always_2d=True)


class Track:
    """One open recording.

    Parameters
    ----------
    path : str or Path
        The file. Its content decides the format.
    allow_truncated : bool
        Whether a file that ends before its header says is a warning, not an error.

    Attributes
    ----------
    codec : str
        For example ``MP3/MPEG_LAYER_III``.
    sample_rate, channels : int
        As the file states them.
    header_frames : int or None
        The number of frames that the header states, ``None`` where it states none.
    frames : int
        The number of frames decoded so far.
    warnings : list of str
        What was odd about the file, filled while it is read.

    Raises
    ------
    AudioError
        If the file is absent, empty, not audio, or its sample rate lies outside 8 to 192 kHz.
    """

    def __init__(self, path: str | Path, *, allow_truncated: bool = False) -> None:
        self.path = str(path)
        self.frames = 0
        self.header_frames: int | None = None
        self.warnings: list[str] = []
        self._allow_truncated = allow_truncated
        self._failure: str | None = None
        self._file = _open_source(self.path)
        self._mpeg: mpeg.Stream | None = None
        self._sound: _Sound | ffmpeg.Pipe
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise
        self.sample_rate = int(self._sound.samplerate)
        self.channels = int(self._sound.channels)
        if not MIN_RATE <= self.sample_rate <= MAX_RATE:
            self.close()
            raise AudioError(
                f"{self.path}: sample rate {self.sample_rate} Hz, expected {MIN_RATE} to {MAX_RATE} Hz; "
                "repair its header or leave the track out"
            )

    def __enter__(self) -> Track:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file or the decoding process."""
        self._sound.close()
        self._file.close()

    def _open(self) -> None:
        try:
            sound = _Sound(self._file)
        except (soundfile.SoundFileError, RuntimeError, TypeError) as error:
            if not ffmpeg.is_available():
                remedy = "install ffmpeg if another decoder knows it, else replace the file"
                raise AudioError(f"{self.path}: {_why_not_audio(self.path, error)}; {remedy}") from error
            self.codec = "ffmpeg"
            try:
                self._sound = ffmpeg.Pipe(self.path)
            except ffmpeg.FfmpegError as also:
                why = f"{_why_not_audio(self.path, error)}, nor ffmpeg ({also})"
                raise AudioError(f"{self.path}: {why}; replace the file") from also
            return
        self.codec = f"{sound.format}/{sound.subtype}"
        if sound.frames < _UNKNOWN_FRAMES:
            self.header_frames = sound.frames
        if self.codec == "MP3/MPEG_LAYER_III":
            self._mpeg = mpeg.find_stream(self._file.raw)
        if self._mpeg is not None and self._mpeg.count_at is None:
            sound.close()
            sound = self._uncounted()
            self.header_frames = None
        self._sound = sound

    def _uncounted(self) -> _Sound:
        """Reopen an MP3 stream so that its decoder reads to the end of the file."""
        if self._mpeg is not None:
            self._file.replace_beginning(*mpeg.uncounted(self._mpeg, self._file.raw, self._file.size))
        return _Sound(self._file)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the samples ``[frames, channels]`` as float64, full scale 1.0, to the end of the file.

        Raises
        ------
        AudioError
            If the decoder fails or the track ends early (unless that is allowed), if a sample is NaN or
            infinite, or if there is none.
        """
        yield from self._decoded(limit=self.header_frames)
        if self._failure is None and self._goes_on():
            done = self.frames
            self._sound.close()
            self._sound = self._uncounted()
            self._mpeg = None
            self.frames = 0
            yield from self._decoded(skip=done)
        if self.frames == 0 and self._failure is None:
            raise AudioError(f"{self.path}: no samples; replace the file or leave the track out")
        self._check_complete()

    def _decoded(self, *, limit: int | None = None, skip: int = 0) -> Iterator[np.ndarray]:
        """Yield the blocks of the open decoder up to ``limit``, without the first ``skip`` frames."""
        while limit is None or self.frames < limit:
            wanted = BLOCK_FRAMES if limit is None else min(BLOCK_FRAMES, limit - self.frames)
            try:
                block = self._sound.read_frames(wanted)
            except (soundfile.SoundFileError, ffmpeg.FfmpegError) as error:
                reason = str(error).strip() or "corrupt data"
                self._failure = f"{self.codec} decoding failed after {self._seconds(self.frames)} ({reason})"
                return
            if not len(block):
                return
            if not np.isfinite(block).all():
                at = self.frames + int(np.argmax(~np.isfinite(block).all(axis=1)))
                raise AudioError(f"{self.path}: sample {at} is NaN or infinite; replace the file")
            self.frames += len(block)
            if self.frames > skip:
                yield block[max(0, skip - (self.frames - len(block))) :]

    def _seconds(self, frames: int) -> str:
        return f"{frames / self.sample_rate:.2f} s"

    def _bytes_left(self) -> int:
        """Return how many bytes of an MP3 stream the decoder has not asked for."""
        return self._file.size - self._file.raw.tell() - containers.trailing_tag_bytes(self.path)

    def _goes_on(self) -> bool:
        """Whether an MP3 stream decoded up to its header's count has more than that behind it."""
        if self._mpeg is None or self._mpeg.count_at is None:
            return False
        if self.header_frames is None or self.frames < self.header_frames or self._bytes_left() < 4096:
            return False
        return mpeg.find_stream(self._file.raw, self._file.raw.tell()) is not None

    def _check_complete(self) -> None:
        """Judge the decoded length against the header, the container and the bytes left unread."""
        problem = self._failure or self._unread() or self._too_short()
        if problem is None and self.codec != "ffmpeg" and containers.missing_bytes(self.path):
            ends = f"the file ends after {self._seconds(self.frames)}, before its own header says"
            if self._is_nearly_whole():
                self.warnings.append(f"{ends}, by less than a hundredth")
            else:
                problem = ends
        if problem is not None:
            text = f"{problem}: truncated or corrupt"
            if not self._allow_truncated or self.frames == 0:
                remedy = "replace it, leave the track out, or give --allow-truncated=true in conf/audio.conf"
                raise AudioError(f"{self.path}: {text}; {remedy}")
            self.warnings.append(text)
            return
        stated = self.frames if self.header_frames is None else self.header_frames
        if abs(stated - self.frames) > 0.1 * self.sample_rate:
            self.warnings.append(f"the header says {stated} frames, {self.frames} were decoded and are used")

    def _is_nearly_whole(self) -> bool:
        """Whether an MP3 stream has the frames that its header counts, whatever bytes that counts.

        Some encoders count the bytes of tags, too, and tags are changed or dropped later.
        """
        counted = self.codec.startswith("MP3") and self.header_frames is not None
        return counted and self.frames >= 0.99 * (self.header_frames or 0)

    def _too_short(self) -> str | None:
        """Return what is wrong if a header that can be relied upon promises more than was decoded.

        An MP3 header's count is not reliable. A compressed stream may begin or end within a block.
        """
        if self.header_frames is None or self.codec.startswith("MP3"):
            return None
        exact = self.codec.split("/")[1].startswith(_EXACT) or self.codec.startswith("FLAC")
        slack = 0 if exact else self.sample_rate // 10
        if self.frames >= self.header_frames - slack:
            return None
        return f"decoded {self._seconds(self.frames)} of {self._seconds(self.header_frames)} in the header"

    def _unread(self) -> str | None:
        """Return what is wrong if an MP3 decoder gave up well before the end of the file."""
        if not self.codec.startswith("MP3"):
            return None
        left = self._bytes_left()
        if self.header_frames is not None and self.frames >= self.header_frames:
            return None
        short = self.header_frames is not None and self.frames < 0.99 * self.header_frames
        if left <= max(0.02 * self._file.size, 4096 if short else 65536):
            return None
        at = f"at byte {self._file.size - left} of {self._file.size} ({self._seconds(self.frames)})"
        return f"the decoder lost the stream {at}"


def _open_source(path: str) -> SourceFile:
    if path.rstrip().endswith("|"):
        raise AudioError(f"{path}: a command, expected the path of a file; pipes are not run here")
    try:
        file = SourceFile(path)
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}; check the path in wav.scp") from error
    if file.size == 0:
        file.close()
        raise AudioError(f"{path}: zero bytes long; replace the file or leave the track out")
    return file


def _why_not_audio(path: str, error: Exception) -> str:
    with Path(path).open("rb") as file:
        head = file.read(8)
    kind = "text" if head.isascii() and head.decode("ascii", "replace").isprintable() else "content"
    detail = str(error).rsplit(": ", 1)[-1].rstrip(".")
    return f"not audio that libsndfile reads ({kind} beginning {head!r}; {detail})"
