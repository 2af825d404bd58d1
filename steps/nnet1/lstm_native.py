"""The projected LSTM over the C kernels: whole chunks forward and back, the same numbers as in ``lstm.py``.

The products over all frames at once (input, weight gradients) are those of ``products``; the recurrent
ones, with as many rows as streams, and all arithmetic on the gates are in ``kernels/lstm.c``.
"""

from __future__ import annotations

import ctypes

import torch

from steps.nnet1 import components as nn
from steps.nnet1 import products
from steps.nnet1.layers import Signal
from steps.nnet1.lstm import LstmLayer

PAD = 16


def padded_dim(size: int) -> int:
    """Return the next multiple of 16: whole cache lines of float32."""
    return -(-size // PAD) * PAD


def padded(matrix: torch.Tensor) -> torch.Tensor:
    """Return the matrix with columns of zeros up to a multiple of 16; itself if there is nothing to add."""
    columns = padded_dim(matrix.shape[1])
    if columns == matrix.shape[1] and matrix.is_contiguous():
        return matrix
    wide = matrix.new_zeros(len(matrix), columns)
    wide[:, : matrix.shape[1]] = matrix
    return wide


class NativeLstmLayer(LstmLayer):
    """:class:`LstmLayer` with the frames of a chunk in C; buffers are kept from chunk to chunk."""

    def __init__(self, component: nn.Lstm, num_stream: int, library: ctypes.CDLL) -> None:
        self.library = library
        self.each_alone = False
        self.buffers: dict[str, torch.Tensor] = {}
        super().__init__(component, num_stream)

    def _buffer(self, name: str, *shape: int) -> torch.Tensor:
        """Return a buffer of zeros at its first use, then with what was in it."""
        buffer = self.buffers.get(name)
        if buffer is None or buffer.shape != shape:
            buffer = self.buffers[name] = self.lstm.bias.new_zeros(shape)
        return buffer

    def _dims(self, frames: int) -> tuple[int, ...]:
        r_dim = self.output_dim
        return frames, self.num_stream, self.cell_dim, padded_dim(self.cell_dim), r_dim, padded_dim(r_dim)

    def _weights(self) -> tuple[int, ...]:
        """Return the addresses of W_r, W_rm and the peepholes; weights are padded anew for each chunk."""
        p = self.lstm
        self.wide = (padded(p.w_gifo_r), padded(p.w_r_m))
        tensors = (*self.wide, p.peephole_i_c, p.peephole_f_c, p.peephole_o_c)
        return tuple(tensor.data_ptr() for tensor in tensors)

    def _call(self, name: str, *arguments: object) -> None:
        """Call a kernel, on as many threads as torch has."""
        getattr(self.library, name)(torch.get_num_threads(), *arguments)

    def _input_product(self, x: torch.Tensor, gates: torch.Tensor) -> None:
        """Write ``Wx x + b`` into ``gates``; with ``each_alone`` by a product of its own for each stream.

        Libraries sum in an order that may change with the number of rows: so a stream's bits would with
        its company.
        """
        if not self.each_alone:
            super()._input_product(x, gates)
            return
        for stream in range(self.num_stream):
            rows = x.view(len(gates), self.num_stream, -1)[:, stream].contiguous()
            alone = self.lstm.bias.repeat(len(rows), 1)
            gates[:, stream] = products.multiply(rows, self.lstm.w_gifo_x.t(), alone, beta=1.0)

    def propagate(self, x: torch.Tensor) -> torch.Tensor:
        """See :meth:`LstmLayer.propagate`."""
        p = self.lstm
        dims = self._dims(len(x) // self.num_stream)
        frames, streams, n, n_wide, r_dim, r_wide = dims
        gates = self._buffer("gates", frames, streams, 4 * n)
        self._input_product(x, gates)
        c = self._buffer("c", frames + 1, streams, n)
        r = self._buffer("r", frames + 1, streams, r_wide)
        h, m = self._buffer("h", frames, streams, n), self._buffer("m", frames, streams, n_wide)
        c[0], r[0, :, :r_dim] = self.state_c, self.state_r
        self.kept = (gates, c, h, m, r)
        addresses = [tensor.data_ptr() for tensor in self.kept]
        self._call("lstm_forward", *dims, *self._weights(), p.cell_clip, *addresses)
        self.state_c, self.state_r = c[-1].clone(), r[-1, :, :r_dim].clone()
        return r[1:, :, :r_dim].flatten(0, 1).clone()

    def backpropagate(self, at: Signal) -> torch.Tensor:
        """See :meth:`LstmLayer.backpropagate`."""
        p = self.lstm
        gates, c, h, _, _ = self.kept
        dims = self._dims(len(gates))
        frames, streams, n, n_wide, r_dim, r_wide = dims
        d_r = self._buffer("d_r", frames, streams, r_wide)
        d_r[:, :, :r_dim] = at.dy.view(frames, streams, r_dim)
        d_gates = self._buffer("d_gates", frames, streams, 4 * n)
        work = (self._buffer("d_m", streams, n_wide), self._buffer("d_c", streams, n))
        addresses = [tensor.data_ptr() for tensor in (gates, c, h, d_r, d_gates, *work)]
        clips = (p.diff_clip, p.cell_diff_clip)
        self._call("lstm_backward", *dims, *self._weights(), *clips, *addresses)
        self.derivatives = (d_gates, d_r)
        return self._input_derivative(at, d_gates)

    def _accumulate_vectors(self, momentum: float) -> None:
        _, c, _, _, _ = self.kept
        d_gates, _ = self.derivatives
        frames, streams, _ = d_gates.shape
        corr = self.corr
        names = ("bias", "peephole_i_c", "peephole_f_c", "peephole_o_c")
        addresses = [tensor.data_ptr() for tensor in (d_gates, c)]
        sums = [corr[name].data_ptr() for name in names]
        self.library.lstm_vectors(frames * streams, streams, self.cell_dim, *addresses, momentum, *sums)
