"""Single Kaldi objects: matrices, also compressed ones, vectors and posteriors, binary and text."""

import io
import math
import os
import warnings
from collections.abc import Callable
from typing import IO, Any, NamedTuple

import numpy as np

from steps.archive.stream import Stream

_environment = dict(os.environ)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    os.environ["KALDI_ROOT"] = (
        os.sep
    )  # without it kaldi_io warns; a search path for it comes before the user's
    import kaldi_io
os.environ.clear()
os.environ.update(_environment)

_FLOATS = {b"F": "<f4", b"D": "<f8"}
_PAIR = np.dtype([("s", "i1"), ("class", "<i4"), ("t", "i1"), ("weight", "<f4")])
_ONE_HOT = np.dtype([("n", "i1"), ("count", "<i4"), ("pair", _PAIR)])
_HEADER = np.dtype([("min", "<f4"), ("range", "<f4"), ("rows", "<i4"), ("cols", "<i4")])


class Posterior(NamedTuple):
    """Kaldi's posterior in arrays: frame t holds entries ``offsets[t]`` to ``offsets[t + 1]``."""

    offsets: np.ndarray
    classes: np.ndarray
    weights: np.ndarray

    def as_lists(self) -> list[list[tuple[int, float]]]:
        """Return a list of (class, weight) pairs for each frame, the form that is written."""
        pairs = list(zip(self.classes.tolist(), self.weights.tolist(), strict=True))
        return [pairs[a:b] for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True)]


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


def _matrix(stream: Stream) -> np.ndarray:
    token = bytes(stream.take(3))
    if token.startswith(b"CM"):
        return _read_compressed(stream, token if token == b"CM " else token + stream.take(1))
    if token not in (b"FM ", b"DM "):
        raise ValueError(f"expected a matrix (FM, DM or CM), got {token!r}")
    rows, cols = stream.size(), stream.size()
    return stream.array(_FLOATS[token[:1]], rows * cols).reshape(rows, cols)


def _vector(stream: Stream) -> np.ndarray:
    token = bytes(stream.take(3))
    if token not in (b"FV ", b"DV "):
        raise ValueError(f"expected a vector (FV or DV), got {token!r}")
    return stream.array(_FLOATS[token[:1]], stream.size()).astype(np.float32, copy=False)


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


def _percentiles(low: np.float32, scale: np.float32, knots: np.ndarray) -> np.ndarray:
    """Return the percentiles 0, 25, 75 and 100 of the columns [shape=(4, 1, cols)]."""
    return (low + scale * np.float32(1 / 65535) * knots.astype(np.float32)).T[:, np.newaxis]


def _read_compressed(stream: Stream, token: bytes) -> np.ndarray:
    """Read what follows ``CM `` (a byte an element, four percentiles a column), ``CM2 `` or ``CM3 ``."""
    low, scale, rows, cols = stream.array(_HEADER, 1)[0]
    rows, cols = int(rows), int(cols)
    if rows < 0 or cols < 0 or not (np.isfinite(low) and np.isfinite(scale)):
        raise ValueError(f"no compressed matrix: {rows} x {cols} values from {low} on in a range of {scale}")
    if token != b"CM ":
        steps = np.iinfo(np.uint16 if token == b"CM2 " else np.uint8)
        data = stream.array(steps.dtype.newbyteorder("<"), rows * cols).reshape(rows, cols)
        return (float(low) + float(scale) * data.astype(np.float64) / steps.max).astype(np.float32)
    p0, p25, p75, p100 = _percentiles(low, scale, stream.array("<u2", 4 * cols).reshape(cols, 4))
    codes = stream.array(np.uint8, rows * cols).reshape(cols, rows).T.astype(np.float32)
    lower = p0 + (p25 - p0) * codes * np.float32(1 / 64)
    middle = p25 + (p75 - p25) * (codes - 64) * np.float32(1 / 128)
    upper = p75 + (p100 - p75) * (codes - 192) * np.float32(1 / 63)
    return np.where(codes <= 64, lower, np.where(codes <= 192, middle, upper)).astype(np.float32)


