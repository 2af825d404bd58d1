"""Layers of the forward pass on the CPU, in NumPy and C: torch takes longer to import than most passes do.

A layer may overwrite its input [rows, input_dim], which is contiguous float32.
"""

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steps.nnet1 import components as nn
from steps.nnet1 import kernels

Array = NDArray[np.float32]
ACTIVATIONS: tuple[type | None, ...] = (None, nn.Sigmoid, nn.Softmax)  # by their numbers in kernels/rows.c


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))`` in place."""
    with np.errstate(over="ignore"):
        np.exp(np.negative(x, out=x), out=x)
    x += 1
    return np.reciprocal(x, out=x)


def softmax(x: Array) -> Array:
    """``exp(x - max x) / sum exp(x - max x)`` of every row in place."""
    x -= x.max(axis=1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=1, keepdims=True)
    return x


_PLAIN: dict[type, Callable[[Any, Array], Array]] = {
    nn.Transmit: lambda _, x: x,
    nn.Sigmoid: lambda _, x: sigmoid(x),
    nn.Tanh: lambda _, x: np.tanh(x, out=x),
    nn.Softmax: lambda _, x: softmax(x),
    nn.AddShift: lambda shift, x: np.add(x, shift.shift, out=x),
    nn.Rescale: lambda rescale, x: np.multiply(x, rescale.scale, out=x),
    nn.Copy: lambda copied, x: np.ascontiguousarray(x[:, copied.indices]),
}


class Layer:
    """A component; ``offsets`` of one that looks at other frames, which is the caller's affair."""

    def __init__(self, component: nn.Component) -> None:
        self.component = component
        if isinstance(component, nn.Splice):
            self.offsets = component.offsets
        elif isinstance(component, nn.TimeShift):
            self.offsets = [component.shift]

    def propagate(self, x: Array) -> Array:
        """Return the output [rows, output_dim]."""
        return _PLAIN[type(self.component)](self.component, x)


class AffineLayer(Layer):
    """``y = f(W x + b)``, f an activation or nothing."""

    def __init__(self, affine: nn.AffineTransform, library: ctypes.CDLL, num_threads: int) -> None:
        super().__init__(affine)
        self.threads, self.library = num_threads, library
        self.activation: type | None = None
        self.in_c = affine.output_dim <= kernels.FEW
        self.weight = _aligned(affine.weight if self.in_c else affine.weight.T)
        self.bias = _aligned(affine.bias)

    def propagate(self, x: Array) -> Array:
        """See :class:`Layer`."""
        y = _empty(len(x), len(self.bias))
        if self.in_c:
            self.library.few_columns(self.threads, *x.shape, y.shape[1], *_pointers(x, self.weight, y))
        else:
            np.matmul(x, self.weight, out=y)
        number = ACTIVATIONS.index(self.activation)
        self.library.add_bias(self.threads, *y.shape, number, *_pointers(self.bias, y))
        return y


