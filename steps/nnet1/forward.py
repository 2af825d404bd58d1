"""Forward pass over utterances, and what ``nnet-forward`` may do to its output.

LSTM networks run over several utterances side by side, each as if it were alone: the recurrent weights are
read once for all of them. On the CPU every other product is of one utterance, and the C kernels sum each
value in an order of its own; on a GPU all products have the same number of rows. So the output has the same
bits whatever runs beside it: results do not depend on how a list was split into jobs. What stands before the
first LSTM (a ``TimeShift``) and behind the last one is applied to whole utterances.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from steps.nnet1 import components as nn
from steps.nnet1 import kernels, lstm_native, products
from steps.nnet1.inputs import check_features
from steps.nnet1.layers import Layer, SigmoidLayer, TanhLayer
from steps.nnet1.lstm import LstmLayer
from steps.nnet1.lstm_triton import TritonLstmLayer
from steps.nnet1.net import Net
from utils import cli
from utils.cli import UserError
from utils.read_ahead import read_ahead

FLOOR = 1e-20
NUM_STREAM = 16  # utterances side by side on the CPU
MANY, VERY_MANY = 64, 128  # on a GPU, in Triton's kernels and in plain torch
CHUNK = 64
AHEAD = 16


def without_softmax(network: nn.Network, name: str) -> nn.Network:
    """Return the network without its last component, which must be a softmax."""
    last = network.components[-1]
    if not isinstance(last, nn.Softmax):
        raise UserError(f"{name}: --no-softmax=true, but the last component is <{last.kind}>")
    if len(network.components) == 1:
        raise UserError(f"{name}: --no-softmax=true would leave no component")
    cli.log(f"Removing <Softmax> from the nnet {name}")
    return nn.Network(network.components[:-1], network.generation)


def log_priors(counts: np.ndarray, floor: float = 1e-10) -> np.ndarray:
    """Log of the relative frequencies [classes]; a class rarer than ``floor`` gets ``sqrt(FLT_MAX)``.

    Subtracted from log posteriors, that makes the class impossible; how many there are is logged.
    """
    relative = counts.astype(np.float64) / counts.sum()
    priors = np.log(relative + FLOOR)
    impossible = math.sqrt(float(np.finfo(np.float32).max))
    priors[relative < floor] = impossible
    cli.log(
        f"Floored {np.count_nonzero(relative < floor)} pdf-priors (hard-set to {impossible:g}, "
        "which disables DNN output when decoding)"
    )
    return priors.astype(np.float32)


@dataclass
class Forward:
    """Posteriors of utterances: features, transform, network, logarithm, priors."""

    net: Net
    transform: Net | None = None
    apply_log: bool = False
    priors: np.ndarray | None = None
    prior_scale: float = 1.0

    def __post_init__(self) -> None:
        self.frames = 0
        self.utterances = 0
        if self.priors is not None and len(self.priors) != self.net.network.output_dim:
            raise UserError(
                f"{len(self.priors)} class counts for a network with {self.net.network.output_dim} outputs"
            )

    def _finish(self, key: str, y: torch.Tensor) -> np.ndarray:
        """Return the output [frames, classes] float32 after logarithm and priors."""
        if self.apply_log:
            y = (y + FLOOR).log()
        output = y.cpu().numpy()
        if self.priors is not None:
            output = output - np.float32(self.prior_scale) * self.priors
        if not np.isfinite(output).all():
            raise UserError(f"{key}: the output of the network holds numbers that are not finite")
        self.frames += len(output)
        self.utterances += 1
        return output

    def all(self, utterances: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(key, output)`` for each ``(key, feats)``; utterances without frames are left out.

        The output of an utterance has the same bits whichever others come before and after it.
        """
        on_host = self.net.device.type == "cpu"
        inputs = self._inputs(utterances if on_host else read_ahead(utterances, AHEAD))
        outputs = side_by_side(self.net, inputs) if can_run(self.net) else map(self._alone, inputs)
        with torch.no_grad():
            for key, y in outputs:
                yield key, self._finish(key, y)

    def _inputs(self, utterances: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, torch.Tensor]]:
        first = self.transform or self.net
        for key, feats in utterances:
            if len(feats) == 0:
                cli.warn(f"{key}, skipped: it is empty")
                continue
            check_features(key, feats, first.network.input_dim)
            x = torch.from_numpy(np.ascontiguousarray(feats, dtype=np.float32))
            if self.transform is not None:
                x = self.transform.feedforward(x.to(self.transform.device))
            yield key, x.to(self.net.device)

    def _alone(self, item: tuple[str, torch.Tensor]) -> tuple[str, torch.Tensor]:
        return item[0], self.net.feedforward(item[1])


@dataclass
class _Run:
    """An utterance under way: its input, its output, and the state of every LSTM."""

    number: int
    key: str
    x: torch.Tensor
    y: torch.Tensor
    states: list[tuple[torch.Tensor, torch.Tensor]]
    position: int = 0


