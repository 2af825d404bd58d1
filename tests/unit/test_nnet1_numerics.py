"""Training steps and forward passes against networks that Kaldi itself trained, and against calculus.

The cases are command lines of the reference set: those marked ``small`` have their files in the
fixtures, all of them are checked where the full set is present.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from steps import archive
from steps.nnet1 import components as nn
from steps.nnet1 import epoch, kernels
from steps.nnet1.affine import AffineLayer, limit_row_norm, regularize_l1
from steps.nnet1.forward import Forward, log_priors, without_softmax
from steps.nnet1.inputs import TrainingData
from steps.nnet1.layers import CopyLayer, Signal, SpliceLayer, TimeShiftLayer
from steps.nnet1.loss import Xent
from steps.nnet1.lstm import LstmLayer
from steps.nnet1.model_file import read_network
from steps.nnet1.options import TrainOptions
from steps.nnet1.runtime import Net
from utils.cli import UserError

SMALL = Path(__file__).parents[1] / "fixtures" / "nnet1" / "training"
T, T2014 = "transf.nnet", "transf2014.nnet.txt"


@dataclass(frozen=True)
class Case:
    """Epochs of one chain of the reference set: its last network, and each epoch's loss and accuracy."""

    name: str
    init: str
    options: TrainOptions
    results: list[tuple[str, str]]
    transform: str = T
    data: dict = field(default_factory=dict)
    small: bool = False

    @property
    def last(self) -> str:
        return f"{self.name}.it{len(self.results)}" if self.name != "lstm/bd_onestep" else self.name

    def __str__(self) -> str:
        return self.name


def frames(name, options, results, init="dnn/dnn.init", transform=T, minibatch_size=32, small=False, **more):
    data = {key: more.pop(key) for key in ("targets", "frame_weights") if key in more}
    case = Case(f"dnn/{name}", init, options, results, transform, data, small)
    more.setdefault("randomizer_size", 32768)
    return (
        case,
        lambda net, data, opts: epoch.frame_epoch(net, data, opts, minibatch_size=minibatch_size, **more),
        1,
    )


def streams(name, options, results, delay, batch_size=20, init="lstm/google.init", small=False, **data):
    case = Case(f"lstm/{name}", init, options, results, T2014, {"length_tolerance": 0, **data}, small)
    return (
        case,
        lambda net, data, opts: epoch.stream_epoch(
            net, data, opts, batch_size=batch_size, targets_delay=delay
        ),
        4,
    )


def multistream(name, options, results, init, transform=T, small=False):
    case = Case(f"lstm/{name}", init, options, results, transform, {}, small)
    return case, lambda net, data, opts: epoch.multistream_epoch(net, data, opts, batch_size=20), 4


def perutt(name, init, transform, results):
    case = Case(f"lstm/{name}", init, TrainOptions(0.001, 0.5), results, transform)
    return case, epoch.utterance_epoch, 1


O = TrainOptions  # noqa: E741


def case_id(value):
    """Return a name that is the same in every process; a function's address is not."""
    return getattr(value, "name", "") or getattr(value, "__name__", str(value)).strip("<>")


