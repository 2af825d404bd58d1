"""Frames of hours: large arrays lie in an unnamed file mapped into memory, and are read block by block."""

import math
import mmap
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

LARGEST = 1 << 22
"""Bytes of an array that stays in memory: the paper's features of 6 minutes."""
ROWS = 4096


def empty(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray:
    """Return an array; a large one is in a file of $TMPDIR that is gone when the array is."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= LARGEST:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        os.posix_fallocate(file.fileno(), 0, size)
        return np.ndarray(shape, dtype, mmap.mmap(file.fileno(), size))  # type: ignore[arg-type]


def let_go(array: NDArray) -> None:
    """Take what an array of :func:`empty` has in memory out of it; other arrays stay as they are."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


def blocks(array: NDArray, rows: int = 0) -> Iterator[NDArray]:
    """Yield an array some rows at a time, by default :data:`ROWS`, and let them go."""
    rows = rows or ROWS
    for low in range(0, len(array), rows):
        yield array[low : low + rows]
        let_go(array)


def sums(array: NDArray, of: Callable[[NDArray], NDArray] = np.asarray, rows: int = 0) -> NDArray[np.float64]:
    """Return the sums over the rows of an array, or of what ``of`` makes of some of its rows."""
    return np.sum([of(block).sum(axis=0, dtype=np.float64) for block in blocks(array, rows)], axis=0)


def gathered(some: Iterable[NDArray], num_rows: int) -> NDArray:
    """Return rows that come in blocks as one array of so many rows, the last ones zeros if fewer come."""
    found, high = np.empty(0), 0
    for block in some:
        if not high:
            found = empty((num_rows, *block.shape[1:]), block.dtype)
        found[high : high + len(block)] = block
        high += len(block)
        let_go(found)
    found[high:] = 0
    return found


def quantiles(array: NDArray, shares: Sequence[float]) -> NDArray[np.float64]:
    """Return the quantiles of every column, (len(shares), columns)."""
    columns, low = empty(array.shape[::-1], array.dtype), 0
    for block in blocks(array, max(1, LARGEST // array[0].nbytes)):
        columns[:, low : low + len(block)] = block.T
        low += len(block)
        let_go(columns)
    some = blocks(columns, max(1, LARGEST // columns[0].nbytes))
    return np.concatenate([np.quantile(rows.astype(np.float64), shares, axis=1) for rows in some], axis=1)
