"""The projected LSTM on CUDA: the frames of a chunk as one recorded graph, the operations of ``lstm.py``.

A chunk of 60 frames is some thousand small kernels; launched one by one, the GPU would mostly wait for
them. They are recorded once for each size of a chunk, over buffers that stay where they are, and replayed
with one call for the way forward and one for the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from steps.nnet1 import components as nn
from steps.nnet1.lstm import LstmLayer

Replay = Callable[[], None]


def record(run: Replay) -> Replay:
    """Record the CUDA operations of ``run``, whose tensors must stay in place; returns what replays them.

    ``run`` is called twice here, once for the libraries to make ready and once for the record.
    """
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        run()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


@dataclass
class _Chunk:
    """Buffers of chunks of one size, and what replays the graphs over them."""

    kept: tuple[torch.Tensor, ...]
    derivatives: tuple[torch.Tensor, torch.Tensor]
    forward: Replay
    backward: Replay


class GraphLstmLayer(LstmLayer):
    """:class:`LstmLayer` for training on CUDA.

    Parameters
    ----------
    component : Lstm
        Its parameters are changed in place, never replaced.
    num_stream : int
        Streams.
    recorder : callable
        Turns a function into one that replays it, see :func:`record`.
    """

    def __init__(
        self, component: nn.Lstm, num_stream: int, recorder: Callable[[Replay], Replay] = record
    ) -> None:
        self.recorder = recorder
        self.chunks: dict[int, _Chunk] = {}
        self.chunk: _Chunk | None = None
        super().__init__(component, num_stream)

    def _buffers(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if len(x) not in self.chunks:
            self.chunks[len(x)] = self._recorded(x)
        self.chunk = self.chunks[len(x)]
        return self.chunk.kept

    def _recorded(self, x: torch.Tensor) -> _Chunk:
        """Make the buffers for chunks like ``x`` and record both ways over zeros."""
        self.kept = tuple(buffer.zero_() for buffer in super()._buffers(x))
        gates, _, _, _, r = self.kept
        self.derivatives = (torch.zeros_like(gates), torch.zeros_like(r[1:]))
        forward, backward = self.recorder(super()._forward), self.recorder(super()._backward)
        return _Chunk(self.kept, self.derivatives, forward, backward)

    def _derivative_buffers(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.chunk.derivatives if self.chunk else super()._derivative_buffers()

    def _forward(self) -> None:
        if self.chunk:
            self.chunk.forward()
        else:
            super()._forward()

    def _backward(self) -> None:
        if self.chunk:
            self.chunk.backward()
        else:
            super()._backward()
