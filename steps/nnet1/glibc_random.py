"""The random numbers of the C library that Kaldi draws its initial networks from.

``rand()`` of glibc is the additive feedback generator r[i] = r[i-3] + r[i-31] (mod 2**32), ``rand_r()`` a
linear congruential one (the manual pages and the glibc documentation of TYPE_3 describe both). The
recurrences are linear, so that many stretches of a sequence are computed side by side: the state at
the beginning of each comes from a power of the recurrence's matrix.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache

import numpy as np

RAND_MAX = 2**31 - 1
_LONG_LAG, _SHORT_LAG = 31, 3
_DISCARDED = 310
_STRETCH = 3 * 1024  # numbers computed one after the other in each stretch
_LCG_FACTOR, _LCG_TERM = 1103515245, 12345


def _seed_state(seed: int) -> np.ndarray:
    """State after ``srand(seed)``: the last 31 words, oldest first, shape [31], before the discarded ones."""
    word = (seed & 0xFFFFFFFF) or 1
    word -= (word >> 31) << 32  # the C library keeps it in a signed int
    words = [word]
    for _ in range(_LONG_LAG - 1):
        quotient = int(word / 127773)  # truncates towards zero, as C does
        word = 16807 * (word - 127773 * quotient) - 2836 * quotient
        word += RAND_MAX if word < 0 else 0
        words.append(word)
    # The feedback begins three words later: words 31, 32 and 33 are copies of words 0, 1 and 2.
    return np.array([value & 0xFFFFFFFF for value in words[3:] + words[:3]], dtype=np.uint32)


@lru_cache(maxsize=1)
def _stretch_matrix() -> np.ndarray:
    """Matrix [31, 31] that takes a state to the one ``_STRETCH`` numbers later (mod 2**32)."""
    power = np.eye(_LONG_LAG, k=1, dtype=np.uint32)
    power[-1, 0] = 1
    power[-1, _LONG_LAG - _SHORT_LAG] = 1
    result = np.eye(_LONG_LAG, dtype=np.uint32)
    for bit in bin(_STRETCH)[:1:-1]:
        if bit == "1":
            result = result @ power
        power = power @ power
    return result


def _follow(states: np.ndarray, count: int) -> np.ndarray:
    """Continue each column of ``states`` [31, lanes] by ``count`` words, a multiple of 3: [count, lanes]."""
    words = np.empty((_LONG_LAG + count, states.shape[1]), dtype=np.uint32)
    words[:_LONG_LAG] = states
    for row in range(_LONG_LAG, len(words), _SHORT_LAG):
        far = slice(row - _LONG_LAG, row - _LONG_LAG + _SHORT_LAG)
        np.add(words[row - _SHORT_LAG : row], words[far], out=words[row : row + _SHORT_LAG])
    return words[_LONG_LAG:]


class GlibcRandom:
    """``srand(seed)`` and then ``rand()``, number for number.

    Parameters
    ----------
    seed : int
        As for ``srand``: its low 32 bits count, and 0 is the same as 1.
    """

    def __init__(self, seed: int) -> None:
        self._state = _seed_state(seed)
        self._buffer = np.empty(0, dtype=np.int32)
        self.rand(_DISCARDED)

    def rand(self, count: int) -> np.ndarray:
        """Draw the next ``count`` numbers, int32 [count], each in 0..RAND_MAX."""
        while len(self._buffer) < count:
            lanes = min(-(-(count - len(self._buffer)) // _STRETCH), 1024)
            self._buffer = np.concatenate([self._buffer, self._refill(lanes)])
        drawn, self._buffer = self._buffer[:count], self._buffer[count:]
        return drawn

    def _refill(self, lanes: int) -> np.ndarray:
        states = np.empty((_LONG_LAG, lanes), dtype=np.uint32)
        states[:, 0] = self._state
        for lane in range(1, lanes):
            states[:, lane] = _stretch_matrix() @ states[:, lane - 1]
        words = _follow(states, _STRETCH)
        self._state = words[-_LONG_LAG:, -1].copy()
        return (words >> 1).astype(np.int32).T.reshape(-1)


def rand_r(seed: int, count: int) -> np.ndarray:
    """Draw ``count`` numbers of ``rand_r`` from a state of ``seed``, int32 [count], each in 0..RAND_MAX.

    A call takes three steps of x -> 1103515245 x + 12345 (mod 2**32) and joins 11 + 10 + 10 bits of them.
    """
    states = np.empty(3 * count + 1, dtype=np.uint32)
    states[0] = seed & 0xFFFFFFFF
    factor, term, known = _LCG_FACTOR, _LCG_TERM, 1
    while known < len(states):
        more = min(known, len(states) - known)
        states[known : known + more] = states[:more] * np.uint32(factor) + np.uint32(term)
        factor, term, known = factor * factor % 2**32, (factor * term + term) % 2**32, known + more
    parts = (states[1:] >> 16).reshape(count, 3)
    high = (parts[:, 0] % 2048) << 20
    return (high ^ ((parts[:, 1] % 1024) << 10) ^ (parts[:, 2] % 1024)).astype(np.int32)


def uniform(drawn: np.ndarray) -> np.ndarray:
    """Kaldi's ``RandUniform()``: drawn numbers as float32 in the open interval (0, 1), same shape."""
    return ((drawn + 1.0) / (RAND_MAX + 2.0)).astype(np.float32)


def gauss(generator: GlibcRandom, count: int) -> np.ndarray:
    """Kaldi's ``RandGauss()``: sqrt(-2 log u1) cos(2 pi u2), float32 [count]; u1 is drawn before u2.

    The logarithm and the cosine are ``logf`` and ``cosf`` of the C library, because no two libraries
    round these in the same way and an initial network should be Kaldi's on this machine.
    """
    first, second = uniform(generator.rand(2 * count)).reshape(count, 2).T
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
