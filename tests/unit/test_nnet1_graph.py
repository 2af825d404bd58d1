"""The LSTM over recorded chunks: the bits of plain torch, whatever is replayed in whatever order."""

from __future__ import annotations

import pytest
import torch

from steps.nnet1.layers import Signal
from steps.nnet1.lstm import LstmLayer
from steps.nnet1.lstm_graph import GraphLstmLayer
from steps.nnet1.options import TrainOptions
from tests.unit.test_nnet1_kernels import ALL_CLIPS, make


class Recorder:
    """Stands in for CUDA's graphs: runs once to make ready, then again whenever it is replayed."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, run):
        self.recorded += 1
        run()

        def replay():
            self.replayed += 1
            run()

        return replay


def train(layer, chunks, device="cpu"):
    """Return all outputs and input derivatives, and the parameters at the end."""
    torch.manual_seed(0)
    kept = []
    for frames, new in chunks:
        x, dy = (torch.randn(frames * 3, columns).to(device) for columns in (5, 4))
        layer.reset_streams(new)
        y = layer.propagate(x)
        at = Signal(x, y, dy)
        kept += [y.clone(), layer.backpropagate(at)]
        layer.update(at, TrainOptions(0.01, 0.5))
    return [*kept, layer.state_c, layer.state_r, *layer.lstm.params().values()]


CHUNKS = [
    (6, [True, True, True]),
    (6, [False, True, False]),
    (2, [False, False, False]),
    (6, [False, False, False]),
    (6, [True, False, False]),
]


@pytest.mark.parametrize("clips", [{}, ALL_CLIPS], ids=["no clips", "all clips"])
def test_replayed_chunks_have_the_bits_of_plain_torch(clips):
    recorder = Recorder()
    plain = train(LstmLayer(make(5, 4, 7, **clips), 3), CHUNKS)
    replayed = train(GraphLstmLayer(make(5, 4, 7, **clips), 3, recorder), CHUNKS)
    assert all(torch.equal(*pair) for pair in zip(plain, replayed, strict=True))
    assert (recorder.recorded, recorder.replayed) == (4, 10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_cuda_graphs_agree_with_the_cpu():
    component = make(5, 4, 7, **ALL_CLIPS)
    for name, value in component.params().items():
        setattr(component, name, value.cuda())
    on_gpu = train(GraphLstmLayer(component, 3), CHUNKS, "cuda")
    for ours, plain in zip(on_gpu, train(LstmLayer(make(5, 4, 7, **ALL_CLIPS), 3), CHUNKS), strict=True):
        torch.testing.assert_close(ours.cpu(), plain, atol=1e-5, rtol=1e-4)
