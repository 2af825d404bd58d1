"""What is in C and in Triton (on a CPU in its interpreter) against plain torch, also without a compiler."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch

from steps import native
from steps.nnet1 import components as nn
from steps.nnet1 import host, kernels, lstm_triton, products
from steps.nnet1.affine import AffineLayer, end_in_c, pass_end
from steps.nnet1.layers import Signal
from steps.nnet1.loss import Xent
from steps.nnet1.lstm import LstmLayer
from steps.nnet1.net import Net
from steps.nnet1.options import TrainOptions
from utils.cli import UserError


@pytest.fixture(autouse=True)
def choose_again():
    products.use("auto")
    yield
    products.use("auto")
    kernels.library.cache_clear()


@pytest.fixture
def library():
    found = kernels.library()
    if found is None:
        pytest.skip("no C compiler here: plain torch is what runs, and the other tests check it")
    return found


def make(input_dim: int, output_dim: int, cell_dim: int, **clips) -> nn.LstmProjected:
    generator = torch.Generator().manual_seed(5)
    params = {
        name: (torch.rand(*shape, generator=generator) - 0.5) * 0.5
        for name, shape in nn.Lstm.shapes(input_dim, output_dim, cell_dim).items()
    }
    return nn.LstmProjected(
        input_dim, output_dim, cell_dim=cell_dim, **params, **{"diff_clip": 0.0, "grad_clip": 0.0, **clips}
    )


ALL_CLIPS = {"diff_clip": 0.05, "cell_diff_clip": 0.1, "cell_clip": 0.5, "grad_clip": 2.0}
SHAPES = [
    # streams, frames, cells, projection, clips
    (1, 6, 7, 4, {}),
    (2, 3, 16, 16, {}),
    (3, 6, 5, 33, {}),
    (4, 5, 32, 16, {}),
    (4, 6, 24, 12, {}),
    (7, 4, 17, 15, ALL_CLIPS),
    (60, 3, 20, 18, {}),
]


def train(build, streams, frames, cells, proj, clips, *, device="cpu", scale=1.0):
    """Train on two chunks; returns what comes out, what goes back, the states and the parameters."""
    torch.manual_seed(0)
    component = make(5, proj, cells, **clips)
    for name, value in component.params().items():
        setattr(component, name, (value * scale).to(device))
    layer = build(component, streams)
    for _ in range(2):
        x, dy = torch.randn(frames * streams, 5).to(device), torch.randn(frames * streams, proj).to(device)
        y = layer.propagate(x)
        at = Signal(x, y, dy)
        dx = layer.backpropagate(at)
        layer.update(at, TrainOptions(0.01, 0.5))
    found = [y, dx, layer.state_c, layer.state_r, *layer.derivatives, *component.params().values()]
    return [value.cpu() for value in found]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("thin", ["c", "onednn"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape[:4])))
def test_all_candidates_agree_with_torch(shape, thin):
    plain, ours = (train(lambda *a, name=name: LstmLayer(*a, name), *shape) for name in ("torch", thin))
    for pair in zip(ours, plain, strict=True):
        torch.testing.assert_close(*pair, atol=3e-6, rtol=1e-5)


def trained(name: str, generation: nn.Generation, classes: int, rows: int, options: TrainOptions):
    """Return the parameters and the sums of the loss after three updates of a DNN with two hidden layers."""
    products.use(f"end={name}")
    own = torch.Generator().manual_seed(3)

    def affine(inputs: int, outputs: int) -> nn.AffineTransform:
        weight = 0.3 * torch.randn(outputs, inputs, generator=own)
        return nn.AffineTransform(inputs, outputs, weight=weight, bias=torch.randn(outputs, generator=own))

    layers = [affine(21, 20), nn.Sigmoid(20, 20), affine(20, 48), nn.Sigmoid(48, 48), affine(48, classes)]
    net = Net(nn.Network([*layers, nn.Softmax(classes, classes)], generation))
    xent = Xent(classes, generation)
    for _ in range(3):
        x, targets = torch.randn(rows, 21, generator=own), torch.rand(rows, classes, generator=own)
        targets[::2] = torch.eye(classes)[torch.arange(len(targets[::2])) % classes]
        weights = torch.randint(0, 3, (rows,), generator=own).float()
        with torch.no_grad():
            net.train((x, targets, weights), xent, options)
    return [*(value for _, _, value in net.network.params()), xent.sums]


@pytest.mark.parametrize("options", [TrainOptions(0.01), TrainOptions(0.01, 0.5, 1e-4, 1e-3)], ids=str)
@pytest.mark.parametrize("case", [("modern", 6, 67), ("2014", 9, 32), ("modern", 1, 5)], ids=str)
def test_a_dnn_with_its_end_in_c_learns_what_it_learns_in_torch(case, options):
    if kernels.library() is None:
        pytest.skip("no C compiler here: plain torch is what runs, and the other tests check it")
    ours, plain = (trained(name, *case, options) for name in ("c", "torch"))
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)


def assert_equal_for_all_threads(results) -> None:
    """Compare the bits of what a function gives with 1, 2, 3 and 5 threads."""
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            found.append([value.clone() for value in results()])
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        assert all(torch.equal(*pair) for pair in zip(found[0], others, strict=True))


def test_the_bits_of_a_dnns_end_do_not_depend_on_the_number_of_threads():
    if kernels.library() is None:
        pytest.skip("no C compiler here")
    products.use("end=c")
    params = [(torch.randn(m, n), torch.randn(m)) for n, m in ((3, 80), (80, 6))]
    h, targets, weights = torch.randn(67, 80), torch.rand(67, 6), torch.rand(67)

    def results():
        hidden, last = (
            AffineLayer(nn.AffineTransform(*weight.T.shape, weight=weight.clone(), bias=bias.clone()))
            for weight, bias in params
        )
        assert hidden.takes(nn.Sigmoid(80, 80)) and last.takes(nn.Softmax(6, 6))
        own, xent = h.clone(), Xent(6)
        end = end_in_c([hidden, last], targets, weights)
        pass_end(end, own, targets, weights, xent, TrainOptions(0.1))
        return own, hidden.bias_grad, last.weight, last.bias, xent.sums

    assert_equal_for_all_threads(results)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("dims", [(4, 12, 24), (3, 33, 50)], ids=str)
def test_the_bits_do_not_depend_on_the_number_of_threads(dims):
    streams, proj, cells = dims

    def results():
        torch.manual_seed(0)
        layer = LstmLayer(make(5, proj, cells), streams, "c")
        x, dy = torch.randn(6 * streams, 5), torch.randn(6 * streams, proj)
        y = layer.propagate(x)
        layer.backpropagate(Signal(x, y, dy))
        return y, *layer.derivatives

    assert_equal_for_all_threads(results)


def test_a_stream_has_the_same_bits_in_any_company_and_chunks(library):
    x, component = torch.randn(6, 40, 5), make(5, 12, 24)

    def outputs(company: int, chunk: int) -> torch.Tensor:
        layer = host.LstmLayer(component, host.Host(library))
        layer.num_stream = company
        layer.start_utterance()
        found = [layer.propagate(part[:, :company].reshape(-1, 5).numpy()) for part in x.split(chunk)]
        return torch.from_numpy(np.concatenate(found)).view(6, company, 12)

    plain = LstmLayer(component, 40)
    torch.testing.assert_close(outputs(40, 6), plain.propagate(x.reshape(-1, 5)).view(6, 40, 12))
    for company, chunk in ((1, 1), (2, 6), (4, 2), (7, 3), (16, 6), (21, 4)):
        assert torch.equal(outputs(company, chunk), outputs(40, 6)[:, :company])


@pytest.mark.usefixtures("library")
def test_tanh_and_sigmoid_are_right_to_the_last_bits_but_one():
    component = make(1, 1, 1001)
    for value in component.params().values():
        value.zero_()
    x = torch.linspace(-20, 20, 1001)
    component.bias[:] = x.repeat(4)
    layer = LstmLayer(component, 1, "c")
    layer.propagate(torch.zeros(1, 1))
    g, i, f, o = layer.kept[0].double().flatten().split(1001)
    for ours, exact in ((g, x.double().tanh()), (i, x.double().sigmoid())):
        assert ((ours - exact).abs() <= 3e-7 * exact.abs()).all()
    assert torch.equal(i, f)
    assert torch.equal(i, o)
    component.bias[:3] = torch.tensor([float("nan"), 1e30, -1e30])
    layer.propagate(torch.zeros(1, 1))
    nan, one, minus_one = layer.kept[0].flatten()[:3].tolist()
    assert nan != nan
    assert (one, minus_one) == (1, -1)


def test_without_a_compiler_a_library_does_the_work(monkeypatch, tmp_path, capsys):
    kernels.library.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    found = Net(nn.Network([make(5, 4, 3)])).lstms[0]
    assert found.thin in ("torch", "onednn")
    told = capsys.readouterr().err
    assert "No kernels of networks in C: no C compiler on PATH" in told
    assert f"Products (thin): {found.thin} (onednn " in told
    products.use("thin=c")
    with pytest.raises(UserError, match="thin=c was asked for and is not there"):
        Net(nn.Network([make(5, 4, 3)]))


@pytest.mark.usefixtures("library")
def test_processes_may_compile_at_once_and_a_bad_compiler_is_survived(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ThreadPoolExecutor() as pool:
        paths = set(pool.map(lambda _: native.compiled(kernels.SOURCES), range(3)))
    assert len(paths) == 1
    assert [path.name for path in (tmp_path / "compiled-kernels").iterdir()] == [paths.pop().name]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cc").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    kernels.library.cache_clear()
    assert kernels.library() is None
    assert "No kernels of networks in C" in capsys.readouterr().err


TRITON_SHAPES = [
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
@pytest.mark.parametrize("shape", TRITON_SHAPES, ids=lambda shape: "-".join(map(str, shape[:4])))
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
@pytest.mark.parametrize("shape", [*TRITON_SHAPES, (4, 60, 800, 512, {}), (5, 20, 1500, 1024, {})])
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
