"""The GPU path where there is no GPU: where every tensor is, which rows are picked, when the loss is read.

The GPU is torch's device "meta" here, whose tensors have no values; a mode that sees every operation refuses
those on tensors of two devices, as CUDA would.
"""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from steps import archive
from steps.nnet1 import components as nn
from steps.nnet1 import epoch
from steps.nnet1.feeds import TableFeed, read_table
from steps.nnet1.forward import Forward
from steps.nnet1.gpu import Torch
from steps.nnet1.initialize import default_generation, initialize, parse_line
from steps.nnet1.inputs import TrainingData
from steps.nnet1.loss import Xent
from steps.nnet1.minibatches import Frames, Streams
from steps.nnet1.net import Net
from steps.nnet1.options import TrainOptions
from utils.cli import UserError

GPU, META = torch.device("cuda", 0), torch.device("meta")
FEATS, CLASSES = 9, 3
LENGTHS = (13, 40, 7, 25, 31)
DNN = (
    f"<AddShift> <InputDim> {FEATS} <OutputDim> {FEATS} <InitParam> 0",
    f"<AffineTransform> <InputDim> {FEATS} <OutputDim> 8",
    "<Sigmoid> <InputDim> 8 <OutputDim> 8",
    f"<AffineTransform> <InputDim> 8 <OutputDim> {CLASSES} <MaxNorm> 1",
    f"<Softmax> <InputDim> {CLASSES} <OutputDim> {CLASSES}",
)
LSTM_2014 = (
    f"<Transmit> <InputDim> {FEATS} <OutputDim> {FEATS}",
    f"<LstmProjectedStreams> <InputDim> {FEATS} <OutputDim> 5 <CellDim> 7 <NumStream> 3",
    "<LstmProjectedStreams> <InputDim> 5 <OutputDim> 5 <CellDim> 6 <NumStream> 3",
    f"<AffineTransform> <InputDim> 5 <OutputDim> {CLASSES}",
    f"<Softmax> <InputDim> {CLASSES} <OutputDim> {CLASSES}",
)
LSTM = (
    f"<LstmProjected> <InputDim> {FEATS} <OutputDim> 5 <CellDim> 7 <CellDiffClip> 0.01",
    f"<AffineTransform> <InputDim> 5 <OutputDim> {CLASSES}",
    f"<Softmax> <InputDim> {CLASSES} <OutputDim> {CLASSES}",
)
CONTEXT = (
    f"<Splice> <InputDim> {FEATS} <OutputDim> {2 * FEATS} <BuildVector> -3 1 </BuildVector>",
    f"<LstmProjected> <InputDim> {2 * FEATS} <OutputDim> 5 <CellDim> 7",
    "<Sigmoid> <InputDim> 5 <OutputDim> 5",
    "<Splice> <InputDim> 5 <OutputDim> 10 <BuildVector> 0 2 </BuildVector>",
    f"<AffineTransform> <InputDim> 10 <OutputDim> {CLASSES}",
)
NETWORKS = {
    "dnn": (DNN, Frames(8, 30, 5)),
    "dnn in order": (DNN, Frames(8, 30)),
    "lstm 2014": (LSTM_2014, Streams(10, 3, 5)),
    "lstm": (LSTM, Streams(4, 2, 0)),
    "lstm, streams without an utterance": (LSTM, Streams(10, 7, 2)),
}
OPTIONS = [TrainOptions(0.01), TrainOptions(0.01, 0.9, 1e-4, 1e-4)]


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(3)
    with (
        archive.Writer(f"ark,scp:{tmp_path}/f.ark,{tmp_path}/f.scp") as feats,
        archive.Writer(f"ark:{tmp_path}/l.ark", kind="posterior") as labels,
        archive.Writer(f"ark:{tmp_path}/w.ark", kind="vector") as weights,
    ):
        for number, length in enumerate(LENGTHS):
            key = f"utt{number}"
            feats.write(key, rng.standard_normal((length, FEATS)).astype(np.float32))
            labels.write(key, [[(int(c), 1.0)] for c in rng.integers(0, CLASSES, length)])
            weights.write(key, (rng.random(length) > 0.2).astype(np.float32))
    places = (f"scp:{tmp_path}/f.scp", f"ark:{tmp_path}/l.ark")
    return TrainingData(*places, FEATS, CLASSES, frame_weights=f"ark:{tmp_path}/w.ark")


