"""Single Kaldi objects: matrices, vectors, integer vectors and posteriors, binary and text."""

import os
import warnings
from collections.abc import Callable
from typing import IO, Any, NamedTuple

import numpy as np

from steps.archive.compressed import encode_compressed, read_compressed
from steps.archive.stream import Stream

_environment = dict(os.environ)
try:  # kaldi_io warns without KALDI_ROOT, runs a shell for a search path and puts that before the user's
    os.environ["KALDI_ROOT"] = os.sep
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import kaldi_io
finally:
    os.environ.clear()
    os.environ.update(_environment)

_FLOATS = {b"F": "<f4", b"D": "<f8"}
_INT = np.dtype([("s", "i1"), ("value", "<i4")])
_PAIR = np.dtype([("s", "i1"), ("class", "<i4"), ("t", "i1"), ("weight", "<f4")])
_ONE_HOT = np.dtype([("n", "i1"), ("count", "<i4"), ("pair", _PAIR)])


class Posterior(NamedTuple):
    """Kaldi's posterior in arrays: frame t holds entries ``offsets[t]`` to ``offsets[t + 1]``."""

    offsets: np.ndarray
    classes: np.ndarray
    weights: np.ndarray

    def as_lists(self) -> list[list[tuple[int, float]]]:
        """Return a list of (class, weight) pairs for each frame."""
        pairs = list(zip(self.classes.tolist(), self.weights.tolist(), strict=True))
        return [pairs[a:b] for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True)]


def read_object(stream: Stream, kind: str) -> Any:
    """Read one object of a kind of :data:`KINDS`; ArchiveError with file and byte if it is none."""
    binary = stream.peek(2) == b"\0B"
    if binary:
        stream.read(2)
    start = stream.offset
    try:
        return KINDS[kind][0 if binary else 1](stream)
    except (ValueError, OverflowError) as error:
        raise stream.fail(str(error), start) from error


def _matrix(stream: Stream) -> np.ndarray:
    token = stream.read(3)
    if token.startswith(b"CM"):
        return read_compressed(stream, token if token == b"CM " else token + stream.read(1))
    if token not in (b"FM ", b"DM "):
        raise ValueError(f"expected a matrix (FM, DM or CM), got {token!r}")
    rows, cols = stream.sizes(2)
    return stream.array(_FLOATS[token[:1]], rows * cols).reshape(rows, cols)


def _vector(stream: Stream) -> np.ndarray:
    token = stream.read(3)
    if token not in (b"FV ", b"DV "):
        raise ValueError(f"expected a vector (FV or DV), got {token!r}")
    return stream.array(_FLOATS[token[:1]], *stream.sizes(1)).astype(np.float32, copy=False)


def _int_vector(stream: Stream) -> np.ndarray:
    values = stream.array(_INT, *stream.sizes(1))
    if np.any(values["s"] != 4):
        raise ValueError("expected int32 elements (a byte 4 before each)")
    return np.ascontiguousarray(values["value"])


def _posterior(stream: Stream) -> Posterior:
    (num_frames,) = stream.sizes(1)
    stream.need(5 * num_frames)
    data = stream.peek(_ONE_HOT.itemsize * num_frames)
    frames = np.frombuffer(data, _ONE_HOT, len(data) // _ONE_HOT.itemsize)
    if len(frames) == num_frames and np.all(frames["count"] == 1) and np.all(frames["n"] == 4):
        stream.read(_ONE_HOT.itemsize * num_frames)  # the usual case at one go: a pair in every frame
        pairs, offsets = frames["pair"], np.arange(num_frames + 1)
    else:
        pieces = [stream.array(_PAIR, *stream.sizes(1)) for _ in range(num_frames)]
        pairs = np.concatenate([np.zeros(0, _PAIR), *pieces])
        offsets = np.cumsum([0, *map(len, pieces)])
    if np.any(pairs["s"] != 4) or np.any(pairs["t"] != 4):
        raise ValueError("expected int32 and float32 pairs (a byte 4 before each)")
    return Posterior(offsets, pairs["class"].copy(), pairs["weight"].copy())


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
    # int32 [shape=(n,)]
    "int_vector": (_int_vector, lambda stream: np.array(stream.words(), dtype=np.int32)),
    "posterior": (_posterior, _text_posterior),
}
"""How the binary and the text form of an object are read."""


def write_object(file: IO[bytes], kind: str, value: Any, *, text: bool, compress: bool = False) -> None:
    """Write one object without its key, a posterior as lists; ``compress`` writes ``CM`` or ``CM2``."""
    if text:
        file.write(_as_text(kind, value).encode())
    elif kind == "matrix" and compress:
        file.write(b"\0B" + encode_compressed(value))
    elif kind == "any_matrix":
        kaldi_io.write_mat(file, np.ascontiguousarray(value))
    elif kind == "matrix":
        kaldi_io.write_mat(file, np.ascontiguousarray(value, dtype=np.float32))
    elif kind == "vector":
        kaldi_io.write_vec_flt(file, np.ascontiguousarray(value, dtype=np.float32))
    elif kind == "int_vector":
        body = np.empty(len(value), _INT)
        body["s"], body["value"] = 4, value
        file.write(b"\0B" + _size(value) + body.tobytes())
    else:
        frames = ([(4, index, 4, weight) for index, weight in pairs] for pairs in value)
        bodies = (_size(frame) + np.array(frame, _PAIR).tobytes() for frame in frames)
        file.write(b"\0B" + _size(value) + b"".join(bodies))


def _size(values: Any) -> bytes:
    return b"\4" + len(values).to_bytes(4, "little")


def _as_text(kind: str, value: Any) -> str:
    def joined(numbers: Any) -> str:
        return "".join(f"{number:.7g} " for number in numbers)

    if "matrix" in kind:
        return " [\n" + "\n".join(f"  {joined(row)}" for row in np.asarray(value)) + "]\n"
    if kind == "vector":
        return f" [ {joined(value)}]\n"
    if kind == "int_vector":
        return "".join(f"{int(x)} " for x in value) + "\n"
    return "".join("[ " + "".join(f"{c} {w:.7g} " for c, w in pairs) + "] " for pairs in value) + "\n"
