"""Kaldi objects read from a stream of bytes: matrices, also compressed ones, vectors and posteriors."""

import math
import os
import stat
import struct
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from utils.cli import UserError

_environment = dict(os.environ)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    os.environ["KALDI_ROOT"] = os.sep  # without it kaldi_io warns; what it adds to PATH is taken back
    import kaldi_io
os.environ.clear()
os.environ.update(_environment)

_PAIR = np.dtype([("s", "i1"), ("class", "<i4"), ("t", "i1"), ("weight", "<f4")])
_ONE_HOT = np.dtype([("n", "i1"), ("count", "<i4"), ("pair", _PAIR)])
_HEADER = np.dtype([("min", "<f4"), ("range", "<f4"), ("rows", "<i4"), ("cols", "<i4")])
_SIZE = struct.Struct("<bi")
_PIECE = 1 << 20


class ArchiveError(UserError):
    """An archive or table cannot be read: the message gives its path and the byte offset or line."""


class Stream:
    """A binary file read in sequence: failures name path and byte, and no memory is taken in vain."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name, self.offset = name, 0
        self._file: Any = file
        self._size = math.inf  # known of a plain file
        with suppress(OSError, AttributeError, ValueError):
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                self._size, self.offset = status.st_size, file.tell()

    @property
    def left(self) -> float:
        """How many bytes follow; infinite where that is not known."""
        return self._size - self.offset

    def fail(self, message: str, offset: int | None = None) -> ArchiveError:
        """Return an error that names this stream and the byte offset."""
        return ArchiveError(f"{self.name}: byte {self.offset if offset is None else offset}: {message}")

    def seek(self, offset: int) -> None:
        """Go to a byte offset."""
        if not 0 <= offset < self._size:
            raise self.fail(f"offset {offset} lies outside the file of {self._size} bytes", offset)
        self._file.seek(offset)
        self.offset = offset

    def peek(self) -> bytes:
        """Return the next byte without taking it; nothing at the end."""
        return self._file.peek(1)[:1]

    def take(self, count: int) -> bytearray:
        """Take exactly ``count`` bytes, or raise that the archive is truncated."""
        if count > self.left:
            raise self.fail(f"truncated or wrong header: it announces {count} bytes, {self.left} are left")
        data = bytearray()
        while len(data) < count and (piece := self._file.read(min(count - len(data), _PIECE))):
            data += piece
        if len(data) < count:
            raise self.fail(f"truncated: expected {count} bytes, got {len(data)}")
        self.offset += count
        return data

    def array(self, dtype: DTypeLike, count: int) -> np.ndarray:
        """Take a new array [shape=(count,)]."""
        return np.frombuffer(self.take(count * np.dtype(dtype).itemsize), dtype)

    def size(self) -> int:
        """Take a dimension of an object, an int32 behind a byte 4."""
        data = self.take(_SIZE.size)
        four, value = _SIZE.unpack(data)
        if four != 4 or value < 0:
            start = self.offset - _SIZE.size
            raise self.fail(f"expected dimensions (an int32 behind a byte 4), got {bytes(data)!r}", start)
        return value

    def words(self) -> list[str]:
        """Take the rest of the line."""
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise self.fail("truncated: the last line has no end")
        self.offset += len(line)
        return line.decode("utf-8", errors="replace").split()

    def key(self) -> str | None:
        """Take an utterance id and the blank or tab behind it; ``None`` at the end of the archive."""
        while self.peek().isspace():
            self.take(1)
        start, word = self.offset, bytearray()
        while (byte := self.peek()) and byte not in b" \t":
            word += self.take(1)
            if byte in b"\n\0" or len(word) > 4096:
                raise self.fail("expected an utterance id and a blank; is this an archive?", start)
        if not word:
            return None
        self.take(1)
        try:
            return word.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.fail("the utterance id is not UTF-8; is this an archive?", start) from error


class Posterior(NamedTuple):
    """Kaldi's posterior in arrays: frame t holds entries ``offsets[t]`` to ``offsets[t + 1]``."""

    offsets: np.ndarray
    classes: np.ndarray
    weights: np.ndarray


def read_object(stream: Stream, kind: str) -> Any:
    """Read one object of a kind of :data:`KINDS`; ArchiveError with file and byte if it is none."""
    start, binary = stream.offset, stream.peek() == b"\0"
    try:
        if binary and (mark := stream.take(2)) != b"\0B":
            raise ValueError(f"expected a binary object or text, got {bytes(mark)!r}")
        start = stream.offset
        return KINDS[kind][0 if binary else 1](stream)
    except (ValueError, OverflowError) as error:
        raise stream.fail(str(error), start) from error


def _array(stream: Stream, kind: str) -> np.ndarray:
    """Read a matrix (of kind ``M``) or a vector (``V``)."""
    mark = stream.take(3).decode(errors="replace")
    if kind == "M" and mark.startswith("CM"):
        return _read_compressed(stream, mark if mark == "CM " else mark + chr(stream.take(1)[0]))
    if mark not in (f"F{kind} ", f"D{kind} "):
        raise ValueError(f"expected {'a matrix' if kind == 'M' else 'a vector'} of floats, got {mark!r}")
    shape = [stream.size() for _ in range(2 if kind == "M" else 1)]
    return stream.array("<f4" if mark[0] == "F" else "<f8", math.prod(shape)).reshape(shape)


def _posterior(stream: Stream) -> Posterior:
    num_frames, start = stream.size(), stream.offset
    if num_frames * _ONE_HOT.itemsize <= stream.left < math.inf:
        frames = stream.array(_ONE_HOT, num_frames)
        if np.all(frames["count"] == 1) and np.all(frames["n"] == 4):  # the usual case: a pair in every frame
            return _checked(np.arange(num_frames + 1), frames["pair"])
        stream.seek(start)
    counts, data = [0], bytearray()
    for _ in range(num_frames):
        counts.append(stream.size())
        data += stream.take(_PAIR.itemsize * counts[-1])
    return _checked(np.cumsum(counts), np.frombuffer(data, _PAIR))