def make(lines) -> nn.Network:
    protos = [parse_line(line, "test") for line in lines]
    return initialize(protos, 5, default_generation(protos))


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of several devices, but for copies from one to another."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [item for item in tree_leaves((args, kwargs)) if isinstance(item, torch.Tensor)]
        devices = {tensor.device.type for tensor in tensors if tensor.ndim or tensor.device.type != "cpu"}
        if len(devices) > 1 and func not in (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default):
            raise RuntimeError(f"{func}: tensors on {sorted(devices)}")
        return func(*args, **(kwargs or {}))


def test_the_mode_sees_a_mixture_of_devices():
    order = torch.arange(3)
    with OneDevice(), pytest.raises(RuntimeError, match="index_select"):
        torch.ones(5, 2).to(META).index_select(0, order)
    with OneDevice(), pytest.raises(RuntimeError, match="index_select"):
        torch.ones(5, 2).index_select(0, order.to(META))


@pytest.mark.parametrize("options", [None, *OPTIONS], ids=["no update", "plain", "momentum, penalties"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_of_an_update_is_on_the_gpu(data, name, options):
    lines, how = NETWORKS[name]
    net = Net(make(lines), META, num_stream=how.num_stream)
    with OneDevice(), torch.no_grad():
        table = read_table(data, META, 1e9)
        feed = TableFeed(table, how, training=options is not None)
        xent = Xent(CLASSES, net.network.generation, device=META)
        for _ in zip(range(3), feed, strict=False):
            epoch.one_update(net, xent, feed, options)
    state = [value for lstm in net.lstms for value in (lstm.state_c, lstm.state_r)]
    params = [value for *_, value in net.network.params()]
    for value in (feed.place, xent.sums, *net.activations, *state, *params):
        assert value.device == META


@pytest.mark.parametrize("lines", [DNN, LSTM], ids=["dnn", "lstm"])
def test_every_tensor_of_a_forward_pass_is_on_the_gpu(lines, monkeypatch):
    devices = []
    monkeypatch.setattr(
        Torch, "to_host", lambda _, y: devices.append(y.device) or np.zeros(y.shape, np.float32)
    )
    feats = [(f"utt{length}", np.ones((length, FEATS), np.float32)) for length in LENGTHS]
    with OneDevice():
        found = [(key, y.shape) for key, y in Forward(make(lines), make(DNN[:1]), META).all(feats)]
    assert found == [(f"utt{length}", (length, CLASSES)) for length in LENGTHS]
    assert set(devices) == {META}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_table_gives_the_minibatches_of_the_host(data, name, training):
    _, how = NETWORKS[name]
    expected = list(how.of(data, training=training))
    table = read_table(data, torch.device("cpu"), 1e9)
    feed = TableFeed(table, how, training=training)
    found = 0
    for frames, batch in zip(feed, expected, strict=True):
        assert frames == batch.frames
        assert all(map(torch.equal, feed.fetch(), batch[:4]))
        found += 1
    assert found > 3 and data.counts["done"] == len(LENGTHS)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_epoch_from_a_table_has_the_bits_of_one_from_the_host(data, name):
    lines, how = NETWORKS[name]
    passes = []
    for kept in (False, True):
        net = Net(make(lines), num_stream=how.num_stream)
        data.tables = {net.device: read_table(data, net.device, 1e9)} if kept else {}
        result = epoch.run(net, data, how, TrainOptions(0.02, 0.5))
        passes.append((result.xent.avg_loss, *(value for *_, value in net.network.params())))
    assert passes[0][0] == passes[1][0]
    assert all(torch.equal(*pair) for pair in zip(passes[0][1:], passes[1][1:], strict=True))


def test_what_does_not_fit_is_not_kept(data):
    bytes_needed = 2 * 4 * sum(LENGTHS) * (FEATS + CLASSES)
    assert read_table(data, torch.device("cpu"), bytes_needed - 1) is None
    assert read_table(data, torch.device("cpu"), bytes_needed) is not None


class BehindXent(Xent):
    """Sums that are read when a GPU's would be."""

    reads = 0

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.behind = True

    def read(self):
        self.reads += 1
        super().read()


def test_losses_are_told_after_the_same_minibatches_as_on_the_cpu(monkeypatch):
    monkeypatch.setattr("steps.nnet1.loss.LOOK_SECONDS", 1e9)
    generator = torch.Generator().manual_seed(0)
    weights = [(torch.rand(8, generator=generator) > 0.3).float() for _ in range(40)]
    sums = {}
    for kind in (Xent, BehindXent):
        xent = kind(CLASSES, report_frames=50)
        for weight in weights:
            xent.eval(torch.full((8, CLASSES), 1 / CLASSES), torch.eye(CLASSES)[[0] * 8], weight)
            xent.note(8)
        xent.read()
        sums[kind] = (xent.progress, xent.avg_loss)
    assert sums[Xent] == sums[BehindXent]
    assert len(sums[Xent][0]) > 2
    assert 0 < xent.reads < 40


def test_a_loss_that_is_no_number_is_named_at_the_end(data, monkeypatch):
    monkeypatch.setattr(epoch, "Xent", BehindXent)
    monkeypatch.setattr("steps.nnet1.loss.LOOK_SECONDS", 1e9)
    net = Net(make(DNN))
    net.network.components[1].weight[0, 0] = float("nan")
    with pytest.raises(UserError, match="epoch 3: the cross-entropy is nan"):
        epoch.run(net, data, Frames(8), TrainOptions(0.01), where="epoch 3")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
@pytest.mark.parametrize("fits", [True, False], ids=["kept on the GPU", "read ahead"])
@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "momentum, penalties"])
@pytest.mark.parametrize("name", NETWORKS)
def test_an_epoch_agrees_with_the_cpu(data, name, options, fits):
    lines, how = NETWORKS[name]
    data.tables = {} if fits else {GPU: None}
    passes = []
    for device in (torch.device("cpu"), GPU):
        net = Net(make(lines), device, num_stream=how.num_stream)
        result = epoch.run(net, data, how, options)
        loss = epoch.run(net, data, how, None).xent.avg_loss
        passes.append((result.xent.avg_loss, loss, dict(((i, n), v) for i, n, v in net.export().params())))
    (tr, cv, params), (gpu_tr, gpu_cv, gpu_params) = passes
    assert gpu_tr == pytest.approx(tr, rel=1e-5) and gpu_cv == pytest.approx(cv, rel=1e-5)
    for place, value in params.items():
        assert abs(gpu_params[place] - value).max() <= 1e-4 * abs(value).max(), place


