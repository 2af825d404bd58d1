"""One open recording, decoded by libsndfile or ffmpeg, and the judgement of its length.

libsndfile reads wav, flac, ogg, opus, mp3, au, aiff and more, and goes by content, not by name. What it
cannot open is given to ``ffmpeg`` if that is installed. Nothing is lost without a word: what was decoded is
compared with what the header states, and with the bytes that are there, in one place for every format.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from steps.audio import containers, tags
from steps.audio.containers import SourceFile
from utils.cli import UserError

#: Frames decoded at a time: 64 Ki frames of 6 channels in float64 are 3 MiB.
BLOCK_FRAMES = 65536
MIN_RATE, MAX_RATE = 8000, 192000
#: A deficit below both is a warning: some published files promise a little more than they hold.
SMALL_SECONDS, SMALL_SHARE = 0.5, 0.01
#: Held back without a word: frames of a lossy codec, its largest block; bytes behind the last frame.
_BLOCK = 4096
_LOSSLESS = ("FLAC", "PCM", "FLOAT", "DOUBLE", "ULAW", "ALAW")
_UNKNOWN_FRAMES = 1 << 60
_ERRORS = (soundfile.SoundFileError, RuntimeError, TypeError)


class AudioError(UserError):
    """A recording that cannot be used; the message begins with its path."""


class _Sound(soundfile.SoundFile):
    """A ``SoundFile`` read strictly forward: the header's frame count is no limit, and nothing seeks."""

    def seekable(self) -> bool:
        return False