CASES = [
    frames("onestep", O(0.001), [("1.10453", "33.7553")], minibatch_size=948),
    frames(
        "plain",
        O(0.02),
        [("0.857995", "60.7759"), ("0.493806", "78.2328"), ("0.339471", "86.6379"), ("0.23151", "92.1336")],
    ),
    frames(
        "mmt5",
        O(0.02, 0.5),
        [("0.772849", "64.8707"), ("0.387318", "83.2974"), ("0.213317", "92.5647"), ("0.157013", "94.0733")],
    ),
    frames(
        "l2",
        O(0.02, 0, 0, 0.001),
        [("0.861865", "60.7759"), ("0.502486", "78.0172"), ("0.354532", "86.0991"), ("0.244486", "91.9181")],
    ),
    frames("mmt5_l2", O(0.02, 0.5, 0, 0.001), [("0.775761", "64.7629"), ("0.395527", "82.7586")], small=True),
    frames("l1", O(0.02, 0, 0.0005), [("0.870459", "60.5603"), ("0.505149", "78.0172")], small=True),
    frames("rsize200", O(0.02), [("0.857995", "60.7759")], randomizer_size=200, small=True),
    frames(
        "plain2014", O(0.02), [("0.857995", "60.7759"), ("0.493806", "78.2328")], "dnn/dnn2014.init", T2014
    ),
    frames(
        "mmt5_l2_2014",
        O(0.02, 0.5, 0, 0.001),
        [("0.775761", "64.7629"), ("0.395527", "82.7586")],
        "dnn/dnn2014.init",
        T2014,
    ),
    frames("soft", O(0.02), [("0.422914", "32.0043")], targets="ark,t:post_soft.txt"),
    frames("weights", O(0.02), [("0.88599", "54.82")], frame_weights="ark,t:frame_weights.txt"),
    frames("maxnorm", O(0.02), [("0.878095", "59.375")], "dnn/dnn_maxnorm.init", small=True),
    streams("bd_d5", O(0.002, 0.8), [("0.791764", "69.0928")], 5, small=True),
    streams(
        "bd_d5",
        O(0.002, 0.8),
        [("0.791764", "69.0928"), ("0.423952", "84.8101"), ("0.313361", "88.6076")],
        5,
    ),
    streams(
        "bd_d0",
        O(0.002, 0.8),
        [("0.537819", "80.9072"), ("0.132605", "95.4641"), ("0.0825214", "97.1519")],
        0,
    ),
    streams("bd_d5_mmt0", O(0.002), [("0.890703", "65.6118")], 5),
    streams(
        "bd_d5_b60", O(0.001, 0.9), [("0.928041", "57.2785"), ("0.557915", "80.6962")], 5, 60, small=True
    ),
    streams(
        "bd_onestep",
        O(0.002, 0.8),
        [("1.12301", "31.25")],
        0,
        small=True,
        feats="ark:feats20.ark",
        targets="ark,t:post20.txt",
    ),
    streams("bd2_d5", O(0.002, 0.8), [("0.976494", "51.3713")], 5, init="lstm/google2.init", small=True),
    multistream(
        "head_d0_noclip",
        O(0.002, 0.8),
        [("0.651905", "76.8606"), ("0.169409", "94.452"), ("0.116501", "96.3464")],
        "lstm/head_noclip.init",
    ),
    multistream(
        "head_d0_clip",
        O(0.002, 0.8),
        [("0.95441", "55.751"), ("0.48793", "94.1813")],
        "lstm/head_clip.init",
        small=True,
    ),
    multistream(
        "head_tr5_noclip",
        O(0.002, 0.8),
        [("0.835882", "66.4411"), ("0.419559", "85.3857"), ("0.38736", "87.4154")],
        "lstm/head_noclip.init",
        "transf_delay5.nnet.txt",
    ),
    multistream("head_d5_noclip", O(0.002, 0.8), [("1.14464", "34.1001")], "lstm/head_noclip_splice5.init"),
    multistream(
        "head_tanh_defaultclip", O(0.005, 0.9), [("0.60702", "69.1475")], "lstm/modern_tanh.init", small=True
    ),
    perutt("head_perutt", "lstm/head_noclip.init", T, [("0.782168", "74.0506")]),
    perutt("std2014_perutt", "lstm/std_shift0.init", T2014, [("0.782168", "74.0506")]),
]


def training_data(net: Net, transform: str, **more) -> TrainingData:
    first = Net(read_network(transform))
    more = {"feats": "ark:feats.ark", "targets": "ark:post.ark", **more}
    return TrainingData(
        input_dim=first.network.input_dim,
        num_classes=net.network.output_dim,
        transform=first.feedforward,
        **more,
    )


def distance(ours: nn.Network, kaldi: nn.Network) -> float:
    """Largest ``max|d| / max|W|`` over the tensors."""
    pairs = zip(ours.params(), kaldi.params(), strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for (_, _, a), (_, _, b) in pairs)


def last_digits_apart(value: float, printed: str) -> int:
    """How many units of the sixth digit lie between a value, printed, and Kaldi's."""
    unit = 10.0 ** (np.floor(np.log10(float(printed))) - 5)
    return round(abs(float(f"{value:.6g}") - float(printed)) / unit)


def check_case(case: Case, run, num_stream: int) -> None:
    network = read_network(case.init)
    for loss, accuracy in case.results:
        net = Net(network, num_stream=num_stream)
        result = run(net, training_data(net, case.transform, **case.data), case.options)
        assert last_digits_apart(result.xent.avg_loss, loss) <= 1
        assert f"{result.xent.frame_accuracy:g}" == accuracy
    assert distance(network, read_network(case.last)) <= 1e-5


@pytest.mark.parametrize(("case", "run", "num_stream"), [c for c in CASES if c[0].small], ids=case_id)
def test_trains_as_kaldi(case, run, num_stream, monkeypatch):
    monkeypatch.chdir(SMALL)
    check_case(case, run, num_stream)


