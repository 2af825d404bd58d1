"""Layers of the forward pass on the CPU, in NumPy and C: torch takes longer to import than most passes do.

A layer may overwrite its input [rows, input_dim], which is contiguous float32.
"""

import ctypes
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steps.nnet1 import components as nn
from steps.nnet1 import kernels

Array = NDArray[np.float32]
ACTIVATIONS: tuple[type | None, ...] = (None, nn.Sigmoid, nn.Softmax)  # by their numbers in kernels/rows.c


def _spliced(part: Any, x: Array) -> Array:
    rows = np.arange(len(x))[:, None] + part.offsets
    return x[rows.clip(0, len(x) - 1)].reshape(len(x), -1)


_PLAIN: dict[type, Callable[[Any, Array], Array]] = {
    nn.Transmit: lambda _, x: x,
    nn.Tanh: lambda _, x: np.tanh(x, out=x),
    nn.AddShift: lambda shift, x: np.add(x, shift.shift, out=x),
    nn.Rescale: lambda rescale, x: np.multiply(x, rescale.scale, out=x),
    nn.Copy: lambda copied, x: np.ascontiguousarray(x[:, copied.indices]),
    nn.Splice: _spliced,
    nn.TimeShift: _spliced,
}


class Layer:
    """A component of which each call sees an utterance, if it looks at other frames."""

    def __init__(self, component: nn.Component) -> None:
        self.component, self.input_dim = component, component.input_dim

    def propagate(self, x: Array) -> Array:
        """Return the output [rows, output_dim]."""
        return _PLAIN[type(self.component)](self.component, x)


class ActivationLayer(Layer):
    """``y = f(x + b)``, f an activation or nothing."""

    def __init__(self, component: nn.Component, host: "Host", bias: Array) -> None:
        super().__init__(component)
        self.library, self.threads = host.library, host.num_threads
        self.bias = np.ascontiguousarray(bias)
        self.activation = type(component) if type(component) in ACTIVATIONS else None

    def propagate(self, x: Array) -> Array:
        """See :class:`Layer`."""
        number = ACTIVATIONS.index(self.activation)
        self.library.add_bias(self.threads, *x.shape, number, *_pointers(self.bias, x))
        return x


