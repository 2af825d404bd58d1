"""Kaldi's compressed matrices: ``CM`` (a byte an element, four percentiles a column), ``CM2``, ``CM3``."""

from __future__ import annotations

import io

import numpy as np

from steps.archive.stream import Stream

_HEADER = np.dtype([("min", "<f4"), ("range", "<f4"), ("rows", "<i4"), ("cols", "<i4")])


def read_compressed(stream: Stream, token: bytes) -> np.ndarray:
    """Read the body after the token ``CM ``, ``CM2 `` or ``CM3 ``: float32 [shape=(rows, cols)]."""
    start = stream.offset
    header = np.frombuffer(stream.read(16), _HEADER)[0]
    rows, cols = int(header["rows"]), int(header["cols"])
    if rows < 0 or cols < 0:
        raise stream.fail(f"negative dimensions {rows} x {cols} of a compressed matrix", start)
    if not (np.isfinite(header["min"]) and np.isfinite(header["range"])):
        raise stream.fail("the range of a compressed matrix is not finite", start)
    scale = float(header["range"])
    low = float(header["min"])
    if token == b"CM2 ":
        data = np.frombuffer(stream.read(2 * rows * cols), "<u2").reshape(rows, cols)
        return (low + scale * data.astype(np.float64) / 65535.0).astype(np.float32)
    if token == b"CM3 ":
        data = np.frombuffer(stream.read(rows * cols), np.uint8).reshape(rows, cols)
        return (low + scale * data.astype(np.float64) / 255.0).astype(np.float32)
    stream.need(8 * cols + rows * cols)
    knots = np.frombuffer(stream.read(8 * cols), "<u2").reshape(cols, 4)
    points = (np.float32(low) + np.float32(scale) * np.float32(1 / 65535) * knots.astype(np.float32)).T
    codes = np.frombuffer(stream.read(rows * cols), np.uint8).reshape(cols, rows).T.astype(np.float32)
    p0, p25, p75, p100 = (points[i][np.newaxis, :] for i in range(4))
    lower = p0 + (p25 - p0) * codes * np.float32(1 / 64)
    middle = p25 + (p75 - p25) * (codes - 64) * np.float32(1 / 128)
    upper = p75 + (p100 - p75) * (codes - 192) * np.float32(1 / 63)
    return np.where(codes <= 64, lower, np.where(codes <= 192, middle, upper)).astype(np.float32)


def as_compressed(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix as it is read again once :func:`encode_compressed` wrote it."""
    encoded = encode_compressed(matrix)
    token, blank, body = encoded.partition(b" ")
    return read_compressed(Stream(io.BytesIO(body), "a matrix"), token + blank)


def _to_uint16(values: np.ndarray, low: np.float32, scale: np.float32) -> np.ndarray:
    fraction = np.clip((values - low) / scale, 0, 1)
    return (fraction * np.float32(65535) + np.float64(0.499)).astype(np.int64)


def _column_knots(matrix: np.ndarray, low: np.float32, scale: np.float32) -> np.ndarray:
    ordered = np.sort(matrix, axis=0)
    quarter = matrix.shape[0] // 4
    picks = _to_uint16(ordered[[0, quarter, 3 * quarter, -1]], low, scale)
    p0 = np.minimum(picks[0], 65532)
    p25 = np.minimum(np.maximum(picks[1], p0 + 1), 65533)
    p75 = np.minimum(np.maximum(picks[2], p25 + 1), 65534)
    p100 = np.maximum(picks[3], p75 + 1)
    return np.stack([p0, p25, p75, p100], axis=1).astype("<u2")


def encode_compressed(matrix: np.ndarray) -> bytes:
    """Encode finite float32 as Kaldi's default does, with the token: ``CM`` above 8 rows, else ``CM2``."""
    matrix = np.ascontiguousarray(matrix, dtype=np.float32)
    rows, cols = matrix.shape
    low = np.float32(matrix.min()) if matrix.size else np.float32(0)
    high = np.float32(matrix.max()) if matrix.size else np.float32(0)
    if high == low:
        high = np.float32(low + (1 + abs(low)))
    scale = np.float32(high - low)
    header = np.array([(low, scale, rows, cols)], _HEADER).tobytes()
    if rows <= 8:
        return b"CM2 " + header + _to_uint16(matrix, low, scale).astype("<u2").tobytes()
    knots = _column_knots(matrix, low, scale)
    points = (low + scale * np.float32(1 / 65535) * knots.astype(np.float32)).T
    p0, p25, p75, p100 = (points[i][np.newaxis, :] for i in range(4))
    half = np.float64(0.5)  # Kaldi adds a double
    lower = np.clip(np.trunc((matrix - p0) / (p25 - p0) * 64 + half), 0, 64)
    middle = 64 + np.clip(np.trunc((matrix - p25) / (p75 - p25) * 128 + half), 0, 128)
    upper = 192 + np.clip(np.trunc((matrix - p75) / (p100 - p75) * 63 + half), 0, 63)
    codes = np.where(matrix < p25, lower, np.where(matrix < p75, middle, upper)).astype(np.uint8)
    return b"CM " + header + knots.tobytes() + np.ascontiguousarray(codes.T).tobytes()
