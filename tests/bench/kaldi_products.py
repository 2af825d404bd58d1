"""The products of matrices that Kaldi makes for the same models, on random frames in memory.

Only the calls of sgemm, with the shapes that its components have, on the OpenBLAS that SciPy brings: no
program that makes these calls is faster.
"""

from collections.abc import Callable

import numpy as np
from scipy.linalg.blas import sgemm

FEATS, CLASSES, STREAMS, BPTT, MINIBATCH = 525, 6, 4, 60, 256


def kaldi_updates(
    kind: str, units: int, layers: int, cells: int, *, at_features: bool = True
) -> Callable[[], float]:
    """Return a run that makes the products of one update and returns its frames.

    One gives the derivative at the features, which nobody uses: today's ``Nnet::Backpropagate`` asks every
    component for that at its input; that of 2014 left the first component out.
    """
    rows = MINIBATCH if kind == "dnn" else BPTT * STREAMS
    parts: list[Callable[[], None]] = []
    for layer in range(layers):
        inputs = units if layer else FEATS
        if kind == "dnn":
            parts.append(_affine_update(rows, inputs, units, gives_dx=layer > 0 or at_features))
        else:
            parts.append(_lstm_update(inputs, cells, units))
    parts.append(_affine_update(rows, units, CLASSES, gives_dx=True))

    def run() -> float:
        for part in parts:
            part()
        return rows

    return run


def kaldi_forward(kind: str, units: int, layers: int, cells: int, rows: int) -> Callable[[], float]:
    """Return a run that makes the products of a forward pass of ``rows`` frames and returns them."""
    x, parts = _random(rows, FEATS), []
    for layer in range(layers):
        inputs = units if layer else FEATS
        parts.append((_random(units if kind == "dnn" else 4 * cells, inputs), _random(rows, inputs)))
    w_r, w_rm = _random(4 * cells, units), _random(units, cells)
    state, memory = _random(1, units), _random(1, cells)
    last, hidden = _random(CLASSES, units), _random(rows, units)

    def run() -> float:
        for number, (weight, before) in enumerate(parts):
            gates = _empty(rows, len(weight))
            product(gates, before if number else x, weight, tb=True)
            for row in range(rows if kind == "lstm" else 0):
                product(gates[row : row + 1], state, w_r, tb=True, beta=1.0)
                product(state, memory, w_rm, tb=True)
        product(_empty(rows, CLASSES), hidden, last, tb=True)
        return rows

    return run


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32) * np.float32(0.01)


def _empty(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def product(c, a, b, *, ta: bool = False, tb: bool = False, beta: float = 0.0) -> None:
    """``c = op(a) op(b) + beta c`` in place for matrices in C's order, which BLAS sees transposed."""
    sgemm(1.0, b.T, a.T, beta, c.T, trans_a=tb, trans_b=ta, overwrite_c=True)


def _affine_update(rows: int, inputs: int, outputs: int, *, gives_dx: bool) -> Callable[[], None]:
    x, dy, weight, corr = _random(rows, inputs), _random(rows, outputs), *[_random(outputs, inputs)] * 2
    y, dx = _empty(rows, outputs), _empty(rows, inputs)

    def run() -> None:
        product(y, x, weight, tb=True)
        if gives_dx:
            product(dx, dy, weight)
        product(corr, dy, x, ta=True)

    return run


def _lstm_update(inputs: int, cells: int, units: int) -> Callable[[], None]:
    """A chunk: the input at once, the recurrent products frame by frame, the gradients at once."""
    rows = BPTT * STREAMS
    w_x, w_r, w_rm = _random(4 * cells, inputs), _random(4 * cells, units), _random(units, cells)
    corrections = [np.copy(w) for w in (w_x, w_r, w_rm)]
    x, gates, d_gates = _random(rows, inputs), _empty(rows, 4 * cells), _random(rows, 4 * cells)
    r, d_r, m, d_m = _random(rows, units), _random(rows, units), _random(rows, cells), _empty(rows, cells)
    dx = _empty(rows, inputs)
    frames = [slice(t * STREAMS, (t + 1) * STREAMS) for t in range(BPTT)]

    def run() -> None:
        product(gates, x, w_x, tb=True)
        for before, now in zip(frames, frames[1:] + frames[:1], strict=True):
            product(gates[now], r[before], w_r, tb=True, beta=1.0)
            product(r[now], m[now], w_rm, tb=True)
        for now, after in zip(frames, frames[1:] + frames[:1], strict=True):
            product(d_r[now], d_gates[after], w_r, beta=1.0)
            product(d_m[now], d_r[now], w_rm)
        product(dx, d_gates, w_x)
        for corr, dy, values in zip(corrections, (d_gates, d_gates, d_r), (x, r, m), strict=True):
            product(corr, dy, values, ta=True, beta=0.8)
        d_r[:] = 1e-3

    return run
