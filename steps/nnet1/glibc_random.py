"""The random numbers of the C library that Kaldi draws its initial networks from.

``rand()`` and ``rand_r()``, which the large matrices of an LSTM come from, are the library's own, called one
by one: the 25 million numbers of the largest network took 12 s on a busy AMD EPYC.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache

import numpy as np

RAND_MAX = 2**31 - 1
_LIBC = ctypes.CDLL(None)


def srand(seed: int) -> None:
    """Start the sequence of :func:`rand` anew; the low 32 bits of the seed count."""
    _LIBC.srand(ctypes.c_uint(seed & 0xFFFFFFFF))


def rand(count: int) -> np.ndarray:
    """Draw the next ``count`` numbers, int32 [count], each in 0..RAND_MAX."""
    draw = _LIBC.rand
    return np.fromiter((draw() for _ in range(count)), dtype=np.int32, count=count)


def rand_r(seed: int, count: int) -> np.ndarray:
    """Draw ``count`` numbers of ``rand_r`` from a state of ``seed``, int32 [count], each in 0..RAND_MAX."""
    state = ctypes.c_uint(seed & 0xFFFFFFFF)
    draw, where = _LIBC.rand_r, ctypes.byref(state)
    return np.fromiter((draw(where) for _ in range(count)), dtype=np.int32, count=count)


def uniform(drawn: np.ndarray) -> np.ndarray:
    """Kaldi's ``RandUniform()``: drawn numbers as float32 in the open interval (0, 1), same shape."""
    return ((drawn + 1.0) / (RAND_MAX + 2.0)).astype(np.float32)


def gauss(count: int) -> np.ndarray:
    """Kaldi's ``RandGauss()``: sqrt(-2 log u1) cos(2 pi u2), float32 [count]; u1 is drawn before u2.

    The logarithm and the cosine are ``logf`` and ``cosf`` of the C library, because no two libraries
    round these in the same way and an initial network should be Kaldi's on this machine.
    """
    first, second = uniform(rand(2 * count)).reshape(count, 2).T
    radius = np.sqrt(np.float32(-2) * _elementwise("logf", first))
    angle = (2 * np.pi * second.astype(np.float64)).astype(np.float32)
    return radius * _elementwise("cosf", angle)


def _elementwise(name: str, values: np.ndarray) -> np.ndarray:
    """Apply ``logf`` or ``cosf`` to float32 values; without glibc's, the correctly rounded function."""
    function = _math_function(name)
    if function is None:
        exact = np.log if name == "logf" else np.cos
        return exact(values.astype(np.float64)).astype(np.float32)
    return np.fromiter(map(function, values.tolist()), dtype=np.float32, count=len(values))


@lru_cache(maxsize=2)
def _math_function(name: str) -> Callable[[float], float] | None:
    try:
        function = getattr(ctypes.CDLL("libm.so.6"), name)
    except (OSError, AttributeError):
        return None
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return function
