"""Forward pass over utterances, and what ``nnet-forward`` may do to its output.

Utterances pass some frames at a time, so that memory does not grow with their lengths. LSTM networks run over
several side by side, each as if it were alone: the weights are read once for all. On the CPU the C kernels
sum each value in one order whatever the number of rows; torch's products on a GPU all have the same number of
rows. So the output has the same bits whatever runs beside it: results do not depend on how a list was split
into jobs.
"""

import math
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from steps import mapped
from steps.nnet1 import components as nn
from steps.nnet1 import kernels
from steps.nnet1.components import check_features
from steps.nnet1.host import Host
from utils import cli
from utils.cli import UserError
from utils.read_ahead import read_ahead

FLOOR = 1e-20
AHEAD = 2


def without_softmax(network: nn.Network, name: str) -> nn.Network:
    """Return the network without its last component, which must be a softmax."""
    *others, last = network.components
    if not isinstance(last, nn.Softmax):
        raise UserError(f"{name}: --no-softmax=true, but the last component is <{last.kind}>")
    cli.log(f"Removing <Softmax> from the nnet {name}")
    return nn.Network(others, network.generation)


def log_priors(counts: np.ndarray, floor: float = 1e-10) -> np.ndarray:
    """Log of the relative frequencies [classes]; a class rarer than ``floor`` gets ``sqrt(FLT_MAX)``.

    Subtracted from log posteriors, that makes the class impossible; how many there are is logged.
    """
    relative = counts.astype(np.float64) / counts.sum()
    priors = np.log(relative + FLOOR)
    impossible = math.sqrt(float(np.finfo(np.float32).max))
    priors[relative < floor] = impossible
    what = f"hard-set to {impossible:g}, which disables DNN output when decoding"
    cli.log(f"Floored {np.count_nonzero(relative < floor)} pdf-priors ({what})")
    return priors.astype(np.float32)


@dataclass(eq=False)
class _Run:
    """An utterance under way: frames that were given to the network, and that came out of it."""

    key: str
    feats: np.ndarray
    output: np.ndarray
    given: int = 0
    done: int = 0


class _Chunk(NamedTuple):
    """Input [frames, streams, columns] of a call; its streams are ``runs``, each with so many ``frames``.

    ``kept`` are the streams of the call before that go on, in the order of their streams here.
    """

    x: np.ndarray
    runs: list[_Run]
    frames: list[int]
    kept: list[int]


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
        self.frames = self.utterances = 0
        if self.priors is not None and len(self.priors) != self.network.output_dim:
            raise UserError(
                f"{len(self.priors)} class counts for a network with {self.network.output_dim} outputs"
            )
        before = self.transform.components if self.transform else []
        chain = nn.Network([*before, *self.network.components])  # they must fit
        components, self.input_dim = chain.components, chain.input_dim
        lstms = (place for place, part in enumerate(components) if isinstance(part, nn.Lstm))
        first = next(lstms, len(components))
        ahead, behind = (
            [part for part in some if hasattr(part, "offsets")]
            for some in (components[:first], components[first:])
        )
        self.context = [part.offsets for part in ahead]
        if str(self.device) == "cpu" and (library := kernels.library()) is not None:
            self.on: Any = Host(library, self.num_threads)
        else:
            from steps.nnet1.gpu import Torch

            self.on = Torch(self.device)
        self.layers = self.on.layers([part for part in components if part not in ahead])
        self.lstms = [layer for layer in self.layers if hasattr(layer, "state_c")]
        if behind:  # what looks at other frames of an LSTM's output needs them all
            self.on.fixed, self.on.num_stream, self.on.frames = False, 1, sys.maxsize

    def all(self, utterances: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(key, output)`` for each ``(key, feats)``; utterances without frames are left out.

        The output of an utterance has the same bits whichever others come before and after it.
        """
        order: deque[_Run] = deque()
        chunks = self._chunks(utterances)
        for chunk in chunks if str(self.device) == "cpu" else read_ahead(chunks, AHEAD):
            order.extend(chunk.runs[len(chunk.kept) :])
            y = self._pass(chunk)
            for stream, (run, frames) in enumerate(zip(chunk.runs, chunk.frames, strict=True)):
                run.output[run.done : run.done + frames] = self._finished(run.key, y[:frames, stream])
                run.done += frames
            while order and order[0].done == len(order[0].output):
                run = order.popleft()
                self.frames += run.done
                self.utterances += 1
                yield run.key, run.output

    def _chunks(self, utterances: Iterable[tuple[str, np.ndarray]]) -> Iterator[_Chunk]:
        """Cut utterances; where the shape is fixed, what lies behind an end is computed and left."""
        usable = self._usable(utterances)
        runs: list[_Run] = []
        while True:
            kept = [stream for stream, run in enumerate(runs) if run.given < len(run.feats)]
            runs = [runs[stream] for stream in kept]
            for key, feats in islice(usable, self.on.num_stream - len(runs)):
                runs.append(_Run(key, feats, mapped.empty((len(feats), self.network.output_dim))))
            if not runs:
                return
            left = [len(run.feats) - run.given for run in runs]
            most = self.on.frames * self.on.num_stream // len(runs)
            frames = self.on.frames if self.on.fixed else min(most, *left)
            inputs = [self._input(run, frames) for run in runs]
            if self.on.fixed:
                inputs += [np.zeros_like(inputs[0])] * (self.on.num_stream - len(runs))
            x = np.stack(inputs, axis=1) if len(inputs) > 1 else inputs[0][:, None]
            taken = [min(frames, rest) for rest in left]
            for run, number in zip(runs, taken, strict=True):
                run.given += number
                if run.given == len(run.feats) or run.given % mapped.ROWS < number:
                    mapped.let_go(run.feats)
            yield _Chunk(x, runs, taken, kept)

    def _usable(self, utterances: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
        for key, feats in utterances:
            if len(feats) == 0:
                cli.warn(f"{key}, skipped: it is empty")
            else:
                yield key, feats

    def _input(self, run: _Run, frames: int) -> np.ndarray:
        """Return the next frames [frames, columns], each with those that the layers before LSTMs look at."""
        last = len(run.feats) - 1
        rows = np.arange(run.given, run.given + frames).clip(0, last)
        for offsets in reversed(self.context):
            rows = (rows[:, None] + offsets).clip(0, last).ravel()
        first = int(rows.min())
        feats = run.feats[first : rows.max() + 1]
        check_features(run.key, feats, self.input_dim, first)
        return feats[rows - first].astype(np.float32, copy=False).reshape(frames, -1)

    def _pass(self, chunk: _Chunk) -> np.ndarray:
        """Return the output [frames, streams, classes]."""
        frames, streams, _ = chunk.x.shape
        for lstm in self.lstms:
            before = lstm.state_c[chunk.kept], lstm.state_r[chunk.kept]
            lstm.num_stream = streams
            lstm.start_utterance()
            lstm.state_c[: len(chunk.kept)], lstm.state_r[: len(chunk.kept)] = before
        y = self.on.from_host(chunk.x)
        for layer in self.layers:
            y = layer.propagate(y.reshape(-1, layer.input_dim))
        return self.on.to_host(y).reshape(frames, streams, -1)

    def _finished(self, key: str, y: np.ndarray) -> np.ndarray:
        """Return the output [frames, classes] float32 after logarithm and priors."""
        if self.apply_log:
            y = np.log(y + np.float32(FLOOR))
        if self.priors is not None:
            y = y - np.float32(self.prior_scale) * self.priors
        if not np.isfinite(y).all():
            raise UserError(f"{key}: the output of the network holds numbers that are not finite")
        return y