def can_run(net: Net) -> bool:
    """Tell whether the network has LSTMs fit for it and only frame-wise, exact layers between them."""
    places = [index for index, layer in enumerate(net.layers) if isinstance(layer, LstmLayer)]
    if not places:
        return False
    between = net.layers[places[0] : places[-1] + 1]
    framewise = all(isinstance(layer, LstmLayer | SigmoidLayer | TanhLayer) for layer in between)
    return framewise and (net.device.type != "cpu" or _in_c())


def _in_c() -> bool:
    """Whether the C kernels can run, and nothing else was asked for: on the CPU they alone are exact."""
    return products.asked("thin") in ("", "c") and kernels.library() is not None


def side_by_side(
    net: Net, utterances: Iterable[tuple[str, torch.Tensor]], num_stream: int | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield ``(key, output [frames, output_dim])`` in the order of ``(key, input [frames, input_dim])``.

    Parameters
    ----------
    net : Net
        One for which :func:`can_run` holds; its weights must not change meanwhile.
    utterances : iterable
        Read ``num_stream`` ahead.
    num_stream : int, optional
        Utterances side by side; by default what suits the device.
    """
    places = [index for index, layer in enumerate(net.layers) if isinstance(layer, LstmLayer)]
    front, back = net.layers[: places[0]], net.layers[places[-1] + 1 :]
    middle = [_fresh(net, layer) for layer in net.layers[places[0] : places[-1] + 1]]
    if num_stream is None and net.device.type == "cpu":
        num_stream = NUM_STREAM
    elif num_stream is None:
        num_stream = MANY if any(isinstance(layer, TritonLstmLayer) for layer in middle) else VERY_MANY
    source = enumerate(utterances)
    runs: list[_Run] = []
    done: dict[int, tuple[str, torch.Tensor]] = {}
    following = 0
    while True:
        while len(runs) < num_stream and (item := next(source, None)) is not None:
            number, (key, x) = item
            runs.append(_start(number, key, _apply(front, x), middle))
            del x, item  # as large as the features
        if not runs:
            return
        _advance(runs, middle, len(runs) if net.device.type == "cpu" else num_stream)
        for run in [run for run in runs if run.position >= len(run.x)]:
            done[run.number] = (run.key, _apply(back, run.y))
            runs.remove(run)
        while following in done:
            yield done.pop(following)
            following += 1


def _fresh(net: Net, layer: Layer) -> Layer:
    """Return a layer of our own over the same LSTM, or the layer itself if it has no memory."""
    if not isinstance(layer, LstmLayer):
        return layer
    if net.device.type == "cpu":
        native = lstm_native.layer_by(layer.lstm, 1, "c", "c")
        native.each_alone = True
        return native
    fresh = net.lstm_layer(layer.lstm)
    if isinstance(fresh, TritonLstmLayer) and not fresh.grid.keeps_all:
        # With so many streams a product a frame is faster than weights read again for every four of them.
        return LstmLayer(layer.lstm, 1)
    return fresh


def _apply(layers: list[Layer], x: torch.Tensor) -> torch.Tensor:
    for layer in layers:
        x = layer.propagate(x)
    return x


def _start(number: int, key: str, x: torch.Tensor, middle: list[Layer]) -> _Run:
    lstms = [layer for layer in middle if isinstance(layer, LstmLayer)]
    states = [(x.new_zeros(lstm.cell_dim), x.new_zeros(lstm.output_dim)) for lstm in lstms]
    return _Run(number, key, x, x.new_empty(len(x), lstms[-1].output_dim), states)


def _advance(runs: list[_Run], middle: list[Layer], streams: int) -> None:
    """Take every run ``CHUNK`` frames further; what lies behind an end is computed and left.

    There are at least as many streams as runs; the others are zeros.
    """
    frames = CHUNK
    chunk = runs[0].x.new_zeros(frames, streams, runs[0].x.shape[1])
    for stream, run in enumerate(runs):
        part = run.x[run.position : run.position + frames]
        chunk[: len(part), stream] = part
    lstms = [layer for layer in middle if isinstance(layer, LstmLayer)]
    for index, lstm in enumerate(lstms):
        lstm.num_stream = streams
        lstm.start_utterance()
        lstm.state_c[: len(runs)] = torch.stack([run.states[index][0] for run in runs])
        lstm.state_r[: len(runs)] = torch.stack([run.states[index][1] for run in runs])
    y = _apply(middle, chunk.flatten(0, 1)).view(frames, streams, -1)
    for stream, run in enumerate(runs):
        part = run.y[run.position : run.position + frames]
        part[:] = y[: len(part), stream]
        run.position += frames
        run.states = [(lstm.state_c[stream], lstm.state_r[stream]) for lstm in lstms]
