"""One stream of samples, decoded by libsndfile or ffmpeg, and the judgement of its length.

A header's count is never a limit: what is there is decoded to the end, and then compared with what the
header states, in one place (:meth:`Stream.judge`) for every format and decoder.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import soundfile

from steps.audio import containers, ffmpeg, mpeg
from steps.audio.source import SourceFile
from utils.cli import UserError

#: Frames decoded at a time: 64 Ki frames of 6 channels in float64 are 3 MiB.
BLOCK_FRAMES = 65536
MIN_RATE, MAX_RATE = 8000, 192000
#: A deficit below both is a warning: some published files promise a little more than they hold.
SMALL_SECONDS, SMALL_SHARE = 0.5, 0.01
#: What a lossy codec may hold back without a word, in frames: its largest block.
_BLOCK = 4096

_UNKNOWN_FRAMES = 1 << 60
_WIDTHS = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
_WIDTHS |= {"ULAW": 1, "ALAW": 1}
_ERRORS = (soundfile.SoundFileError, RuntimeError, TypeError)


class AudioError(UserError):
    """A recording that cannot be used; the message begins with its path."""


class _Sound(soundfile.SoundFile):
    """A ``SoundFile`` read strictly forward: the header's frame count is no limit, and nothing seeks."""

    def seekable(self) -> bool:
        return False

    def read_frames(self, frames: int) -> np.ndarray:
        """Return up to ``frames`` frames ``[frames, channels]`` in float64; none at the end."""
        return self.read(frames, dtype="float64", always_2d=True)