def as_compressed(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix as it is read again once it was written compressed."""
    token, blank, body = _compressed(matrix).partition(b" ")
    return _read_compressed(Stream(io.BytesIO(body), "a matrix"), token + blank)


def _to_uint16(values: np.ndarray, low: np.float32, scale: np.float32) -> np.ndarray:
    fraction = np.clip((values - low) / scale, 0, 1)
    return (fraction * np.float32(65535) + np.float64(0.499)).astype(np.int64)


def _compressed(matrix: np.ndarray) -> bytes:
    """Encode finite float32 as Kaldi's default does, with the token: ``CM`` above 8 rows, else ``CM2``."""
    matrix = np.ascontiguousarray(matrix, dtype=np.float32)
    rows, cols = matrix.shape
    low, high = (np.float32(matrix.min()), np.float32(matrix.max())) if matrix.size else (np.float32(0),) * 2
    if high == low:
        high = np.float32(low + (1 + abs(low)))
    scale = np.float32(high - low)
    header = np.array([(low, scale, rows, cols)], _HEADER).tobytes()
    if rows <= 8:
        return b"CM2 " + header + _to_uint16(matrix, low, scale).astype("<u2").tobytes()
    quarter = rows // 4
    knots = _to_uint16(np.sort(matrix, axis=0)[[0, quarter, 3 * quarter, -1]], low, scale)
    for i in range(4):  # each above the one before
        floor = knots[i - 1] + 1 if i else 0
        knots[i] = np.clip(knots[i], floor, 65532 + i)
    stored = knots.T.astype("<u2")
    p0, p25, p75, p100 = _percentiles(low, scale, stored)
    half = np.float64(0.5)  # Kaldi adds a double
    lower = np.clip(np.trunc((matrix - p0) / (p25 - p0) * 64 + half), 0, 64)
    middle = 64 + np.clip(np.trunc((matrix - p25) / (p75 - p25) * 128 + half), 0, 128)
    upper = 192 + np.clip(np.trunc((matrix - p75) / (p100 - p75) * 63 + half), 0, 63)
    codes = np.where(matrix < p25, lower, np.where(matrix < p75, middle, upper)).astype(np.uint8)
    return b"CM " + header + stored.tobytes() + np.ascontiguousarray(codes.T).tobytes()


def _numbers(words: list[str]) -> np.ndarray:
    try:
        if odd := [word for word in words if "_" in word]:  # Python takes 1_000 for a number
            raise ValueError(odd[0])
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
    "matrix": (lambda stream: _matrix(stream).astype(np.float32, copy=False), _text_matrix),
    "any_matrix": (_matrix, _text_matrix),
    # float32 [shape=(n,)]
    "vector": (_vector, lambda stream: np.concatenate([np.zeros(0, np.float32), *_text_rows(stream)])),
    "posterior": (_posterior, _text_posterior),
}
"""How the binary and the text form of an object are read."""


def write_object(file: IO[bytes], kind: str, value: Any, *, text: bool, compress: bool = False) -> None:
    """Write one object without its key, a posterior as lists; ``compress`` writes ``CM`` or ``CM2``."""
    if text:
        file.write(_as_text(kind, value).encode())
    elif kind == "posterior":
        frames = ([(4, index, 4, weight) for index, weight in pairs] for pairs in value)
        bodies = (_size(frame) + np.array(frame, _PAIR).tobytes() for frame in frames)
        file.write(b"\0B" + _size(value) + b"".join(bodies))
    elif kind == "vector":
        kaldi_io.write_vec_flt(file, np.ascontiguousarray(value, dtype=np.float32))
    elif compress:
        file.write(b"\0B" + _compressed(value))
    else:
        kaldi_io.write_mat(file, np.ascontiguousarray(value, None if kind == "any_matrix" else np.float32))


def _size(values: Any) -> bytes:
    return b"\4" + len(values).to_bytes(4, "little")


def _as_text(kind: str, value: Any) -> str:
    def joined(numbers: Any) -> str:
        return "".join(f"{number:.7g} " for number in numbers)

    if kind == "posterior":
        return "".join("[ " + "".join(f"{c} {w:.7g} " for c, w in pairs) + "] " for pairs in value) + "\n"
    if kind == "vector":
        return f" [ {joined(value)}]\n"
    return " [\n" + "\n".join(f"  {joined(row)}" for row in np.asarray(value)) + "]\n"
