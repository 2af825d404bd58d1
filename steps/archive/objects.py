"""Single Kaldi objects: matrices, vectors, integer vectors and posteriors, binary and text.

``kaldi_io`` does the decoding of float matrices and vectors, once the header has been checked
against the size of the file.
"""

from __future__ import annotations

from typing import IO, Any, NamedTuple

import numpy as np

from steps.archive.compressed import encode_compressed, read_compressed
from steps.archive.kaldi import kaldi_io
from steps.archive.stream import Stream

_FLOAT_SIZE = {b"F": 4, b"D": 8}
_PAIR = np.dtype([("s", "i1"), ("class", "<i4"), ("t", "i1"), ("weight", "<f4")])


class Posterior(NamedTuple):
    """Kaldi's posterior in arrays: frame t holds entries ``offsets[t]`` to ``offsets[t + 1]``."""

    offsets: np.ndarray
    classes: np.ndarray
    weights: np.ndarray

    def as_lists(self) -> list[list[tuple[int, float]]]:
        """Return a list of (class, weight) pairs for each frame."""
        pairs = list(zip(self.classes.tolist(), self.weights.tolist(), strict=True))
        return [pairs[a:b] for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True)]


def _read_dims(stream: Stream, count: int) -> list[int]:
    start = stream.offset
    header = stream.peek(5 * count)
    if len(header) < 5 * count:
        raise stream.fail("truncated inside a header", start)
    if any(header[5 * i] != 4 for i in range(count)):
        raise stream.fail("expected an int32 dimension (a byte 4 before it)", start)
    dims = [int.from_bytes(header[5 * i + 1 : 5 * i + 5], "little", signed=True) for i in range(count)]
    if min(dims) < 0:
        raise stream.fail(f"negative dimension in {' x '.join(map(str, dims))}", start)
    return dims


def read_matrix(stream: Stream, *, keep_double: bool = False) -> np.ndarray:
    """Read one matrix, binary (``FM``, ``DM``, ``CM``, ``CM2``, ``CM3``) or text.

    It is float32 and writable [shape=(rows, cols)]; float64 if it was stored so and ``keep_double``.
    """
    start = stream.offset
    if stream.peek(2) != b"\0B":
        _expect_bracket(stream, "a matrix")
        rows = _read_text_rows(stream)
        return np.array(rows, dtype=np.float32).reshape(len(rows), len(rows[0]) if rows else 0)
    token = stream.peek(6)[2:]
    for compressed in (b"CM ", b"CM2 ", b"CM3 "):
        if token.startswith(compressed):
            stream.read(2 + len(compressed))
            return read_compressed(stream, compressed)
    if token[:3] not in (b"FM ", b"DM "):
        raise stream.fail(f"expected a matrix (FM, DM or CM), got {token[:3]!r}", start)
    body = stream.peek(15)
    dims = [int.from_bytes(body[i : i + 4], "little", signed=True) for i in (6, 11)]
    if len(body) < 15 or body[5] != 4 or body[10] != 4 or min(dims) < 0:
        raise stream.fail(f"expected the dimensions of a matrix, got {body[5:]!r}", start)
    stream.need(15 + dims[0] * dims[1] * _FLOAT_SIZE[token[:1]])
    stream.read(15)
    matrix = stream.read_matrix(dims[0], dims[1], "<f4" if token[:1] == b"F" else "<f8")
    return matrix if keep_double else matrix.astype(np.float32, copy=False)