class Stream:
    """The samples of a file, or of one of the streams in it.

    Attributes
    ----------
    codec : str
        For example ``MP3/MPEG_LAYER_III``.
    sample_rate, channels : int
        As the file states them.
    stated : int or None
        The number of frames that the container states, ``None`` where it leaves that open.
    frames : int
        The number of frames decoded so far.
    warnings : list of str
        What is odd about it, complete when all blocks have been read.

    Raises
    ------
    AudioError
        If it is not audio, or its sample rate lies outside 8 to 192 kHz.
    """

    def __init__(self, file: SourceFile) -> None:
        self._file, self._view = file, file
        self.frames = 0
        self.stated: int | None = None
        self.warnings: list[str] = []
        self._failure: str | None = None
        self._mpeg: mpeg.Stream | None = None
        self._sound: _Sound | ffmpeg.Pipe = self._open()
        self.sample_rate, self.channels = int(self._sound.samplerate), int(self._sound.channels)
        if not MIN_RATE <= self.sample_rate <= MAX_RATE:
            self._sound.close()
            raise AudioError(
                f"{file.path}: sample rate {self.sample_rate} Hz, expected {MIN_RATE} to {MAX_RATE} Hz; "
                "repair its header or leave the track out"
            )

    def close(self) -> None:
        """Release the file or the decoding process."""
        self._sound.close()
        self._view.close()
        self._file.close()

    def _open(self) -> _Sound | ffmpeg.Pipe:
        try:
            sound = _Sound(self._file)
        except _ERRORS as error:
            return self._open_raw() or self._open_with_ffmpeg(error)
        self.codec = f"{sound.format}/{sound.subtype}"
        self.stated = sound.frames if sound.frames < _UNKNOWN_FRAMES else None
        if sound.format == "FLAC":
            count, head = containers.flac_frames(self._file)
            self.stated = count or None
            self._file.replace_beginning(head, 42)
            return _Sound(self._file)
        if self.codec == "MP3/MPEG_LAYER_III":
            self._mpeg = mpeg.find_stream(self._file)
            if self._mpeg is not None and self._mpeg.count_at is None:
                sound.close()
                self.stated = None
                return self._uncounted()
            return sound
        return self._beyond_the_header(sound)

    def _open_raw(self) -> _Sound | None:
        """Open a WAV file with a fault between its chunks, such as a padding byte that is missing."""
        data, found = containers.find_data(self._file), containers.wav_format(self._file)
        if data is None or found is None:
            return None
        subtype, rate, channels = found
        self.codec = f"WAV/{subtype}"
        self.stated = None if data.stated is None else data.stated // (_WIDTHS[subtype] * channels)
        return self._raw(data, subtype, "LITTLE", rate, channels)

    def _raw(self, data: containers.Data, subtype: str, endian: str, rate: int, channels: int) -> _Sound:
        self._view = self._file.window(data.start, data.start + data.there)
        how = {"format": "RAW", "subtype": subtype, "endian": endian}
        return _Sound(self._view, samplerate=rate, channels=channels, **how)

    def _open_with_ffmpeg(self, error: Exception) -> ffmpeg.Pipe:
        path = self._file.path
        if not ffmpeg.is_available():
            remedy = "install ffmpeg if another decoder knows it, else replace the file"
            raise AudioError(f"{path}: {_why_not_audio(self._file, error)}; {remedy}") from error
        self.codec = "ffmpeg"
        address = ffmpeg.address(self._file)
        try:
            seconds = ffmpeg.stated_seconds(address)
            pipe = ffmpeg.Pipe(address)
        except ffmpeg.FfmpegError as also:
            why = f"{_why_not_audio(self._file, error)}, nor ffmpeg ({also})"
            raise AudioError(f"{path}: {why}; replace the file") from also
        self.stated = None if seconds is None else round(seconds * pipe.samplerate)
        return pipe

    def _beyond_the_header(self, sound: _Sound) -> _Sound:
        """Read the samples of a container without compression as far as there are any."""
        data, width = containers.find_data(self._file), _WIDTHS.get(sound.subtype, 0) * sound.channels
        if data is None:
            return sound
        if not width:
            if data.stated is not None and data.there > data.stated + _BLOCK:
                self.warnings.append(
                    f"{data.there} bytes of {sound.subtype} are there, the header counts {data.stated}: no "
                    "more can be decoded: convert the file with another program"
                )
            return sound
        self.stated = None if data.stated is None else data.stated // width
        if data.there // width == sound.frames:
            return sound
        endian = "BIG" if sound.endian == "BIG" or sound.format in ("AIFF", "AU", "CAF") else "LITTLE"
        endian = sound.endian if sound.endian in ("BIG", "LITTLE") else endian
        return self._raw(data, sound.subtype, endian, sound.samplerate, sound.channels)

    def _uncounted(self) -> _Sound:
        """Reopen an MP3 stream so that its decoder reads to the end of the file."""
        if self._mpeg is not None:
            self._file.replace_beginning(*mpeg.uncounted(self._mpeg, self._file))
        return _Sound(self._file)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the samples ``[frames, channels]`` as float64, full scale 1.0, to the end.

        Raises
        ------
        AudioError
            If a sample is NaN or infinite.
        """
        yield from self._decoded()
        if self._failure is None and self._goes_on():
            done = self.frames
            self._sound.close()
            self._sound = self._uncounted()
            self._mpeg = None
            self.frames = 0
            yield from self._decoded(skip=done)

    def _decoded(self, *, skip: int = 0) -> Iterator[np.ndarray]:
        """Yield the blocks of the open decoder without the first ``skip`` frames."""
        while True:
            beyond = self.stated is not None and self.frames >= self.stated
            wanted = _BLOCK if beyond else BLOCK_FRAMES if self.stated is None else self.stated - self.frames
            try:
                block = self._sound.read_frames(min(wanted, BLOCK_FRAMES))
            except (soundfile.SoundFileError, ffmpeg.FfmpegError) as error:
                if beyond:
                    self.warnings.append(f"what follows the {self.seconds(self.frames)} is no {self.codec}")
                    return
                reason = str(error).strip() or "corrupt data"
                self._failure = f"{self.codec} decoding failed after {self.seconds(self.frames)} ({reason})"
                return
            if not len(block):
                return
            if not np.isfinite(block).all():
                at = self.frames + int(np.argmax(~np.isfinite(block).all(axis=1)))
                raise AudioError(f"{self._file.path}: sample {at} is NaN or infinite; replace the file")
            self.frames += len(block)
            if self.frames > skip:
                yield block[max(0, skip - (self.frames - len(block))) :]

    def seconds(self, frames: int) -> str:
        """Write a number of frames in seconds."""
        return f"{frames / self.sample_rate:.2f} s"

    def _bytes_left(self) -> int:
        """Return how many bytes the decoder has not asked for."""
        return self._file.size - self._file.reached - containers.trailing_tag_bytes(self._file)

    def _goes_on(self) -> bool:
        """Whether an MP3 stream decoded up to its header's count has more than that behind it."""
        if self._mpeg is None or self._mpeg.count_at is None:
            return False
        if self.stated is None or self.frames < self.stated or self._bytes_left() < 4096:
            return False
        return mpeg.find_stream(self._file, self._file.reached) is not None

    def judge(self) -> str | None:
        """Compare what was decoded with what is stated; add to the warnings, or return what is wrong."""
        ends = f"the file ends after {self.seconds(self.frames)}, before its own header says"
        cut = ends if self.codec != "ffmpeg" or self._is_ogg() else None
        cut = cut if cut and containers.missing_bytes(self._file) else None
        problem = self._failure or self._unread()
        if self.stated is None:
            return problem or cut
        if cut and self._is_ogg():  # the last page that is there is all that states a length
            return f"{cut}, or pages are missing"
        lacking = self.stated - self.frames
        both = f"the header states {self.seconds(self.stated)}, {self.seconds(self.frames)} are there"
        is_small = 100 * lacking < self.stated and lacking < SMALL_SECONDS * self.sample_rate
        if lacking > 0 and not is_small and not self.codec.startswith("MP3"):
            return f"{problem}; {both}" if problem else both
        if (problem or cut) and not is_small:
            return problem or cut
        if problem or cut or abs(lacking) > self._slack():
            self.warnings.append(f"{both} and used" + (f" ({problem or cut})" if problem or cut else ""))
        return None

    def _is_ogg(self) -> bool:
        return self._file.at(0, 4) == b"OggS"

    def _slack(self) -> int:
        exact = self.codec.split("/")[-1] in _WIDTHS or self.codec.startswith("FLAC")
        return 0 if exact else _BLOCK

    def _unread(self) -> str | None:
        """Return what is wrong if a decoder of a compressed stream gave up well before its end."""
        left = self._bytes_left()
        if not self.codec.startswith(("MP3", "FLAC", "OGG")):
            return None
        if self.codec.startswith("MP3") and self.stated is not None and self.frames >= self.stated:
            return None
        short = self.stated is not None and self.frames < (1 - SMALL_SHARE) * self.stated
        if left <= max(0.02 * self._file.size, 4096 if short else 65536):
            return None
        at = f"at byte {self._file.size - left} of {self._file.size} ({self.seconds(self.frames)})"
        return f"the decoder lost the stream {at}"


def _why_not_audio(file: SourceFile, error: Exception) -> str:
    head = file.at(0, 8)
    kind = "text" if head.isascii() and head.decode("ascii", "replace").isprintable() else "content"
    detail = str(error).rsplit(": ", 1)[-1].rstrip(".")
    return f"not audio that libsndfile reads ({kind} beginning {head!r}; {detail})"
