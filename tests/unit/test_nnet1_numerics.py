"""Layers, penalties and loss against calculus and against numbers worked out by hand."""

import numpy as np
import pytest
import torch

from steps.nnet1 import components as nn
from steps.nnet1.affine import AffineLayer
from steps.nnet1.forward import log_priors
from steps.nnet1.layers import Layer, Signal
from steps.nnet1.loss import Xent
from steps.nnet1.lstm import LstmLayer
from steps.nnet1.net import Net
from steps.nnet1.options import TrainOptions
from utils.cli import UserError


def random_lstm(generator: torch.Generator, **clips) -> nn.LstmProjected:
    def draw(*shape):
        return (torch.rand(*shape, generator=generator) - 0.5) * 0.8

    shapes = nn.Lstm.shapes(5, 4, 7)
    clips = {"diff_clip": 0.0, "grad_clip": 0.0, "cell_clip": 50.0, **clips}
    return nn.LstmProjected(5, 4, cell_dim=7, **{name: draw(*s) for name, s in shapes.items()}, **clips)


def autograd_lstm(p: dict, x: torch.Tensor, n: int) -> torch.Tensor:
    """The equations of the paper, written a second time, for x [frames, streams, dim]."""
    c = x.new_zeros(x.shape[1], n)
    r = x.new_zeros(x.shape[1], p["w_r_m"].shape[0])
    outputs = []
    for frame in x:
        a = frame @ p["w_gifo_x"].T + p["bias"] + r @ p["w_gifo_r"].T
        g, i, f, o = a.split(n, dim=1)
        i, f = torch.sigmoid(i + p["peephole_i_c"] * c), torch.sigmoid(f + p["peephole_f_c"] * c)
        c = torch.tanh(g) * i + c * f
        r = (torch.sigmoid(o + p["peephole_o_c"] * c) * torch.tanh(c)) @ p["w_r_m"].T
        outputs.append(r)
    return torch.stack(outputs)


@pytest.mark.parametrize("streams_", [1, 3])
def test_lstm_gradients_are_those_of_calculus(streams_):
    generator = torch.Generator().manual_seed(3)
    component = random_lstm(generator)
    params = {name: value.double().requires_grad_() for name, value in component.params().items()}
    x = torch.randn(6, streams_, 5, generator=generator)
    dy = torch.randn(6, streams_, 4, generator=generator)
    deep = x.double().requires_grad_()
    expected = autograd_lstm(params, deep, 7)
    expected.backward(dy.double())
    layer = LstmLayer(component, streams_)
    y = layer.propagate(x.flatten(0, 1))
    torch.testing.assert_close(y.double(), expected.detach().flatten(0, 1), atol=1e-6, rtol=1e-5)
    at = Signal(x.flatten(0, 1), y, dy.flatten(0, 1))
    dx = layer.backpropagate(at)
    torch.testing.assert_close(dx.double(), deep.grad.flatten(0, 1), atol=1e-5, rtol=1e-4)
    before = {name: value.clone() for name, value in component.params().items()}
    layer.update(at, TrainOptions(learn_rate=1.0))
    for name, value in component.params().items():
        grad = params[name].grad
        torch.testing.assert_close((before[name] - value).double(), grad, atol=2e-5, rtol=1e-4)


def test_affine_momentum_and_coefficients():
    component = nn.AffineTransform(
        1, 1, weight=torch.ones(1, 1), bias=torch.zeros(1), learn_rate_coef=2.0, bias_learn_rate_coef=0.5
    )
    layer, options = AffineLayer(component), TrainOptions(0.1, 0.5)
    at = Signal(torch.tensor([[1.0], [2.0]]), torch.zeros(2, 1), torch.tensor([[1.0], [1.0]]))
    layer.update(at, options)
    assert component.weight.item() == pytest.approx(1 - 0.2 * 3)
    assert component.bias.item() == pytest.approx(-0.05 * 2)
    layer.update(at, options)
    assert component.weight.item() == pytest.approx(1 - 0.2 * 3 - 0.2 * 4.5)
    layer.reset()
    layer.update(at, options)
    assert component.weight.item() == pytest.approx(1 - 0.2 * 3 - 0.2 * 4.5 - 0.2 * 3)


def test_splice_copy_and_time_shift_by_hand():
    x = torch.tensor([[1.0], [2.0], [3.0]])
    splice = Layer(nn.Splice(1, 2, offsets=[-1, 1]))
    assert splice.propagate(x).tolist() == [[1, 2], [1, 3], [2, 3]]
    shift = Layer(nn.TimeShift(1, 1, shift=2))
    assert shift.propagate(x).flatten().tolist() == [3, 3, 3]
    copy = Layer(nn.Copy(2, 3, indices=[1, 0, 1]))
    pair = torch.tensor([[5.0, 6.0]])
    assert copy.propagate(pair).tolist() == [[6, 5, 6]]


def test_loss_by_hand():
    xent = Xent(2)
    y = torch.tensor([[0.8, 0.2], [0.4, 0.6], [0.5, 0.5]])
    t = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    diff = xent.eval(y, t, torch.tensor([1.0, 2.0, 0.0]))
    assert diff.flatten().tolist() == pytest.approx([-0.2, 0.2, -1.2, 1.2, 0, 0])
    assert xent.avg_loss == pytest.approx(-(np.log(0.8) + 2 * np.log(0.4)) / 3)
    assert xent.frame_accuracy == pytest.approx(100 / 3)
    assert "AvgTargetEnt: 0]\nprogress: []\nFRAME_ACCURACY >> 33.3333% <<" in xent.report()


def test_a_frame_without_target_has_no_weight_today():
    xent = Xent(2)
    diff = xent.eval(torch.tensor([[0.5, 0.5]]), torch.zeros(1, 2), torch.ones(1))
    assert not diff.any()
    assert xent.num_frames == 0


def test_nan_is_refused():
    xent = Xent(2, where="epoch 3, learning rate 9")
    xent.eval(torch.full((1, 2), float("nan")), torch.eye(2)[:1], torch.ones(1))
    with pytest.raises(UserError, match="epoch 3, learning rate 9: the cross-entropy is nan"):
        xent.read()


def test_a_network_that_is_not_trained_as_a_whole_is_refused():
    affine = nn.AffineTransform(2, 2, weight=torch.eye(2), bias=torch.zeros(2))
    for first in (nn.Splice(2, 2, offsets=[1]), nn.Copy(2, 2, indices=[1, 0])):
        Net(nn.Network([first, affine])).check_trainable()
        with pytest.raises(UserError, match=rf"component 2 is <{first.kind}>.* feature transform"):
            Net(nn.Network([affine, first])).check_trainable()
    lstm = random_lstm(torch.Generator())
    Net(nn.Network([lstm])).check_trainable()
    with pytest.raises(UserError, match="component 1 is <LstmProjected>.* <Transmit>"):
        Net(nn.Network([lstm], "2014")).check_trainable()


def test_log_priors_make_absent_classes_impossible():
    priors = log_priors(np.array([3.0, 1.0, 0.0]))
    assert priors[:2] == pytest.approx(np.log([0.75, 0.25]))
    assert priors[2] == pytest.approx(np.sqrt(np.finfo(np.float32).max))
