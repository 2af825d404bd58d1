"""Forward pass over utterances, and what ``nnet-forward`` may do to its output.

Utterances pass block by block, so that memory does not grow with their lengths. LSTM networks run over
several side by side, each as if it were alone: the weights are read once for all. On the CPU the C kernels
sum each value in one order whatever the number of rows, and what stands before the first LSTM and behind the
last one takes blocks of an utterance alone; torch's products all have the same number of rows. So the
output has the same bits whatever runs beside it: results do not depend on how a list was split into jobs.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steps import mapped
from steps.nnet1 import components as nn
from steps.nnet1 import kernels
from steps.nnet1.components import check_features
from steps.nnet1.host import Host
from utils import cli
from utils.cli import UserError
from utils.read_ahead import read_ahead

Array = Any  # of NumPy or torch
FLOOR = 1e-20
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
    states: list[tuple[Array, Array]]
    x: Array = ()
    y: list[Array] = field(default_factory=list)
    prepared: int = 0
    passed: int = 0
    done: int = 0


@dataclass
class Forward:
    """Posteriors of utterances: features, transform, network, logarithm, priors.

    ``device`` is ``cpu`` or torch's; ``num_threads`` are those of C, NumPy's are set outside.
    """

    network: nn.Network
    transform: nn.Network | None = None
    device: Any = "cpu"
    num_threads: int = 1
    apply_log: bool = False
    priors: np.ndarray | None = None
    prior_scale: float = 1.0

    def __post_init__(self) -> None:
        self.frames = 0
        self.utterances = 0
        if self.priors is not None and len(self.priors) != self.network.output_dim:
            raise UserError(
                f"{len(self.priors)} class counts for a network with {self.network.output_dim} outputs"
            )
        self.on = self._place()
        before = [] if self.transform is None else self.transform.components
        inside = self.network.components
        places = [index for index, component in enumerate(inside) if isinstance(component, nn.Lstm)]
        side_by_side = can_run(inside)
        first, last = (places[0], places[-1] + 1) if side_by_side else (len(inside),) * 2
        parts = ([*before, *inside[:first]], inside[first:last], inside[last:])
        self.front, self.middle, self.back = (self.on.layers(part, self.network.generation) for part in parts)
        self.lstms, self.whole = (
            [layer for layer in layers if isinstance(layer.component, nn.Lstm)]
            for layers in (self.middle, self.front)
        )
        self.num_stream = self.on.num_stream if side_by_side else 1
        self.block = self.on.block if side_by_side else self.on.large_block

    def _place(self) -> Any:
        if str(self.device) == "cpu" and (library := kernels.library()) is not None:
            return Host(library, self.num_threads)
        from steps.nnet1.gpu import Torch

        return Torch(self.device)

    def all(self, utterances: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(key, output)`` for each ``(key, feats)``; utterances without frames are left out.

        The output of an utterance has the same bits whichever others come before and after it.
        """
        source = enumerate(self._usable(utterances if self.on.rows_vary else read_ahead(utterances, AHEAD)))
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
        zeros = self.on.zeros
        states = [(zeros(lstm.lstm.cell_dim), zeros(lstm.lstm.output_dim)) for lstm in self.lstms]
        return _Run(number, key, feats, mapped.empty((len(feats), self.network.output_dim)), states)

    def _advance(self, runs: Sequence[_Run]) -> None:
        """Take every run some frames further."""
        for run in runs:
            self._prepare(run)
        if not self.middle:
            for run in runs:
                self._pass_on(run, run.x, len(run.x))
            return
        # Torch's products have one number of rows; what lies behind an end is computed and left.
        frames, streams = self.on.chunk, self.num_stream
        if self.on.rows_vary:
            frames, streams = min(frames, *(len(run.x) for run in runs)), len(runs)
        chunk = self.on.zeros(frames, streams, runs[0].x.shape[1])
        for stream, run in enumerate(runs):
            part = run.x[:frames]
            chunk[: len(part), stream] = part
        for index, lstm in enumerate(self.lstms):
            lstm.num_stream = streams
            lstm.start_utterance()
            lstm.state_c[: len(runs)] = self.on.stack([run.states[index][0] for run in runs])
            lstm.state_r[: len(runs)] = self.on.stack([run.states[index][1] for run in runs])
        y = chunk.reshape(frames * streams, -1)
        for layer in self.middle:
            y = layer.propagate(y)
        y = y.reshape(frames, streams, -1)
        for stream, run in enumerate(runs):
            run.states = [(lstm.state_c[stream], lstm.state_r[stream]) for lstm in self.lstms]
            self._pass_on(run, y[:, stream], min(frames, len(run.x)))

    def _prepare(self, run: _Run) -> None:
        """See that there are inputs of the first LSTM for a call, unless the utterance ends before."""
        length = len(run.feats)
        while len(run.x) < self.on.chunk and run.prepared < length:
            high = length if self.whole else min(run.prepared + self.block, length)
            for lstm in self.whole:
                lstm.start_utterance()
            x = self._rows(self.front, run, run.prepared, high)
            run.x = self.on.concatenate([run.x, x]) if len(run.x) else x
            run.prepared = high
            if high == length or high % mapped.ROWS == 0:
                mapped.let_go(run.feats)

    def _rows(self, layers: Sequence[Any], run: _Run, low: int, high: int) -> Array:
        """Return frames ``low`` to ``high - 1`` of an utterance after some layers."""
        if not layers:
            rows = run.feats[low:high]
            check_features(run.key, rows, (self.transform or self.network).input_dim, low)
            return self.on.from_host(rows)
        *before, layer = layers
        if not hasattr(layer, "offsets"):
            return layer.propagate(self._rows(before, run, low, high))
        wanted = np.arange(low, high)[:, None] + np.array(layer.offsets)
        wanted = wanted.clip(0, len(run.feats) - 1)
        first, last = wanted.min(), wanted.max()
        x = self._rows(before, run, int(first), int(last) + 1)
        return x[wanted - first].reshape(high - low, -1)

    def _pass_on(self, run: _Run, y: Array, frames: int) -> None:
        """Take what has passed the LSTMs through the rest of the network, in the utterance's own blocks."""
        run.x = run.x[frames:]
        run.y.append(self.on.concatenate([y[:frames]]) if self.middle else y)
        run.passed += frames
        ends = run.passed == len(run.output)
        if run.passed - run.done < self.block and not ends:
            return
        rows = self.on.concatenate(run.y)
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

    def _finished(self, key: str, y: Array) -> np.ndarray:
        """Return the output [frames, classes] float32 after logarithm and priors."""
        output = self.on.to_host(y)
        if self.apply_log:
            output = np.log(output + np.float32(FLOOR))
        if self.priors is not None:
            output = output - np.float32(self.prior_scale) * self.priors
        if not np.isfinite(output).all():
            raise UserError(f"{key}: the output of the network holds numbers that are not finite")
        return output


def can_run(components: Sequence[nn.Component]) -> bool:
    """Tell whether LSTMs can run side by side: only element-wise layers between, no context behind."""
    places = [index for index, component in enumerate(components) if isinstance(component, nn.Lstm)]
    if not places:
        return False
    between, behind = components[places[0] : places[-1] + 1], components[places[-1] + 1 :]
    return all(isinstance(each, nn.Lstm | nn.Sigmoid | nn.Tanh) for each in between) and not any(
        isinstance(each, nn.Splice | nn.TimeShift) for each in behind
    )