class AffineLayer(ActivationLayer):
    """``y = f(W x + b)``; with ``in_c``, the bits of a row do not depend on the number of rows."""

    def __init__(self, affine: nn.AffineTransform, host: "Host", in_c: bool) -> None:
        super().__init__(affine, host, affine.bias)
        self.in_c, self.zeros = in_c, np.zeros_like(affine.bias)
        self.columns = -(-affine.input_dim // kernels.PAD) * kernels.PAD
        matrix, columns = (affine.weight, self.columns) if in_c else (affine.weight.T, affine.output_dim)
        self.weight = padded(matrix, columns)

    def propagate(self, x: Array) -> Array:
        """See :class:`Layer`."""
        y = _empty(len(x), len(self.bias))
        if self.in_c:
            x = x if x.shape[1] == self.columns else padded(x, self.columns)
            pointers = _pointers(self.weight, self.zeros, x, y)
            self.library.lstm_inputs(self.threads, *y.shape, self.columns, *pointers)
        else:
            np.matmul(x, self.weight, out=y)
        return super().propagate(y)


class LstmLayer(Layer):
    """The projected LSTM on interleaved streams: frame t of stream s is row ``t * num_stream + s``.

    The state of the last frame, ``state_c`` [streams, cells] and ``state_r`` [streams, units], is that of the
    next call. A stream has the same bits in any company and in chunks of any length.
    """

    def __init__(self, lstm: nn.Lstm, host: "Host") -> None:
        super().__init__(lstm)
        self.lstm, self.library, self.threads, self.num_stream = lstm, host.library, host.num_threads, 1
        self.w_x, self.w_r, self.w_m = map(padded, (lstm.w_gifo_x, lstm.w_gifo_r, lstm.w_r_m))
        vectors = (lstm.bias, lstm.peephole_i_c, lstm.peephole_f_c, lstm.peephole_o_c)
        self.bias, *self.peepholes = map(np.ascontiguousarray, vectors)
        self.memory: list[Array] = []
        self.lone: list[Array] = []
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
        lone = _pointers(*self._lone()) if self.num_stream == 1 else (None, None)
        self.library.lstm_forward(*dims, *weights, self.lstm.cell_clip, *_pointers(*kept), *lone)
        self.state_c, self.state_r = c[-1].copy(), r[-1, :, units].copy()
        return np.array(r[1:, :, units]).reshape(len(x), -1)

    def _lone(self) -> list[Array]:
        """Return the recurrent weights, of each gate and of the projection, laid out for a lone stream."""
        if not self.lone:
            n, units = self.lstm.cell_dim, self.lstm.output_dim
            rows = -(-n // kernels.PAD) * kernels.PAD
            gates = _empty(4, rows, self.w_r.shape[1])
            for weights, laid_out in zip(self.w_r.reshape(4, n, -1), gates, strict=True):
                self.library.lay_out(*weights.shape, *_pointers(weights, laid_out))
            projection = _empty(-(-units // kernels.PAD) * kernels.PAD, self.w_m.shape[1])
            self.library.lay_out(*self.w_m.shape, *_pointers(self.w_m, projection))
            self.lone = [gates, projection]
        return self.lone

    def _buffers(self, frames: int) -> list[Array]:
        """Return gates, c, h, m and r as ``kernels/lstm.c`` has them; what pads them is zero."""
        n, streams = self.lstm.cell_dim, self.num_stream
        rows = (frames + 1) * streams
        if not self.memory or len(self.memory[0]) < rows:
            columns = (4 * n, n, n, kernels.padded_dim(n), kernels.padded_dim(self.lstm.output_dim))
            self.memory = [padded(np.zeros((rows, 0), np.float32), k) for k in columns]
        lengths = (frames, frames + 1, frames, frames, frames + 1)
        parts = zip(self.memory, lengths, strict=True)
        return [memory[: t * streams].reshape(t, streams, -1) for memory, t in parts]


class Host:
    """What :class:`steps.nnet1.forward.Forward` needs of the CPU.

    A call takes up to ``frames`` of ``num_stream`` utterances, more of fewer; if ``fixed``, always all.
    """

    fixed, num_stream, frames = False, 1, 512

    def __init__(self, library: ctypes.CDLL, num_threads: int = 1) -> None:
        self.library, self.num_threads = library, num_threads

    def layers(self, components: list[nn.Component]) -> list[Layer]:
        """Make the layers of some components in order."""
        recurrent = any(isinstance(component, nn.Lstm) for component in components)
        if recurrent:
            self.num_stream, self.frames = 16, 32
        layers: list[Layer] = []
        for component in components:
            last, kind = layers[-1] if layers else None, type(component)
            if isinstance(last, ActivationLayer) and last.activation is None and kind in ACTIVATIONS:
                last.activation = kind
            elif isinstance(component, nn.AffineTransform):
                layers.append(AffineLayer(component, self, recurrent or component.output_dim <= kernels.FEW))
            elif isinstance(component, nn.Lstm):
                layers.append(LstmLayer(component, self))
            elif kind in ACTIVATIONS:
                layers.append(ActivationLayer(component, self, np.zeros(component.input_dim, np.float32)))
            else:
                layers.append(Layer(component))
        return layers

    def from_host(self, x: Array) -> Array:
        """Return what is there already."""
        return x

    to_host = from_host


def padded(matrix: Array, columns: int = 0) -> Array:
    """Return the matrix with columns of zeros up to so many, by default ``padded_dim``."""
    wide = _empty(len(matrix), columns or kernels.padded_dim(matrix.shape[1]))
    wide[:, : matrix.shape[1]] = matrix
    wide[:, matrix.shape[1] :] = 0
    return wide


def _empty(*shape: int) -> Array:
    """Return an array that begins at a cache line."""
    memory = np.empty(math.prod(shape) + 16, np.float32)
    first = -memory.ctypes.data % 64 // 4
    return memory[first : first + math.prod(shape)].reshape(shape)


def _pointers(*arrays: Array) -> list[int]:
    return [array.ctypes.data for array in arrays]
