"""The fallback decoder: ``ffmpeg`` as a child process that writes an AU stream of 32-bit floats."""

import json
import math
import re
import shutil
import struct
import subprocess
import tempfile
from typing import IO

import numpy as np


class FfmpegError(Exception):
    """The decoding process failed; the message is what it said."""


def is_available() -> bool:
    """Whether there is an ``ffmpeg`` on the PATH."""
    return shutil.which("ffmpeg") is not None


def _probe(path: str, *words: str) -> dict:
    """Return what ffprobe says; the ``file:`` prefix keeps a name from being an option or a URL."""
    command = ["ffprobe", "-v", "error", *words, "-of", "json", "-i", f"file:{path}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {}


def tags(path: str) -> dict[str, str]:
    """Return the tags that ffprobe finds in a file, by their names in lower case; none if it is not there."""
    if shutil.which("ffprobe") is None:
        return {}
    found = _probe(path, "-show_entries", "format_tags:stream_tags")
    parts = [*found.get("streams", []), found.get("format", {})]
    return {key.lower(): text.strip() for part in parts for key, text in part.get("tags", {}).items()}


def stated_seconds(path: str) -> float | None:
    """Return the length that the container states for its first audio stream, ``None`` if it states none."""
    if shutil.which("ffprobe") is None:
        raise FfmpegError("ffprobe, which knows the stated length, is not there; install it beside ffmpeg")
    entries = "stream=duration:stream_tags=DURATION:format=duration"
    found = _probe(path, "-select_streams", "a:0", "-show_entries", entries)
    stream: dict = next(iter(found.get("streams", [])), {})
    said = [stream.get("duration"), stream.get("tags", {}).get("DURATION")]
    said.append(found.get("format", {}).get("duration"))
    return next((seconds for text in said if text and (seconds := _seconds(text)) is not None), None)


def _seconds(text: str) -> float | None:
    """Read ``12.5`` or ``00:00:12.5``."""
    try:
        seconds = 0.0
        for word in text.split(":"):
            seconds = 60 * seconds + float(word)
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None


class Pipe:
    """A recording read through ``ffmpeg`` as by ``soundfile.SoundFile``, or FfmpegError."""

    def __init__(self, path: str) -> None:
        command = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", f"file:{path}"]
        command += ["-map", "0:a:0", "-f", "au", "-c:a", "pcm_f32be", "pipe:1"]
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._messages
        )
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        self._stream: IO[bytes] = self._process.stdout
        head = self._stream.read(24)
        if len(head) < 24 or head[:4] != b".snd":
            self._fail()
        offset, _, encoding, self.samplerate, self.channels = struct.unpack(">5I", head[4:])
        if encoding != 6 or self.channels < 1:
            self._fail()
        self._stream.read(offset - 24)

    def _fail(self) -> None:
        message = self._said()[0]
        self.close()
        raise FfmpegError(message)

    def _said(self) -> list[str]:
        """Return the lines of its messages, without names and addresses of its parts."""
        self._messages.seek(0)
        text = self._messages.read().decode("utf-8", "replace").strip()
        return [re.sub(r"^\[[^]]* @ 0x\w+\] ", "", line) for line in text.split("\n")] or ["no message"]

    def read_frames(self, frames: int) -> np.ndarray:
        """Return up to so many ``[frames, channels]`` in float64; FfmpegError if the process failed."""
        data = self._stream.read(frames * self.channels * 4)
        if not data and self._process.wait() != 0:
            raise FfmpegError(f"ffmpeg ended with status {self._process.returncode}: {self._said()[-1]}")
        whole = len(data) - len(data) % (4 * self.channels)
        return np.frombuffer(data[:whole], ">f4").reshape(-1, self.channels).astype(np.float64)

    def close(self) -> None:
        """End the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._stream.close()
        self._messages.close()