def read_vector(stream: Stream) -> np.ndarray:
    """Read one float vector, binary (``FV``, ``DV``) or text. Returns [shape=(n,), float32]."""
    start = stream.offset
    if stream.peek(2) != b"\0B":
        _expect_bracket(stream, "a vector")
        words = _read_text_line(stream)
        if words[:1] != ["["] or words[-1:] != ["]"]:
            raise stream.fail(f"expected '[ … ]', got '{' '.join(words)[:40]}'", start)
        return np.array(_floats(stream, words[1:-1], start), dtype=np.float32)
    token = stream.peek(10)[2:]
    if token[:3] not in (b"FV ", b"DV "):
        raise stream.fail(f"expected a vector (FV or DV), got {token[:3]!r}", start)
    size = int.from_bytes(token[4:8], "little", signed=True)
    if len(token) < 8 or token[3] != 4 or size < 0:
        raise stream.fail(f"expected the dimension of a vector, got {token[3:]!r}", start)
    stream.need(10 + size * _FLOAT_SIZE[token[:1]])
    return np.array(kaldi_io.read_vec_flt(stream), dtype=np.float32)


def read_int_vector(stream: Stream) -> np.ndarray:
    """Read one integer vector (an alignment), binary or text. Returns [shape=(n,), int32]."""
    start = stream.offset
    if stream.peek(2) != b"\0B":
        words = _read_text_line(stream)
        try:
            return np.array([int(word) for word in words], dtype=np.int32)
        except (ValueError, OverflowError) as error:
            raise stream.fail(f"expected integers, got '{' '.join(words)[:40]}'", start) from error
    stream.read(2)
    (size,) = _read_dims(stream, 1)
    stream.read(5)
    values = np.frombuffer(stream.read(5 * size), dtype=[("s", "i1"), ("value", "<i4")])
    if np.any(values["s"] != 4):
        raise stream.fail("expected int32 elements (a byte 4 before each)", start)
    return np.ascontiguousarray(values["value"])


def read_posterior(stream: Stream) -> Posterior:
    """Read one posterior, binary or text."""
    if stream.peek(2) != b"\0B":
        return _read_text_posterior(stream)
    start = stream.offset
    stream.read(2)
    (num_frames,) = _read_dims(stream, 1)
    stream.read(5)
    stream.need(5 * num_frames)
    if (uniform := _read_one_hot(stream, num_frames)) is not None:
        return uniform
    offsets, pieces = [0], []
    for _ in range(num_frames):
        (count,) = _read_dims(stream, 1)
        stream.read(5)
        pieces.append(np.frombuffer(stream.read(10 * count), _PAIR))
        offsets.append(offsets[-1] + count)
    pairs = np.concatenate(pieces) if pieces else np.zeros(0, _PAIR)
    if np.any(pairs["s"] != 4) or np.any(pairs["t"] != 4):
        raise stream.fail("expected int32 and float32 pairs (a byte 4 before each)", start)
    return Posterior(np.array(offsets), pairs["class"].copy(), pairs["weight"].copy())


def _read_one_hot(stream: Stream, num_frames: int) -> Posterior | None:
    """Read at one go the usual case, one pair in every frame; ``None`` if it is another."""
    record = np.dtype([("n", "i1"), ("count", "<i4"), ("pair", _PAIR)])
    data = stream.peek(record.itemsize * num_frames)
    if num_frames == 0 or len(data) < record.itemsize * num_frames:
        return None
    frames = np.frombuffer(data, record)
    pairs = frames["pair"]
    if (
        np.any(frames["n"] != 4)
        or np.any(frames["count"] != 1)
        or np.any(pairs["s"] != 4)
        or np.any(pairs["t"] != 4)
    ):
        return None
    stream.read(len(data))
    return Posterior(np.arange(num_frames + 1), pairs["class"].copy(), pairs["weight"].copy())


def _expect_bracket(stream: Stream, what: str) -> None:
    head = stream.peek(16)
    if not head.lstrip().startswith(b"["):
        short = "truncated: " if len(head) < 2 else ""
        raise stream.fail(f"{short}expected {what}, binary or text, got {head!r}")


def _read_text_line(stream: Stream) -> list[str]:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise stream.fail("truncated: the last line has no end")
    return line.decode("utf-8", errors="replace").split()