class LstmLayer(Layer):
    """The projected LSTM on interleaved streams: frame t of stream s is row ``t * num_stream + s``.

    The state of the last frame, ``state_c`` [streams, cells] and ``state_r`` [streams, units], is that of the
    next call. A stream has the same bits in any company and in chunks of any length.
    """

    def __init__(self, lstm: nn.Lstm, library: ctypes.CDLL, num_threads: int = 1) -> None:
        super().__init__(lstm)
        self.lstm, self.library, self.threads, self.num_stream = lstm, library, num_threads, 1
        self.w_x, self.w_r, self.w_m = map(padded, (lstm.w_gifo_x, lstm.w_gifo_r, lstm.w_r_m))
        vectors = (lstm.bias, lstm.peephole_i_c, lstm.peephole_f_c, lstm.peephole_o_c)
        self.bias, *self.peepholes = map(_aligned, vectors)
        self.kept: tuple[Array, ...] = ()
        self.start_utterance()

    def start_utterance(self) -> None:
        """Set the state of every stream to zero."""
        self.state_c = np.zeros((self.num_stream, self.lstm.cell_dim), np.float32)
        self.state_r = np.zeros((self.num_stream, self.lstm.output_dim), np.float32)

    def propagate(self, x: Array) -> Array:
        """See :class:`Layer`; the state moves on."""
        gates, c, _, _, r = kept = self._buffers(len(x) // self.num_stream)
        units = slice(self.lstm.output_dim)
        c[0], r[0, :, units] = self.state_c, self.state_r
        x = padded(x)
        pointers = _pointers(self.w_x, self.bias, x, gates)
        self.library.lstm_inputs(self.threads, len(x), len(self.bias), x.shape[1], *pointers)
        sizes = (c.shape[2], self.w_m.shape[1], self.lstm.output_dim, r.shape[2])
        weights = _pointers(self.w_r, self.w_m, *self.peepholes)
        dims = (self.threads, len(gates), self.num_stream, *sizes)
        self.library.lstm_forward(*dims, *weights, self.lstm.cell_clip, *_pointers(*kept))
        self.state_c, self.state_r = c[-1].copy(), r[-1, :, units].copy()
        return np.array(r[1:, :, units]).reshape(len(x), -1)

    def _buffers(self, frames: int) -> tuple[Array, ...]:
        """Return gates, c, h, m and r as ``kernels/lstm.c`` has them; what pads them is zero."""
        n, streams = self.lstm.cell_dim, self.num_stream
        if not self.kept or self.kept[0].shape[:2] != (frames, streams):
            rows = (frames, frames + 1, frames, frames, frames + 1)
            columns = (4 * n, n, n, kernels.padded_dim(n), kernels.padded_dim(self.lstm.output_dim))
            self.kept = tuple(_empty(t, streams, k) for t, k in zip(rows, columns, strict=True))
            for buffer in self.kept[3:]:
                buffer[:] = 0
        return self.kept


class Host:
    """What :class:`steps.nnet1.forward.Forward` needs of the CPU."""

    num_stream = 16  # utterances side by side
    chunk = 32  # frames of a call
    block, large_block = 64, 512  # frames before and behind LSTMs; without any
    rows_vary = True
    concatenate = staticmethod(np.concatenate)
    stack = staticmethod(np.stack)
    to_host = staticmethod(np.asarray)

    def __init__(self, library: ctypes.CDLL, num_threads: int = 1) -> None:
        self.library, self.num_threads = library, num_threads

    def layers(self, components: Sequence[nn.Component], _: nn.Generation) -> list[Layer]:
        """Make the layers of some components in order."""
        layers: list[Layer] = []
        for component in components:
            last = layers[-1] if layers else None
            if isinstance(last, AffineLayer) and last.activation is None and type(component) in ACTIVATIONS:
                last.activation = type(component)
            elif isinstance(component, nn.AffineTransform):
                layers.append(AffineLayer(component, self.library, self.num_threads))
            elif isinstance(component, nn.Lstm):
                layers.append(LstmLayer(component, self.library, self.num_threads))
            else:
                layers.append(Layer(component))
        return layers

    def zeros(self, *shape: int) -> Array:
        """Return zeros."""
        return np.zeros(shape, np.float32)

    def from_host(self, rows: NDArray) -> Array:
        """Return a copy."""
        return np.array(rows, dtype=np.float32, order="C")


def padded(matrix: Array) -> Array:
    """Return the matrix with columns of zeros up to ``padded_dim``, where the kernels want it."""
    wide = _empty(len(matrix), kernels.padded_dim(matrix.shape[1]))
    wide[:, : matrix.shape[1]] = matrix
    wide[:, matrix.shape[1] :] = 0
    return wide


def _empty(*shape: int) -> Array:
    """Return an array that begins at a cache line."""
    memory = np.empty(math.prod(shape) + 16, np.float32)
    first = -memory.ctypes.data % 64 // 4
    return memory[first : first + math.prod(shape)].reshape(shape)


def _aligned(array: Array) -> Array:
    copied = _empty(*array.shape)
    copied[:] = array
    return copied


def _pointers(*arrays: Array) -> list[int]:
    return [array.ctypes.data for array in arrays]
