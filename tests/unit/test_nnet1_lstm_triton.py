"""The Triton kernels of the LSTM against plain torch: on the CPU a grid of one program in the interpreter."""

import os
from functools import partial

import pytest
import torch

from steps.nnet1 import lstm_triton
from steps.nnet1.lstm import LstmLayer
from tests.unit.test_nnet1_kernels import ALL_CLIPS, make, train

SHAPES = [
    # streams, frames, cells, projection, clips
    (4, 5, 16, 8, {}),
    (3, 4, 7, 5, {}),
    (1, 4, 5, 3, {}),
    (7, 3, 10, 6, ALL_CLIPS),
    (4, 6, 33, 12, ALL_CLIPS),
]


in_interpreter = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") != "1" or lstm_triton.triton is None,
    reason="Triton is not installed, or there is a GPU: see the test below",
)


@in_interpreter
@pytest.mark.parametrize("kept", [112, 0], ids=["weights in registers", "weights read"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape[:4])))
def test_kernels_and_torch_agree(shape, kept):
    cells = max(4, 1 << (shape[2] - 1).bit_length())
    grid = lstm_triton.Grid(1, cells, kept=kept)
    ours = train(lambda *layer: lstm_triton.TritonLstmLayer(*layer, grid), *shape)
    for plain, triton in zip(train(LstmLayer, *shape), ours, strict=True):
        torch.testing.assert_close(triton, plain, atol=2e-6, rtol=1e-5)


@in_interpreter
def test_a_cell_that_is_no_number_stays_none():
    component = make(5, 3, 4)
    component.w_gifo_x[0, 0] = float("nan")
    y = lstm_triton.TritonLstmLayer(component, 4, lstm_triton.Grid(1, 4)).propagate(torch.ones(12, 5))
    assert y.isnan().any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
@pytest.mark.parametrize("shape", [*SHAPES, (4, 60, 800, 512, {}), (5, 20, 1500, 1024, {})])
def test_a_grid_of_many_programs_agrees_with_the_cpu(shape):
    grid = lstm_triton.choose(shape[2], torch.device("cuda", 0))
    if grid is None:
        pytest.skip("the kernels do not run here, see the log")
    scale = 4 / shape[2]  # large sums of large weights would make rounding errors grow from frame to frame
    triton_layer = partial(lstm_triton.TritonLstmLayer, grid=grid)
    ours = train(triton_layer, *shape, device="cuda", scale=scale)
    for plain, triton in zip(train(LstmLayer, *shape, scale=scale), ours, strict=True):
        error = (triton - plain).abs().max() / plain.abs().max()
        assert error < 2e-5