def _floats(stream: Stream, words: list[str], start: int) -> list[float]:
    try:
        if any("_" in word for word in words):  # Python takes 1_000 for a number
            raise ValueError(f"'{next(word for word in words if '_' in word)}'")
        return [float(word) for word in words]
    except ValueError as error:
        raise stream.fail(f"expected numbers: {error}", start) from error


def _read_text_rows(stream: Stream) -> list[list[float]]:
    start = stream.offset
    words = _read_text_line(stream)
    if words[:1] != ["["]:
        raise stream.fail(f"expected a binary or text matrix, got '{' '.join(words)[:40]}'", start)
    rows: list[list[float]] = []
    words = words[1:]
    while True:
        done = words[-1:] == ["]"]
        row = _floats(stream, words[:-1] if done else words, start)
        if row:
            rows.append(row)
            if len(row) != len(rows[0]):
                raise stream.fail(
                    f"row {len(rows)} has {len(row)} columns, the first has {len(rows[0])}", start
                )
        if done:
            return rows
        words = _read_text_line(stream)


def _read_text_posterior(stream: Stream) -> Posterior:
    start = stream.offset
    words = _read_text_line(stream)
    offsets, classes, weights = [0], [], []
    position = 0
    try:
        while position < len(words):
            if words[position] != "[":
                raise ValueError(f"expected '[', got '{words[position]}'")
            end = words.index("]", position)
            entries = words[position + 1 : end]
            if len(entries) % 2:
                raise ValueError("expected pairs of a class and a weight")
            classes += [int(word) for word in entries[0::2]]
            weights += [float(word) for word in entries[1::2]]
            offsets.append(len(classes))
            position = end + 1
        return Posterior(np.array(offsets), np.array(classes, np.int32), np.array(weights, np.float32))
    except (ValueError, OverflowError) as error:
        raise stream.fail(f"wrong posterior: {error}", start) from error


def _number(value: float) -> str:
    return f"{value:.7g}"


def write_object(file: IO[bytes], kind: str, value: Any, *, text: bool, compress: bool) -> None:
    """Write one object of a kind of :class:`Writer`, as the readers return it, without its key.

    Float matrices and vectors are stored in float32, with ``compress`` matrices as ``CM`` or ``CM2``.
    """
    if text:
        file.write(_as_text(kind, value).encode())
    elif kind == "matrix" and compress:
        file.write(b"\0B" + encode_compressed(value))
    elif kind == "matrix":
        kaldi_io.write_mat(file, np.ascontiguousarray(value, dtype=np.float32))
    elif kind == "vector":
        kaldi_io.write_vec_flt(file, np.ascontiguousarray(value, dtype=np.float32))
    elif kind == "int_vector":
        body = np.empty(len(value), dtype=[("s", "i1"), ("value", "<i4")])
        body["s"], body["value"] = 4, value
        file.write(b"\0B\4" + len(value).to_bytes(4, "little") + body.tobytes())
    else:
        file.write(_posterior_bytes(value))


def _posterior_bytes(frames: list[list[tuple[int, float]]]) -> bytes:
    pieces = [b"\0B\4", len(frames).to_bytes(4, "little")]
    for pairs in frames:
        body = np.empty(len(pairs), _PAIR)
        body["s"] = body["t"] = 4
        body["class"] = [pair[0] for pair in pairs]
        body["weight"] = [pair[1] for pair in pairs]
        pieces += [b"\4", len(pairs).to_bytes(4, "little"), body.tobytes()]
    return b"".join(pieces)


def _as_text(kind: str, value: Any) -> str:
    if kind == "matrix":
        rows = ["  " + " ".join(_number(x) for x in row) + " " for row in np.asarray(value)]
        return " [\n" + "\n".join(rows) + "]\n"
    if kind == "vector":
        return " [ " + "".join(_number(x) + " " for x in value) + "]\n"
    if kind == "int_vector":
        return "".join(f"{int(x)} " for x in value) + "\n"
    frames = ("[ " + "".join(f"{int(c)} {_number(w)} " for c, w in pairs) + "] " for pairs in value)
    return "".join(frames) + "\n"