def _checked(offsets: np.ndarray, pairs: np.ndarray) -> Posterior:
    if np.any(pairs["s"] != 4) or np.any(pairs["t"] != 4):
        raise ValueError("expected int32 and float32 pairs (a byte 4 before each)")
    return Posterior(offsets, pairs["class"].copy(), pairs["weight"].copy())


def _read_compressed(stream: Stream, mark: str) -> np.ndarray:
    """Read what follows ``CM `` (a byte an element, four percentiles a column), ``CM2 `` or ``CM3 ``."""
    low, scale, rows, cols = stream.array(_HEADER, 1)[0]
    rows, cols = int(rows), int(cols)
    if rows < 0 or cols < 0 or not (np.isfinite(low) and np.isfinite(scale)):
        raise ValueError(f"no compressed matrix: {rows} x {cols} values from {low} on in a range of {scale}")
    if mark != "CM ":
        steps = np.iinfo(np.uint16 if mark == "CM2 " else np.uint8)
        data = stream.array(steps.dtype.newbyteorder("<"), rows * cols).reshape(rows, cols)
        return (float(low) + float(scale) * data.astype(np.float64) / steps.max).astype(np.float32)
    knots = stream.array("<u2", 4 * cols).reshape(cols, 4).astype(np.float32)
    p0, p25, p75, p100 = (low + scale * np.float32(1 / 65535) * knots).T[:, np.newaxis]  # percentiles
    codes = stream.array(np.uint8, rows * cols).reshape(cols, rows).T.astype(np.float32)
    lower = p0 + (p25 - p0) * codes * np.float32(1 / 64)
    middle = p25 + (p75 - p25) * (codes - 64) * np.float32(1 / 128)
    upper = p75 + (p100 - p75) * (codes - 192) * np.float32(1 / 63)
    return np.where(codes <= 64, lower, np.where(codes <= 192, middle, upper)).astype(np.float32)


def _numbers(words: list[str]) -> np.ndarray:
    try:
        return np.array(words, dtype=np.float64).astype(np.float32)
    except ValueError as error:
        raise ValueError(f"expected numbers: {error}") from error


def _text_rows(stream: Stream) -> list[np.ndarray]:
    """Read ``[ … ]``, row by row, without the rows that are empty."""
    words = stream.words()
    if words[:1] != ["["]:
        raise ValueError(f"expected '[' or a binary object, got '{' '.join(words)[:40]}'")
    rows = [words[1:]]
    while rows[-1][-1:] != ["]"]:
        rows.append(stream.words())
    rows[-1].pop()
    return [_numbers(row) for row in rows if row]


def _text_matrix(stream: Stream) -> np.ndarray:
    rows = _text_rows(stream)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise ValueError(f"row {number} has {len(row)} columns, the first has {len(rows[0])}")
    return np.stack(rows) if rows else np.zeros((0, 0), np.float32)


def _text_posterior(stream: Stream) -> Posterior:
    *frames, rest = (frame.split() for frame in " ".join(stream.words()).split("]"))
    if rest or any(frame[:1] != ["["] or len(frame) % 2 == 0 for frame in frames):
        raise ValueError("expected '[', pairs of a class and a weight, ']' for each frame")
    words = [word for frame in frames for word in frame[1:]]
    offsets = np.cumsum([0, *(len(frame) // 2 for frame in frames)])
    return Posterior(offsets, np.array(words[::2], np.int32), _numbers(words[1::2]))


KINDS: dict[str, tuple[Callable[[Stream], Any], Callable[[Stream], Any]]] = {
    # float32 [shape=(rows, cols)]; any_matrix is float64 if it is stored so
    "matrix": (lambda stream: _array(stream, "M").astype(np.float32, copy=False), _text_matrix),
    "any_matrix": (lambda stream: _array(stream, "M"), _text_matrix),
    # float32 [shape=(n,)]
    "vector": (
        lambda stream: _array(stream, "V").astype(np.float32, copy=False),
        lambda stream: np.concatenate([np.zeros(0, np.float32), *_text_rows(stream)]),
    ),
    "posterior": (_posterior, _text_posterior),
}
"""How the binary and the text form of an object are read."""


def write_object(file: IO[bytes], kind: str, value: Any, *, text: bool) -> None:
    """Write one object without its key, a posterior as lists."""
    if text:
        file.write(_as_text(kind, value).encode())
    elif kind == "posterior":
        frames = ([(4, index, 4, weight) for index, weight in pairs] for pairs in value)
        bodies = (_SIZE.pack(4, len(frame)) + np.array(frame, _PAIR).tobytes() for frame in frames)
        file.write(b"\0B" + _SIZE.pack(4, len(value)) + b"".join(bodies))
    else:
        array = np.ascontiguousarray(value, None if kind == "any_matrix" else np.float32)
        (kaldi_io.write_vec_flt if kind == "vector" else kaldi_io.write_mat)(file, array)


def _as_text(kind: str, value: Any) -> str:
    def joined(numbers: Any) -> str:
        return "".join(f"{number:.7g} " for number in numbers)

    if kind == "posterior":
        return "".join("[ " + "".join(f"{c} {w:.7g} " for c, w in pairs) + "] " for pairs in value) + "\n"
    if kind == "vector":
        return f" [ {joined(value)}]\n"
    return " [\n" + "\n".join(f"  {joined(row)}" for row in np.asarray(value)) + "]\n"
