"""Command lines of the reference set that Kaldi's own tools were run with, and what came out.

The cases marked ``small`` have their files in the fixtures; the others need the full set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from steps.nnet1 import components as nn
from steps.nnet1 import epoch
from steps.nnet1.inputs import TrainingData
from steps.nnet1.minibatches import Frames, Minibatch, Streams
from steps.nnet1.model_file import read_network
from steps.nnet1.net import Net
from steps.nnet1.options import TrainOptions

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

    def network(self, number: int) -> str:
        """Path of the network after epoch ``number``."""
        return self.name if self.name == "lstm/bd_onestep" else f"{self.name}.it{number}"

    def logs(self, ending: str) -> list[Path]:
        """Kaldi's logs of all epochs: ``log`` of the trainings, ``cv.log`` of the cross-validations."""
        name = self.name.replace("/", "_")
        if self.name == "lstm/bd_onestep":
            return [path for path in [Path(f"log/{name}.{ending}")] if path.exists()]
        return sorted(Path("log").glob(f"{name}.it[0-9].{ending}"))

    def __str__(self) -> str:
        return self.name


def frames(name, options, results, init="dnn/dnn.init", transform=T, minibatch_size=32, small=False, **more):
    data = {key: more.pop(key) for key in ("targets", "frame_weights") if key in more}
    case = Case(f"dnn/{name}", init, options, results, transform, data, small)
    how = Frames(minibatch_size, **more)
    return case, lambda net, data, opts: epoch.run(net, data, how, opts), 1


def streams(name, options, results, delay, batch_size=20, init="lstm/google.init", small=False, **data):
    case = Case(f"lstm/{name}", init, options, results, T2014, {"length_tolerance": 0, **data}, small)
    how = Streams(batch_size, 4, delay)
    return case, lambda net, data, opts: epoch.run(net, data, how, opts), 4


def padded_chunks(utterances, num_stream, batch_size):
    """Yield the chunks of today's ``nnet-train-multistream``.

    Behind the end of an utterance, features and weights are zero. All ends as soon as one stream cannot be
    refilled: what the others still hold is discarded.
    """
    source, held = iter(utterances), [None] * num_stream
    while True:
        new = [utterance is None for utterance in held]
        held = [next(source, None) if utterance is None else utterance for utterance in held]
        if any(utterance is None for utterance in held):
            return
        frames = sum(min(batch_size, len(utterance[0])) for utterance in held)
        parts = []
        for part in range(3):
            rows = [utterance[part][:batch_size] for utterance in held]
            padded = torch.zeros(batch_size, num_stream, *rows[0].shape[1:])
            for index, row in enumerate(rows):
                padded[: len(row), index] = row
            parts.append(padded.flatten(0, 1))
        yield Minibatch(*parts, frames, new)
        held = [[part[batch_size:] for part in utterance] for utterance in held]
        held = [utterance if len(utterance[0]) else None for utterance in held]


def multistream_epoch(net, data, options, batch_size=20):
    """Train, or cross-validate without options, as ``nnet-train-multistream`` does."""
    for lstm in net.lstms:
        lstm.start_utterance()
    utterances = (utterance[1:] for utterance in data)
    return epoch.over(net, data, padded_chunks(utterances, net.num_stream, batch_size), options)


def utterance_epoch(net, data, options):
    """Train, or cross-validate without options, as ``nnet-train-perutt`` does."""
    return epoch.over(net, data, (Minibatch(*u[1:], len(u.feats), [True]) for u in data), options)


def multistream(name, options, results, init, transform=T, small=False):
    case = Case(f"lstm/{name}", init, options, results, transform, {}, small)
    return case, multistream_epoch, 4


def perutt(name, init, transform, results):
    case = Case(f"lstm/{name}", init, TrainOptions(0.001, 0.5), results, transform)
    return case, utterance_epoch, 1


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
        transform=first,
        **more,
    )


def distance(ours: nn.Network, kaldi: nn.Network) -> float:
    """Largest ``max|d| / max|W|`` over the tensors."""
    pairs = zip(ours.params(), kaldi.params(), strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for (_, _, a), (_, _, b) in pairs)


def units_apart(value: float, printed: str) -> float:
    """Units of the sixth digit between a value, not rounded, and what Kaldi printed.

    Kaldi's rounding alone makes up to half a unit.
    """
    unit = 10.0 ** (np.floor(np.log10(float(printed))) - 5)
    return abs(value - float(printed)) / unit
