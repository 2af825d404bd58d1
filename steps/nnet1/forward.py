"""Forward pass over utterances, and what ``nnet-forward`` may do to its output.

Utterances pass block by block, so that memory does not grow with their lengths. LSTM networks run over
several side by side, each as if it were alone: the weights are read once for all. On the CPU the C kernels
sum each value in one order whatever the number of rows, and what stands before the first LSTM and behind the
last one takes blocks of an utterance alone; on a GPU all products have the same number of rows. So the
output has the same bits whatever runs beside it: results do not depend on how a list was split into jobs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from steps import mapped
from steps.nnet1 import components as nn
from steps.nnet1 import kernels, products
from steps.nnet1.inputs import check_features
from steps.nnet1.layers import Layer, SigmoidLayer, SpliceLayer, TanhLayer
from steps.nnet1.lstm import LstmLayer
from steps.nnet1.lstm_native import ForwardLstmLayer
from steps.nnet1.lstm_triton import TritonLstmLayer
from steps.nnet1.net import Net
from utils import cli
from utils.cli import UserError
from utils.read_ahead import read_ahead

FLOOR = 1e-20
NUM_STREAM = 16  # utterances side by side on the CPU
MANY, VERY_MANY = 64, 128  # on a GPU, in Triton's kernels and in plain torch
CHUNK, GPU_CHUNK = 32, 64  # frames of a call
BLOCK, LARGE_BLOCK, GPU_BLOCK = 64, 512, 8192  # frames before and behind LSTMs; without any; on a GPU
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
class _Run:
    """An utterance under way: what has been prepared of it and is to pass, has passed, and is done."""

    number: int
    key: str
    feats: np.ndarray
    output: np.ndarray
    x: torch.Tensor
    states: list[tuple[torch.Tensor, torch.Tensor]]
    y: list[torch.Tensor] = field(default_factory=list)
    prepared: int = 0
    passed: int = 0
    done: int = 0


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
        self.on_host = self.net.device.type == "cpu"
        before = [] if self.transform is None else self.transform.layers
        places = [index for index, layer in enumerate(self.net.layers) if isinstance(layer, LstmLayer)]
        side_by_side = can_run(self.net)
        first, last = (places[0], places[-1] + 1) if side_by_side else (len(self.net.layers),) * 2
        self.front = [*before, *self.net.layers[:first]]
        self.middle = [_fresh(self.net, layer) for layer in self.net.layers[first:last]]
        self.back = self.net.layers[last:]
        self.lstms = [layer for layer in self.middle if isinstance(layer, LstmLayer)]
        self.whole = [layer for layer in self.front if isinstance(layer, LstmLayer)]
        self.num_stream = 1
        if side_by_side:
            many = MANY if any(isinstance(layer, TritonLstmLayer) for layer in self.lstms) else VERY_MANY
            self.num_stream = NUM_STREAM if self.on_host else many
        self.block = GPU_BLOCK if not self.on_host else BLOCK if side_by_side else LARGE_BLOCK

    def all(self, utterances: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(key, output)`` for each ``(key, feats)``; utterances without frames are left out.

        The output of an utterance has the same bits whichever others come before and after it.
        """
        source = enumerate(self._usable(utterances if self.on_host else read_ahead(utterances, AHEAD)))
        runs: list[_Run] = []
        done: dict[int, tuple[str, np.ndarray]] = {}
        following = 0
        while True:
            while len(runs) < self.num_stream and (item := next(source, None)) is not None:
                runs.append(self._start(item[0], *item[1]))
            if not runs:
                return
            self._advance(runs)
            for run in [run for run in runs if run.done == len(run.output)]:
                done[run.number] = (run.key, run.output)
                runs.remove(run)
            while following in done:
                self.frames += len(done[following][1])
                self.utterances += 1
                yield done.pop(following)
                following += 1

    def _usable(self, utterances: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
        for key, feats in utterances:
            if len(feats) == 0:
                cli.warn(f"{key}, skipped: it is empty")
            else:
                yield key, feats

    def _start(self, number: int, key: str, feats: np.ndarray) -> _Run:
        like = next((lstm.lstm.bias for lstm in self.lstms), torch.empty(0))
        states = [(like.new_zeros(lstm.cell_dim), like.new_zeros(lstm.output_dim)) for lstm in self.lstms]
        output = mapped.empty((len(feats), self.net.network.output_dim))
        return _Run(number, key, feats, output, like.new_empty(0), states)

    @torch.no_grad()
    def _advance(self, runs: Sequence[_Run]) -> None:
        """Take every run some frames further."""
        for run in runs:
            self._prepare(run)
        if not self.middle:
            for run in runs:
                self._pass_on(run, run.x, len(run.x))
            return
        # A GPU's products have one number of rows; what lies behind an end is computed and left.
        frames = min(CHUNK, *(len(run.x) for run in runs)) if self.on_host else GPU_CHUNK
        streams = len(runs) if self.on_host else self.num_stream
        chunk = runs[0].x.new_zeros(frames, streams, runs[0].x.shape[1])
        for stream, run in enumerate(runs):
            part = run.x[:frames]
            chunk[: len(part), stream] = part
        for index, lstm in enumerate(self.lstms):
            lstm.num_stream = streams
            lstm.start_utterance()
            lstm.state_c[: len(runs)] = torch.stack([run.states[index][0] for run in runs])
            lstm.state_r[: len(runs)] = torch.stack([run.states[index][1] for run in runs])
        y = chunk.flatten(0, 1)
        for layer in self.middle:
            y = layer.propagate(y)
        y = y.view(frames, streams, -1)
        for stream, run in enumerate(runs):
            run.states = [(lstm.state_c[stream], lstm.state_r[stream]) for lstm in self.lstms]
            self._pass_on(run, y[:, stream], min(frames, len(run.x)))

    def _prepare(self, run: _Run) -> None:
        """See that there are inputs of the first LSTM for a call, unless the utterance ends before."""
        length = len(run.feats)
        while len(run.x) < (CHUNK if self.on_host else GPU_CHUNK) and run.prepared < length:
            high = length if self.whole else min(run.prepared + self.block, length)
            for lstm in self.whole:
                lstm.start_utterance()
            x = self._rows(self.front, run, run.prepared, high)
            run.x = torch.cat([run.x, x]) if len(run.x) else x
            run.prepared = high
            if high == length or high % mapped.ROWS == 0:
                mapped.let_go(run.feats)

    def _rows(self, layers: Sequence[Layer], run: _Run, low: int, high: int) -> torch.Tensor:
        """Return frames ``low`` to ``high - 1`` of an utterance after some layers."""
        if not layers:
            dim = (self.transform or self.net).network.input_dim
            check_features(run.key, run.feats[low:high], dim, low)
            rows = np.ascontiguousarray(run.feats[low:high], dtype=np.float32)
            return torch.from_numpy(rows).to(self.net.device, copy=True)  # beginning at a cache line
        *before, layer = layers
        if not isinstance(layer, SpliceLayer):
            return layer.propagate(self._rows(before, run, low, high))
        wanted = torch.arange(low, high)[:, None] + torch.tensor(layer.offsets)
        wanted = wanted.clamp_(0, len(run.feats) - 1)
        first, last = int(wanted.min()), int(wanted.max())
        x = self._rows(before, run, first, last + 1)
        return x[(wanted - first).to(x.device)].flatten(1)

    def _pass_on(self, run: _Run, y: torch.Tensor, frames: int) -> None:
        """Take what has passed the LSTMs through the rest of the network, in the utterance's own blocks."""
        run.x = run.x[frames:]
        run.y.append(y[:frames].clone() if self.middle else y)
        run.passed += frames
        ends = run.passed == len(run.output)
        if run.passed - run.done < self.block and not ends:
            return
        rows = torch.cat(run.y) if len(run.y) > 1 else run.y[0]
        run.y = []
        size = len(rows) if self.whole else self.block
        while len(rows) >= size or (ends and len(rows)):
            piece, rows = rows[:size], rows[size:]
            for layer in self.back:
                piece = layer.propagate(piece)
            run.output[run.done : run.done + len(piece)] = self._finished(run.key, piece)
            run.done += len(piece)
        if len(rows):
            run.y = [rows]

    def _finished(self, key: str, y: torch.Tensor) -> np.ndarray:
        """Return the output [frames, classes] float32 after logarithm and priors."""
        if self.apply_log:
            y = (y + FLOOR).log()
        output = y.cpu().numpy()
        if self.priors is not None:
            output = output - np.float32(self.prior_scale) * self.priors
        if not np.isfinite(output).all():
            raise UserError(f"{key}: the output of the network holds numbers that are not finite")
        return output


def can_run(net: Net) -> bool:
    """Tell whether LSTMs can run side by side: only frame-wise, exact layers between, no context behind."""
    places = [index for index, layer in enumerate(net.layers) if isinstance(layer, LstmLayer)]
    if not places:
        return False
    between, behind = net.layers[places[0] : places[-1] + 1], net.layers[places[-1] + 1 :]
    if not all(isinstance(layer, LstmLayer | SigmoidLayer | TanhLayer) for layer in between):
        return False
    if any(isinstance(layer, SpliceLayer) for layer in behind):
        return False
    # The C kernels, where nothing else was asked for: on the CPU they alone are exact.
    return net.device.type != "cpu" or products.asked("thin") in ("", "c") and kernels.library() is not None


def _fresh(net: Net, layer: Layer) -> Layer:
    """Return a layer of our own over the same LSTM, or the layer itself if it has no memory."""
    if not isinstance(layer, LstmLayer):
        return layer
    library = kernels.library() if net.device.type == "cpu" else None
    if library is not None:
        return ForwardLstmLayer(layer.lstm, library)
    fresh = net.lstm_layer(layer.lstm)
    if isinstance(fresh, TritonLstmLayer) and not fresh.grid.keeps_all:
        # With so many streams a product a frame is faster than weights read again for every four of them.
        return LstmLayer(layer.lstm, 1)
    return fresh
