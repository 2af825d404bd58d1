"""Opening a recording, whatever its format, as blocks of samples.

libsndfile reads wav, flac, ogg, opus, mp3, au, aiff and more, and goes by content, not by name. What it
cannot open is given to ``ffmpeg`` if that is installed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from steps.audio import containers
from steps.audio.source import SourceFile
from steps.audio.stream import AudioError, Stream


class Track:
    """One open recording: the stream in a file, or the streams that follow each other in it.

    Parameters
    ----------
    path : str or Path
        The file. Its content decides the format.
    allow_truncated : bool
        Whether a file that ends before its header says is a warning, not an error.

    Attributes
    ----------
    codec, sample_rate, channels
        Of the first stream; see :class:`steps.audio.stream.Stream`.
    header_frames : int or None
        The number of frames that the headers state, ``None`` where one leaves it open.
    frames : int
        The number of frames decoded so far.
    warnings : list of str
        What was odd about the file, filled while it is read.

    Raises
    ------
    AudioError
        If the file is absent, empty, not audio, or its sample rate lies outside 8 to 192 kHz.
    """

    def __init__(self, path: object, *, allow_truncated: bool = False) -> None:
        self.path = str(path)
        self.warnings: list[str] = []
        self.frames = 0
        self._allow_truncated = allow_truncated
        file = _open_source(self.path)
        self._spans = containers.split(file)
        if len(self._spans) > 1:
            file.close()
            file = SourceFile(self.path, *self._spans[0])
        try:
            self._stream = Stream(file)
        except BaseException:
            file.close()
            raise
        self.codec, self.sample_rate, self.channels = (
            self._stream.codec,
            self._stream.sample_rate,
            self._stream.channels,
        )
        self.header_frames = self._stream.stated

    def __enter__(self) -> Track:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file or the decoding process."""
        self._stream.close()

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the samples ``[frames, channels]`` as float64, full scale 1.0, to the end of the file.

        Raises
        ------
        AudioError
            If the decoder fails or the track ends early (unless that is allowed), if a sample is NaN or
            infinite, if there is none, or if streams that follow each other are not alike.
        """
        lengths = []
        for number, (start, end) in enumerate(self._spans):
            if number:
                self._stream.close()
                self._stream = self._next(start, end)
            yield from self._blocks_of(self._stream)
            lengths.append(self._stream.seconds(self._stream.frames))
        if len(lengths) > 1:
            shown = " + ".join(lengths[:4]) + (" + ..." if len(lengths) > 4 else "")
            self.warnings.append(f"{len(lengths)} streams follow each other in it ({shown}): all are used")
        if self.frames == 0:
            raise AudioError(f"{self.path}: no samples; replace the file or leave the track out")

    def _next(self, start: int, end: int) -> Stream:
        stream = Stream(SourceFile(self.path, start, end))
        if (stream.sample_rate, stream.channels) != (self.sample_rate, self.channels):
            kinds = (
                f"{self.sample_rate} Hz {self.channels} ch, then {stream.sample_rate} Hz {stream.channels} ch"
            )
            raise AudioError(
                f"{self.path}: at byte {start} another stream begins ({kinds}); cut the file there"
            )
        if self.header_frames is not None:
            self.header_frames = None if stream.stated is None else self.header_frames + stream.stated
        return stream

    def _blocks_of(self, stream: Stream) -> Iterator[np.ndarray]:
        for block in stream.blocks():
            self.frames += len(block)
            yield block
        problem = stream.judge()
        self.warnings += stream.warnings
        if problem is None:
            return
        text = f"{problem}: truncated or corrupt"
        if not self._allow_truncated or self.frames == 0:
            remedy = "replace it, leave the track out, or give --allow-truncated=true in conf/audio.conf"
            raise AudioError(f"{self.path}: {text}; {remedy}")
        self.warnings.append(text)


def _open_source(path: str) -> SourceFile:
    if path.rstrip().endswith("|"):
        raise AudioError(f"{path}: a command, expected the path of a file; pipes are not run here")
    try:
        file = SourceFile(path)
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}; check the path") from error
    if file.size == 0:
        file.close()
        raise AudioError(f"{path}: zero bytes long; replace the file or leave the track out")
    return file
