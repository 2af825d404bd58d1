"""The projected LSTM over the C kernels: whole chunks forward and back, the same numbers as in ``lstm.py``.

The products over all frames at once (input, weight gradients) are those of ``products``; the recurrent
ones, with as many rows as streams, and all arithmetic on the gates are in ``kernels/lstm.c``. Which of the
two directions run there, and which by a library, is measured.
"""

import ctypes
from typing import Any

import torch

from steps.nnet1 import components as nn
from steps.nnet1 import kernels, products
from steps.nnet1.kernels import padded_dim
from steps.nnet1.layers import Signal
from steps.nnet1.lstm import LstmLayer

TIMED = {"input_dim": 16, "output_dim": 256, "cell_dim": 400}
TIMED_STREAMS, TIMED_FRAMES = 4, 20


def padded(matrix: torch.Tensor) -> torch.Tensor:
    """Return the matrix with columns of zeros up to :func:`padded_dim`; itself if there is nothing to add."""
    columns = padded_dim(matrix.shape[1])
    if columns == matrix.shape[1] and matrix.is_contiguous():
        return matrix
    wide = matrix.new_zeros(len(matrix), columns)
    wide[:, : matrix.shape[1]] = matrix
    return wide


def fastest(component: nn.Lstm, num_stream: int) -> LstmLayer:
    """Return the layer whose recurrence goes by what was asked for or is fastest in each direction."""
    return layer_by(component, num_stream, *choose())


def choose() -> list[str]:
    """Choose among the candidates forward and back."""
    return [products.chosen(kind, _runs) for kind in ("thin", "back")]


def layer_by(component: nn.Lstm, num_stream: int, thin: str, back: str) -> LstmLayer:
    """Return the layer whose recurrence goes by these candidates of ``products``."""
    library = kernels.library() if "c" in (thin, back) else None
    if library is None:
        return LstmLayer(component, num_stream, thin, back)
    return NativeLstmLayer(component, num_stream, library, thin, back)


def _runs(kind: str) -> dict[str, products.Run]:
    """Make a chunk of a small LSTM, forward or back, by each candidate that there is."""
    own = torch.Generator().manual_seed(0)
    params: dict[str, Any] = {
        name: 0.1 * torch.rand(*shape, generator=own) - 0.05
        for name, shape in nn.Lstm.shapes(**TIMED).items()
    }
    component = nn.Lstm(**TIMED, **params)
    x = torch.randn(TIMED_FRAMES * TIMED_STREAMS, TIMED["input_dim"], generator=own)
    there = {"c": kernels.library() is not None, "onednn": products.onednn_works(), "torch": True}
    runs: dict[str, products.Run] = {}
    for name in (name for name, works in there.items() if works):
        layer = layer_by(component, TIMED_STREAMS, name, name)
        dy = torch.zeros_like(layer.propagate(x))
        layer.backpropagate(Signal(x, dy, dy))
        runs[name] = layer._forward if kind == "thin" else layer._backward
    return runs


class NativeLstmLayer(LstmLayer):
    """:class:`LstmLayer` with the frames of a chunk in C; buffers are kept from chunk to chunk.

    Their rows are padded as the kernels want them; what the rest of the layer sees is without.
    """

    def __init__(
        self,
        component: nn.Lstm,
        num_stream: int,
        library: ctypes.CDLL,
        thin: str = "c",
        back: str = "c",
    ) -> None:
        self.library = library
        self.buffers: dict[str, torch.Tensor] = {}
        super().__init__(component, num_stream, thin, back)

    def _buffer(self, name: str, *shape: int) -> torch.Tensor:
        """Return a buffer of zeros at its first use, then with what was in it."""
        buffer = self.buffers.get(name)
        if buffer is None or buffer.shape != shape:
            buffer = self.buffers[name] = self.lstm.bias.new_zeros(shape)
        return buffer

    def _buffers(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        n, r_dim, streams = self.cell_dim, self.output_dim, self.num_stream
        frames = len(x) // streams
        return (
            self._buffer("gates", frames, streams, 4 * n),
            self._buffer("c", frames + 1, streams, n),
            self._buffer("h", frames, streams, n),
            self._buffer("m", frames, streams, padded_dim(n))[..., :n],
            self._buffer("r", frames + 1, streams, padded_dim(r_dim))[..., :r_dim],
        )

    def _derivative_buffers(self) -> tuple[torch.Tensor, torch.Tensor]:
        frames, streams, _ = self.kept[0].shape
        d_r = self._buffer("d_r", frames, streams, padded_dim(self.output_dim))
        return self._buffer("d_gates", *self.kept[0].shape), d_r[..., : self.output_dim]

    def propagate(self, x: torch.Tensor) -> torch.Tensor:
        """See :meth:`LstmLayer.propagate`; the output is no part of a buffer."""
        return super().propagate(x).clone()

    def _call(self, name: str, *arguments: object) -> None:
        """Call a kernel on as many threads as torch has."""
        p, r_dim = self.lstm, self.output_dim
        frames, streams, _ = self.kept[0].shape
        dims = (frames, streams, self.cell_dim, padded_dim(self.cell_dim), r_dim, padded_dim(r_dim))
        weights = (padded(p.w_gifo_r), padded(p.w_r_m), p.peephole_i_c, p.peephole_f_c, p.peephole_o_c)
        given = [part.data_ptr() if isinstance(part, torch.Tensor) else part for part in arguments]
        pointers = [weight.data_ptr() for weight in weights]
        getattr(self.library, name)(torch.get_num_threads(), *dims, *pointers, *given)

    def _forward(self) -> None:
        if self.thin != "c":
            super()._forward()
            return
        self._call("lstm_forward", self.lstm.cell_clip, *self.kept)

    def _backward(self) -> None:
        if self.back != "c":
            super()._backward()
            return
        n, streams = self.cell_dim, self.num_stream
        gates, c, h, _, _ = self.kept
        d_gates, d_r = self.derivatives
        work = (self._buffer("d_m", streams, padded_dim(n)), self._buffer("d_c", streams, n))
        clips = (self.lstm.diff_clip, self.lstm.cell_diff_clip)
        self._call("lstm_backward", *clips, gates, c, h, d_r, d_gates, *work)

    def _accumulate_vectors(self, momentum: float) -> None:
        _, c, _, _, _ = self.kept
        d_gates, _ = self.derivatives
        frames, streams, _ = d_gates.shape
        corr = self.corr
        names = ("bias", "peephole_i_c", "peephole_f_c", "peephole_o_c")
        addresses = [tensor.data_ptr() for tensor in (d_gates, c)]
        sums = [corr[name].data_ptr() for name in names]
        self.library.lstm_vectors(frames * streams, streams, self.cell_dim, *addresses, momentum, *sums)
