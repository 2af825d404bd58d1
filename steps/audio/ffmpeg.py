"""The fallback decoder: ``ffmpeg`` as a child process that writes an AU stream of 32-bit floats."""

from __future__ import annotations

import json
import math
import re
import shutil
import struct
import subprocess
import tempfile
from typing import IO

import numpy as np

from steps.audio.source import SourceFile


class FfmpegError(Exception):
    """The decoding process failed; the message is what it said."""


def is_available() -> bool:
    """Whether there is an ``ffmpeg`` on the PATH."""
    return shutil.which("ffmpeg") is not None


def address(file: SourceFile) -> str:
    """Return what ffmpeg calls these bytes: a ``file:`` prefix keeps a name from being an option or a URL."""
    if file.is_whole:
        return f"file:{file.path}"
    return f"subfile,,start,{file.start},end,{file.start + file.size},,:file:{file.path}"


def artist_tag(path: str) -> str:
    """Return the artist in a file's tags as ffprobe finds it, empty if there is none or no ffprobe."""
    if shutil.which("ffprobe") is None:
        return ""
    command = ["ffprobe", "-v", "error", "-show_entries", "format_tags=artist:stream_tags=artist"]
    command += ["-of", "default=noprint_wrappers=1:nokey=1", "-i", f"file:{path}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    lines = done.stdout.decode("utf-8", "replace").strip().split("\n")
    return lines[0].strip() if done.returncode == 0 else ""


def stated_seconds(path: str) -> float | None:
    """Return the length that the container states for its first audio stream, ``None`` if it states none.

    Raises
    ------
    FfmpegError
        If there is no ffprobe: nothing would notice that a file was cut.
    """
    if shutil.which("ffprobe") is None:
        raise FfmpegError("ffprobe, which knows the stated length, is not there; install it beside ffmpeg")
    command = ["ffprobe", "-v", "error", "-select_streams", "a:0", "-show_entries"]
    command += ["stream=duration:stream_tags=DURATION:format=duration", "-of", "json", "-i", path]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return None
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
    """A recording read through ``ffmpeg``, in the manner of ``soundfile.SoundFile``.

    Parameters
    ----------
    address : str
        The recording as :func:`address` writes it.

    Raises
    ------
    FfmpegError
        If the file holds nothing that ffmpeg decodes.
    """

    def __init__(self, address: str) -> None:
        command = ["ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", address]
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
        """Return up to ``frames`` frames ``[frames, channels]`` in float64; none at the end.

        Raises
        ------
        FfmpegError
            If the process ended with a status other than 0.
        """
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
