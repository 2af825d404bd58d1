"""Kaldi's compressed matrices: ``CM`` (a byte an element, four percentiles a column), ``CM2``, ``CM3``."""

import io

import numpy as np

from steps.archive.stream import Stream

_HEADER = np.dtype([("min", "<f4"), ("range", "<f4"), ("rows", "<i4"), ("cols", "<i4")])


def _points(low: np.float32, scale: np.float32, knots: np.ndarray) -> np.ndarray:
    """Return the percentiles of the columns [shape=(4, 1, cols)]."""
    return (low + scale * np.float32(1 / 65535) * knots.astype(np.float32)).T[:, np.newaxis]


def read_compressed(stream: Stream, token: bytes) -> np.ndarray:
    """Read what follows ``CM ``, ``CM2 `` or ``CM3 ``: float32 [shape=(rows, cols)], or ValueError."""
    low, scale, rows, cols = stream.array(_HEADER, 1)[0]
    rows, cols = int(rows), int(cols)
    if rows < 0 or cols < 0:
        raise ValueError(f"negative dimensions {rows} x {cols} of a compressed matrix")
    if not (np.isfinite(low) and np.isfinite(scale)):
        raise ValueError("the range of a compressed matrix is not finite")
    if token != b"CM ":
        steps = np.iinfo(np.uint16 if token == b"CM2 " else np.uint8)
        data = stream.array(steps.dtype.newbyteorder("<"), rows * cols).reshape(rows, cols)
        return (float(low) + float(scale) * data.astype(np.float64) / steps.max).astype(np.float32)
    stream.need(8 * cols + rows * cols)
    p0, p25, p75, p100 = _points(low, scale, stream.array("<u2", 4 * cols).reshape(cols, 4))
    codes = stream.array(np.uint8, rows * cols).reshape(cols, rows).T.astype(np.float32)
    lower = p0 + (p25 - p0) * codes * np.float32(1 / 64)
    middle = p25 + (p75 - p25) * (codes - 64) * np.float32(1 / 128)
    upper = p75 + (p100 - p75) * (codes - 192) * np.float32(1 / 63)
    return np.where(codes <= 64, lower, np.where(codes <= 192, middle, upper)).astype(np.float32)


def as_compressed(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix as it is read again once :func:`encode_compressed` wrote it."""
    token, blank, body = encode_compressed(matrix).partition(b" ")
    return read_compressed(Stream(io.BytesIO(body), "a matrix"), token + blank)


def _to_uint16(values: np.ndarray, low: np.float32, scale: np.float32) -> np.ndarray:
    fraction = np.clip((values - low) / scale, 0, 1)
    return (fraction * np.float32(65535) + np.float64(0.499)).astype(np.int64)


def encode_compressed(matrix: np.ndarray) -> bytes:
    """Encode finite float32 as Kaldi's default does, with the token: ``CM`` above 8 rows, else ``CM2``."""
    matrix = np.ascontiguousarray(matrix, dtype=np.float32)
    rows, cols = matrix.shape
    low, high = np.float32(matrix.min(initial=np.inf)), np.float32(matrix.max(initial=-np.inf))
    if not matrix.size:
        low = high = np.float32(0)
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
    p0, p25, p75, p100 = _points(low, scale, stored)
    half = np.float64(0.5)  # Kaldi adds a double
    lower = np.clip(np.trunc((matrix - p0) / (p25 - p0) * 64 + half), 0, 64)
    middle = 64 + np.clip(np.trunc((matrix - p25) / (p75 - p25) * 128 + half), 0, 128)
    upper = 192 + np.clip(np.trunc((matrix - p75) / (p100 - p75) * 63 + half), 0, 63)
    codes = np.where(matrix < p25, lower, np.where(matrix < p75, middle, upper)).astype(np.uint8)
    return b"CM " + header + stored.tobytes() + np.ascontiguousarray(codes.T).tobytes()