@pytest.mark.parametrize(
    ("case", "run", "num_stream"),
    [c for c in CASES if c[0].small and c[0].name.startswith("lstm")],
    ids=case_id,
)
def test_trains_as_kaldi_without_c(case, run, num_stream, monkeypatch):
    monkeypatch.chdir(SMALL)
    kernels.use("torch")
    try:
        check_case(case, run, num_stream)
    finally:
        kernels.use("auto")


@pytest.mark.parametrize(("case", "run", "num_stream"), CASES, ids=case_id)
def test_trains_as_kaldi_on_the_full_reference(case, run, num_stream, shared, monkeypatch):
    monkeypatch.chdir(shared / "reference" / "kaldi_nnet1")
    check_case(case, run, num_stream)


def test_eight_chained_epochs_of_the_kaldi_lstm_loop(shared, monkeypatch):
    monkeypatch.chdir(shared / "reference" / "kaldi_nnet1")
    network = read_network("sched_lstm/nnet.iter0")
    pattern = r"lr (\S+) tr AvgLoss: (\S+) ACCURACY >> (\S+) cv AvgLoss: (\S+) ACCURACY >> (\S+)"
    for number, line in enumerate(Path("sched_lstm.log").read_text().splitlines(), start=1):
        rate, tr_loss, tr_acc, cv_loss, cv_acc = re.search(pattern, line).groups()
        net = Net(network, num_stream=4)
        for feats, options, loss, acc in (
            ("ark:feats_tr.ark", O(float(rate), 0.9), tr_loss, tr_acc),
            ("ark:feats.ark", None, cv_loss, cv_acc),
        ):
            data = training_data(net, T2014, feats=feats, length_tolerance=0)
            xent = epoch.stream_epoch(net, data, options, batch_size=20, targets_delay=5).xent
            assert xent.avg_loss == pytest.approx(float(loss), rel=2e-5)
            assert f"{xent.frame_accuracy:g}" == acc
        assert distance(network, read_network(f"sched_lstm/nnet.iter{number}")) <= 1e-4


FORWARD = [
    ("dnn/dnn.init", T, "dnn/fwd_post.ark", {}),
    ("lstm/std_shift5.init", T2014, "lstm/fwd_2014_delay5.ark", {}),
    ("dnn/dnn.init", T, "dnn/fwd_logpost.ark", {"apply_log": True}),
    ("dnn/dnn.init", T, "dnn/fwd_presoftmax.ark", {"no_softmax": True}),
    ("lstm/head_noclip.init", T, "lstm/fwd_head_delay0.ark", {}),
    ("lstm/head_noclip_splice5.init", T, "lstm/fwd_head_delay5.ark", {}),
    ("lstm/bd_d5.final_std", T2014, "lstm/bd_d5.final_post.ark", {}),
    ("lstm/bd_d0.final_std", T2014, "lstm/bd_d0.final_post.ark", {}),
    ("lstm/bd_d5_b60.final_std", T2014, "lstm/bd_d5_b60.final_post.ark", {}),
    ("lstm/head_d0_clip.it3", T, "lstm/head_d0_clip.final_post.ark", {}),
    ("lstm/head_tanh_defaultclip.it2", T, "lstm/head_tanh_defaultclip.final_post.ark", {}),
    ("splice2.nnet.txt", "", "splice2_out.ark", {}),
    ("transf_splice2.nnet.txt", "", "transf_splice2_out.ark", {}),
]


def check_forward(nnet: str, transform: str, expected: str, options: dict) -> None:
    options = dict(options)
    network = read_network(nnet)
    if options.pop("no_softmax", False):
        network = without_softmax(network, nnet)
    forward = Forward(Net(network), Net(read_network(transform)) if transform else None, **options)
    ours = dict(forward.all(archive.read_matrices("ark:feats.ark")))
    kaldi = dict(archive.read_matrices(f"ark:{expected}"))
    assert list(ours) == list(kaldi)
    assert max(np.abs(ours[key] - kaldi[key]).max() for key in kaldi) <= 1e-6


@pytest.mark.parametrize("case", FORWARD[:2], ids=str)
def test_forward_as_kaldi(case, monkeypatch):
    monkeypatch.chdir(SMALL)
    check_forward(*case)


@pytest.mark.parametrize("case", FORWARD, ids=str)
def test_forward_as_kaldi_on_the_full_reference(case, shared, monkeypatch):
    monkeypatch.chdir(shared / "reference" / "kaldi_nnet1")
    check_forward(*case)


