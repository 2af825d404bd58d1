"""Whole epochs on networks of other sizes than the reference's, against float64 and plain loops.

525 dimensions, --batch-size=60 --num-stream=4 --momentum=0.8 --targets-delay=5; utterances shorter than a
batch, than the delay, of one frame; fewer utterances than streams; both generations of clipping.
"""

import argparse
import re
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from steps import archive
from steps.nnet1 import components as nn
from steps.nnet1 import epoch, nnet_train_lstm_streams, products
from steps.nnet1.inputs import TrainingData
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.net import Net
from steps.nnet1.options import TrainOptions
from steps.nnet1.products import add_device_options, select_device
from tests.fixtures.nnet1.cases import PaddedChunks, units_apart
from tests.fixtures.nnet1.float64 import Affine, Clips, Lstm, Trainer

DIM, CLASSES, STREAMS, BATCH, MOMENTUM, DELAY = 525, 6, 4, 60, 0.8, 5
TWENTY = [137, 60, 61, 59, 12, 190, 45, 5, 130, 120, 90, 33, 1, 77, 150, 64, 119, 70, 20, 90]
DEFAULT_CLIPS = Clips(cell=50.0, diff=1.0, grad=250.0)


@dataclass(frozen=True)
class Case:
    """What is trained: lengths of the utterances, layers, generation, limits, and those that must be met."""

    name: str
    lengths: list[int]
    layers: int = 1
    modern: bool = False
    clips: Clips = field(default_factory=Clips)
    hits: frozenset[str] = frozenset()
    rate: float = 1e-3
    large_cells: bool = False
    sizes: tuple[int, int] = (40, 24)

    def __str__(self) -> str:
        return self.name


ALL_HIT = frozenset({"cell", "diff", "cell_diff", "grad"})
CASES = [
    Case("one layer", TWENTY),
    Case("two layers", TWENTY, layers=2),
    Case("sizes that fill no vector", TWENTY[:9], layers=2, sizes=(37, 19)),
    Case("fewer utterances than streams", [137, 12, 150], layers=2),
    Case("one utterance", [61]),
    Case("all shorter than a batch", [12, 5, 45, 33, 59, 60, 1, 20, 44, 7], layers=2),
    Case("cells clipped", [150, 130, 137, 12, 60], 2, hits=frozenset({"cell"}), large_cells=True),
    Case("today, one layer", TWENTY, modern=True, clips=DEFAULT_CLIPS),
    Case("today, two layers", TWENTY, layers=2, modern=True, clips=DEFAULT_CLIPS),
    Case("today, all clips", TWENTY, 2, True, Clips(0.3, 0.02, 0.03, 2.0), hits=ALL_HIT),
    Case(
        "today, clips of gradients",
        TWENTY,
        1,
        True,
        Clips(50, 0.05, 0, 1.0),
        hits=ALL_HIT - {"cell", "cell_diff"},
    ),
]