on_gpu = pytest.param(GPU, marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU"))


@pytest.mark.parametrize("device", [torch.device("cpu", 0), on_gpu], ids=str)
@pytest.mark.parametrize("lines", [DNN, LSTM, CONTEXT], ids=["dnn", "lstm", "context"])
def test_posteriors_of_torch_do_not_depend_on_what_runs_beside_them(lines, device):
    rng = np.random.default_rng(0)
    feats = [(f"utt{n}", rng.standard_normal((n, FEATS)).astype(np.float32)) for n in range(1, 150, 2)]
    forward, host = Forward(make(lines), device=device), Forward(make(lines))
    if lines is LSTM and device.type == "cpu":  # as on a GPU, where calls have one shape
        forward.on.fixed, forward.on.num_stream, forward.on.frames = True, 3, 16
    together, on_cpu = dict(forward.all(feats)), dict(host.all(feats))
    for key, value in feats[::9]:
        assert np.array_equal(dict(forward.all([(key, value)]))[key], together[key])
        assert np.array_equal(dict(host.all([(key, value)]))[key], on_cpu[key])
        np.testing.assert_allclose(together[key], on_cpu[key], atol=2e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_a_loss_on_the_gpu_that_is_no_number_is_named(data):
    network = make(DNN)
    network.components[1].weight[0, 0] = float("nan")
    with pytest.raises(UserError, match="epoch 3: the cross-entropy is nan"):
        epoch.run(Net(network, GPU), data, Frames(8), TrainOptions(0.01), where="epoch 3")