def test_an_utterance_has_the_same_posteriors_in_any_company(monkeypatch):
    monkeypatch.chdir(SMALL)
    corpus = list(archive.read_matrices("ark:feats.ark"))

    def posteriors(utterances):
        forward = Forward(Net(read_network("lstm/std_shift5.init")), Net(read_network(T2014)))
        return dict(forward.all(utterances))

    whole, backwards = posteriors(corpus), posteriors(corpus[::-1])
    assert list(backwards) == list(whole)[::-1]
    for item in corpus:
        alone = posteriors([item])[item[0]]
        assert np.array_equal(alone, whole[item[0]])
        assert np.array_equal(alone, backwards[item[0]])


def random_lstm(generator: torch.Generator, **clips) -> nn.LstmProjected:
    def draw(*shape):
        return (torch.rand(*shape, generator=generator) - 0.5) * 0.8

    shapes = nn.lstm_shapes(5, 4, 7)
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


def test_lstm_state_is_carried_and_reset():
    generator = torch.Generator().manual_seed(1)
    layer = LstmLayer(random_lstm(generator), 2)
    x = torch.randn(16, 5, generator=generator)
    whole = layer.propagate(x)
    layer.reset_streams([True, True])
    halves = torch.cat([layer.propagate(x[:8]), layer.propagate(x[8:])])
    torch.testing.assert_close(halves, whole)
    layer.reset_streams([True, False])
    again = layer.propagate(x[:8])
    torch.testing.assert_close(again[::2], whole[:8:2])
    assert not torch.allclose(again[1::2], whole[1:8:2])


def test_lstm_clips_cells_and_gradients():
    generator = torch.Generator().manual_seed(1)
    component = random_lstm(generator, cell_clip=0.01, grad_clip=0.001)
    layer = LstmLayer(component, 1)
    x = torch.randn(10, 5, generator=generator)
    y = layer.propagate(x)
    assert layer.kept[1].abs().max() == pytest.approx(0.01)
    at = Signal(x, y, torch.ones(10, 4))
    layer.backpropagate(at)
    before = component.w_r_m.clone()
    layer.update(at, TrainOptions(learn_rate=1.0))
    assert (component.w_r_m - before).abs().max() <= 0.00101


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


def test_l1_stops_at_zero():
    weight, corr = torch.tensor([1.0, -1.0, 0.05, 0.0]), torch.tensor([0.0, 0.0, 1.0, 3.0])
    regularize_l1(weight, corr, 0.1, 0.1)
    assert weight.tolist() == pytest.approx([0.9, -0.9, 0.0, 0.0])
    assert corr.tolist() == [0.0, 0.0, 0.0, 3.0]


def test_max_norm_limits_rows_and_lets_short_ones_be():
    weight = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    limit_row_norm(weight, 1.0)
    assert weight.tolist() == [pytest.approx([0.6, 0.8]), pytest.approx([0.3, 0.4])]


def test_splice_copy_and_time_shift_by_hand():
    x = torch.tensor([[1.0], [2.0], [3.0]])
    splice = SpliceLayer(nn.Splice(1, 2, offsets=[-1, 1]))
    assert splice.propagate(x).tolist() == [[1, 2], [1, 3], [2, 3]]
    dx = splice.backpropagate(Signal(x, x, torch.ones(3, 2)))
    assert dx.flatten().tolist() == [2, 2, 2]
    shift = TimeShiftLayer(nn.TimeShift(1, 1, 2))
    assert shift.propagate(x).flatten().tolist() == [3, 3, 3]
    assert not shift.backpropagate(Signal(x, x, x)).any()
    copy = CopyLayer(nn.Copy(2, 3, indices=[1, 0, 1]))
    assert copy.propagate(torch.tensor([[5.0, 6.0]])).tolist() == [[6, 5, 6]]


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


def test_equal_outputs_count_for_the_first_class():
    xent = Xent(2)
    xent.eval(torch.full((2, 2), 0.5), torch.eye(2), torch.ones(2))
    assert xent.correct.tolist() == [1, 0]


def test_nan_is_refused():
    xent = Xent(2)
    xent.eval(torch.full((1, 2), float("nan")), torch.eye(2)[:1], torch.ones(1))
    with pytest.raises(UserError, match="epoch 3, learning rate 9: the cross-entropy is nan"):
        xent.check_finite("epoch 3, learning rate 9")


def test_an_lstm_that_stands_first_is_refused_for_2014():
    component = random_lstm(torch.Generator().manual_seed(0))
    with pytest.raises(UserError, match="put a <Transmit> before it"):
        Net(nn.Network([component], "2014")).check_trainable()
    Net(nn.Network([component])).check_trainable()


def test_log_priors_make_absent_classes_impossible():
    priors = log_priors(np.array([3.0, 1.0, 0.0]))
    assert priors[:2] == pytest.approx(np.log([0.75, 0.25]))
    assert priors[2] == pytest.approx(np.sqrt(np.finfo(np.float32).max))