class Track:
    """A recording to be read once, from its beginning to its end; AudioError if it cannot be used.

    ``header_frames`` is the number of frames that the container states, None where it leaves that open,
    ``frames`` that of those decoded so far; ``warnings`` are complete when all blocks have been read.
    """

    def __init__(self, path: object, *, allow_truncated: bool = False) -> None:
        self.path = str(path)
        self.frames = 0
        self.header_frames: int | None = None
        self.warnings: list[str] = []
        self._allow_truncated = allow_truncated
        self._failure = ""
        self._file = _open_source(self.path)
        try:
            self._sound = self._open()
            self.sample_rate, self.channels = int(self._sound.samplerate), int(self._sound.channels)
            if not MIN_RATE <= self.sample_rate <= MAX_RATE:
                raise AudioError(
                    f"{self.path}: sample rate {self.sample_rate} Hz, expected {MIN_RATE} to {MAX_RATE} Hz; "
                    "repair its header or leave the track out"
                )
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "Track":
        return self

    def __exit__(self, *_: object) -> None:
        self._sound.close()
        self._file.close()

    def _open(self) -> _Sound:
        try:
            sound = _Sound(self._file.fileno(), closefd=False)  # faster than through Python
            is_guess = sound.format == "MP3" and not self._counts_frames(sound.frames)
        except _ERRORS as error:
            return self._open_with_ffmpeg(error)
        self.codec = f"{sound.format}/{sound.subtype}"
        self.header_frames = sound.frames if sound.frames < _UNKNOWN_FRAMES else None
        if data := containers.find_data(self._file):
            self._compare(data, sound.frames)
        elif is_guess:
            self.header_frames = None
            self._file.seek(0)
            self._file.end *= 64  # what a guess cannot fall short of
            return _Sound(self._file)
        return sound

    def _counts_frames(self, frames: int) -> bool:
        """Whether an MP3 file says how many frames it has; else libsndfile guesses by its length."""
        with SourceFile(self.path) as file:
            file.end -= file.size // 200
            return _Sound(file).frames == frames

    def _compare(self, data: containers.Data, frames: int) -> None:
        """Compare the bytes of samples that a header counts with those that are there."""
        if data.stated is None:
            self.header_frames = None
        elif data.stated > data.there > 0:
            self.header_frames = frames * data.stated // data.there
        elif data.stated < data.there:
            text = f"the header counts {data.stated} bytes of samples, {data.there} are there"
            if data.there > (1 + SMALL_SHARE) * data.stated:
                raise AudioError(f"{self.path}: {text}; repair its header or replace the file")
            self.warnings.append(f"{text}: the rest is left out")

    def _open_with_ffmpeg(self, error: Exception) -> _Sound:
        """Let ffmpeg write an AU file of 32-bit floats, which has no name; what it complains of is judged."""
        if data := containers.find_data(self._file):
            self._compare(data, 0)
        head = self._file.at(0, 8)
        kind = "text" if head.isascii() and head.decode("ascii", "replace").isprintable() else "content"
        detail = str(error).rsplit(": ", 1)[-1].rstrip(".")
        why = f"not audio that libsndfile reads ({kind} beginning {head!r}; {detail})"
        if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
            remedy = "install ffmpeg if another decoder knows it, else replace the file"
            raise AudioError(f"{self.path}: {why}; {remedy}") from error
        command = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", f"file:{self.path}"]
        command += ["-map", "0:a:0", "-f", "au", "-c:a", "pcm_f32be", "pipe:1"]
        decoded = tempfile.TemporaryFile()  # noqa: SIM115 - read as long as the track
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=decoded, stderr=subprocess.PIPE, check=False
        )
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")
        said = [re.sub(r"^\[[^]]* @ 0x\w+\] ", "", line) for line in said]  # names of its parts
        if done.returncode:
            self._failure = f"ffmpeg ended with status {done.returncode}: {said[-1]}"
        decoded.seek(0)
        try:
            sound = _Sound(decoded)
        except _ERRORS as also:
            raise AudioError(f"{self.path}: {why}, nor ffmpeg ({said[0]}); replace the file") from also
        self.codec, seconds = "ffmpeg", tags.stated_seconds(self.path)
        self.header_frames = None if seconds is None else round(seconds * sound.samplerate)
        return sound

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the samples ``[frames, channels]`` as float64, full scale 1.0, or raise AudioError."""
        yield from self._decoded()
        if self.codec.startswith("MP3") and self.header_frames and not self._failure and self._unread():
            done, self.frames = self.frames, 0  # there is more than it counts
            self._sound.close()
            self._file.ones_at = containers.find_xing(self._file)[0]
            self._file.seek(0)
            self._sound = _Sound(self._file)
            yield from self._decoded(done)
        if problem := self._judge():
            text = f"{problem}: truncated or corrupt"
            if not self._allow_truncated or self.frames == 0:
                remedy = "replace it, leave the track out"
                if not self._allow_truncated:
                    remedy += ", or give --allow-truncated=true (in conf/audio.conf)"
                raise AudioError(f"{self.path}: {text}; {remedy}")
            self.warnings.append(text)
        if self.frames == 0:
            raise AudioError(f"{self.path}: no samples; replace the file or leave the track out")

    def _decoded(self, skip: int = 0) -> Iterator[np.ndarray]:
        """Yield the blocks of the open decoder without the first ``skip`` frames."""
        while len(block := self._read()):
            if not np.isfinite(block).all():
                at = self.frames + int(np.argmax(~np.isfinite(block).all(axis=1)))
                raise AudioError(f"{self.path}: sample {at} is NaN or infinite; replace the file")
            self.frames += len(block)
            if self.frames > skip:
                yield block[max(0, skip - (self.frames - len(block))) :]

    def _read(self) -> np.ndarray:
        """Return some frames, none at the end; an error loses no more than a block of what is not counted."""
        left = (self.header_frames or 0) - self.frames
        wanted = min(left, BLOCK_FRAMES) if left > 0 else _BLOCK
        try:
            return self._sound.read(wanted, dtype="float64", always_2d=True)
        except soundfile.SoundFileError as error:
            reason = str(error).strip() or "corrupt data"
            self._failure = f"{self.codec} decoding failed after {self._seconds(self.frames)} ({reason})"
            return np.empty((0, self.channels))

    def _seconds(self, frames: int) -> str:
        return f"{frames / self.sample_rate:.2f} s"

    def _judge(self) -> str:
        """Compare what was decoded with what is stated; add to the warnings, or return what is wrong."""
        problem, stated = containers.ogg_fault(self._file) or self._unread(), self.header_frames
        is_mp3 = self.codec.startswith("MP3")
        if is_mp3 and stated and self.frames >= stated:
            self._failure, problem = problem or self._failure, ""  # in what follows the music
        if problem or (stated is None and not is_mp3):
            return problem or self._failure
        if stated is None:
            self.warnings += [self._failure] if self._failure else []  # in its last frame
            return ""
        lacking = stated - self.frames
        both = f"the header states {self._seconds(stated)}, {self._seconds(self.frames)} are there"
        is_small = lacking <= 0 or lacking < min(SMALL_SHARE * stated, SMALL_SECONDS * self.sample_rate)
        is_lie = is_mp3 and not self._failure and containers.find_xing(self._file)[1]
        if not is_small and not is_lie:
            return f"{self._failure}; {both}" if self._failure else both
        exact = any(word in self.codec for word in _LOSSLESS)
        if self._failure or abs(lacking) > (0 if exact else _BLOCK):
            self.warnings.append(f"{both} and used" + (f" ({self._failure})" if self._failure else ""))
        return ""

    def _unread(self) -> str:
        """Return what is wrong if a decoder of a compressed stream ended well before the file."""
        at, end = self._file.tell(), self._file.size - containers.trailing_tag_bytes(self._file)
        is_stream = self.codec.startswith(("MP3", "FLAC"))
        if not is_stream or end - at < _BLOCK or self._file.is_zero(at, end):
            return ""
        return f"the decoder ended after {self._seconds(self.frames)}, at byte {at} of {self._file.size}"


def _open_source(path: str) -> SourceFile:
    if path.rstrip().endswith("|"):
        raise AudioError(f"{path}: a command, expected the path of a file; pipes are not run here")
    if Path(path).is_fifo():
        raise AudioError(f"{path}: a pipe, expected a file")
    try:
        file = SourceFile(path)
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}; check the path") from error
    if file.size == 0:
        file.close()
        raise AudioError(f"{path}: zero bytes long; replace the file or leave the track out")
    return file
