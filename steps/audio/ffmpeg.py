"""The fallback decoder: ``ffmpeg`` as a child process that writes an AU stream of 32-bit floats."""

from __future__ import annotations

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


def artist_tag(path: str) -> str:
    """Return the artist in a file's tags as ffprobe finds it, empty if there is none or no ffprobe."""
    if shutil.which("ffprobe") is None:
        return ""
    command = ["ffprobe", "-v", "error", "-show_entries", "format_tags=artist:stream_tags=artist"]
    command += ["-of", "default=noprint_wrappers=1:nokey=1", "-i", f"file:{path}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else ""


class Pipe:
    """A recording read through ``ffmpeg``, in the manner of ``soundfile.SoundFile``.

    Parameters
    ----------
    path : str
        The recording, given to ffmpeg as it is (the option ``-i`` and a ``file:`` prefix keep a name that
        begins with a dash or looks like an address from being taken for anything else).

    Raises
    ------
    FfmpegError
        If the file holds nothing that ffmpeg decodes.
    """

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
        return [re.sub(r"^\[[^]]* @ 0x\w+\] ", "", line) for line in text.splitlines()] or ["no message"]

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