def utterances(lengths: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Smooth features about a centre of their class, float32 [frames, DIM], and classes [frames]."""
    rng = np.random.default_rng(1)
    centres = 0.4 * rng.normal(size=(CLASSES, DIM))
    made = []
    for length in lengths:
        noise = rng.normal(size=(length + 9, DIM)).cumsum(axis=0)
        feats = (noise[9:] - noise[:-9]) / 3
        labels = rng.integers(CLASSES, size=1 + length // 50).repeat(50)[:length]
        made.append(((feats + centres[labels]).astype(np.float32), labels))
    return made


def parameters(case: Case) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
    """Initial parameters of the LSTMs, and of the output layer's weight, float32."""
    rng = np.random.default_rng(2)
    cell_dim, proj_dim = case.sizes
    lstms, dim = [], DIM
    for _ in range(case.layers):
        shapes = nn.Lstm.shapes(dim, proj_dim, cell_dim)
        span = {name: 1.5 / np.sqrt(shape[-1]) if len(shape) == 2 else 0.2 for name, shape in shapes.items()}
        draw = {
            name: rng.uniform(-span[name], span[name], shapes[name]).astype(np.float32) for name in shapes
        }
        if case.large_cells:  # g, i and f near 1 in some cells: they grow by 1 a frame
            for gate, value in enumerate((5, 9, 9)):
                draw["bias"][gate * cell_dim : gate * cell_dim + 5] = value
        lstms.append(draw)
        dim = proj_dim
    return lstms, rng.normal(0, 0.1, (CLASSES, proj_dim)).astype(np.float32)


def network(case: Case) -> nn.Network:
    lstms, weight = parameters(case)
    cell_dim, proj_dim = case.sizes
    clips = {f"{name}_clip": getattr(case.clips, name) for name in ("cell", "diff", "cell_diff", "grad")}
    made: list[nn.Component] = [] if case.modern else [nn.Transmit(DIM, DIM)]
    for number, draw in enumerate(lstms):
        shape = (DIM if number == 0 else proj_dim, proj_dim)
        tensors = {name: torch.from_numpy(value.copy()) for name, value in draw.items()}
        if case.modern:
            made.append(nn.LstmProjected(*shape, cell_dim=cell_dim, **tensors, **clips))
        else:
            made.append(nn.LstmProjectedStreams(*shape, cell_dim=cell_dim, num_stream=STREAMS, **tensors))
    bias = torch.zeros(CLASSES)
    made.append(nn.AffineTransform(proj_dim, CLASSES, weight=torch.from_numpy(weight.copy()), bias=bias))
    return nn.Network([*made, nn.Softmax(CLASSES, CLASSES)], "modern" if case.modern else "2014")


def expected(case: Case) -> tuple[Trainer, list[np.ndarray]]:
    """The epoch in float64: its counts, and the tensors in the order of the model file."""
    lstms, weight = parameters(case)
    layers = [Lstm(draw, case.clips, STREAMS) for draw in lstms]
    affine = Affine(weight, np.zeros(CLASSES))
    delay = 0 if case.modern else DELAY
    trainer = Trainer(layers, affine, BATCH, delay, case.modern, case.rate, MOMENTUM)
    trainer.run(utterances(case.lengths))
    assert case.hits <= set().union(*(layer.hits for layer in layers))
    return trainer, [
        *(value for layer in layers for value in layer.params.values()),
        affine.weight,
        affine.bias,
    ]


def trained(case: Case, folder, *more: str) -> nn.Network:
    """The epoch as the tool runs it on the command line, with ``more`` options.

    Networks of today are trained as ``nnet-train-multistream`` does, which is not one of our tools.
    """
    with (
        archive.Writer(f"ark:{folder}/f.ark") as feats,
        archive.Writer(f"ark:{folder}/l.ark", kind="posterior") as labels,
    ):
        for number, (matrix, classes) in enumerate(utterances(case.lengths)):
            feats.write(f"utt{number:02}", matrix)
            labels.write(f"utt{number:02}", [[(int(label), 1.0)] for label in classes])
    write_network(network(case), folder / "in")
    places = [f"ark:{folder}/f.ark", f"ark:{folder}/l.ark", f"{folder}/in", f"{folder}/out"]
    options = [f"--momentum={MOMENTUM}", f"--learn-rate={case.rate}", f"--batch-size={BATCH}"]
    options += [*more, f"--num-stream={STREAMS}", f"--targets-delay={DELAY}", *places]
    if not case.modern:
        nnet_train_lstm_streams.main(options)
        return read_network(folder / "out")
    parser = argparse.ArgumentParser()
    add_device_options(parser)
    net = Net(read_network(folder / "in"), select_device(parser.parse_args(more)), num_stream=STREAMS)
    data = TrainingData(*places[:2], DIM, CLASSES)
    result = epoch.run(net, data, PaddedChunks(BATCH, STREAMS), TrainOptions(case.rate, MOMENTUM))
    print(result.xent.report(), file=sys.stderr)
    return net.export()


@pytest.fixture(autouse=True)
def choose_kernels_again():
    yield
    products.use("auto")


WAYS = [["--kernels=auto"], ["--kernels=torch"], ["--use-gpu=yes"], ["--use-gpu=yes", "--kernels=torch"]]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_epoch_is_that_of_the_equations(case, tmp_path, capsys):
    trainer, tensors = expected(case)
    for way in WAYS if torch.cuda.is_available() else WAYS[:2]:
        limit = 1e-4 if "--use-gpu=yes" in way else 1e-5
        ours = trained(case, tmp_path, *way)
        before = [tensor for _, _, tensor in network(case).params()]
        for (_, name, tensor), first, exact in zip(ours.params(), before, tensors, strict=True):
            error = np.abs(tensor - exact).max()
            assert error <= limit * np.abs(exact).max(), (way, name)
            assert error <= 100 * limit * np.abs(np.asarray(first) - exact).max(), (way, name)
        report = capsys.readouterr().err
        loss = re.findall(r"AvgLoss: (\S+)", report)[-1]
        assert units_apart(trainer.loss / trainer.frames, loss) <= 0.6
        assert f"FRAME_ACCURACY >> {100 * trainer.right / trainer.frames:g}% <<" in report
