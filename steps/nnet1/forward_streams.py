"""Forward pass of LSTM networks over several utterances side by side, each as if it were alone.

The weights of an LSTM are read once for all streams of a frame. The C kernels sum every value in an order
of its own, so an utterance's output has the same bits whatever runs beside it: results do not depend on
how a list was split into jobs. What stands before the first LSTM (a ``TimeShift``) and behind the last one
is applied to whole utterances.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from steps.nnet1.layers import Layer, SigmoidLayer, TanhLayer
from steps.nnet1.lstm_native import NativeLstmLayer
from steps.nnet1.runtime import Net

NUM_STREAM = 8
CHUNK = 64


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
    """Tell whether the network has LSTMs over C kernels and only frame-wise, exact layers between them."""
    places = [index for index, layer in enumerate(net.layers) if isinstance(layer, NativeLstmLayer)]
    if not places:
        return False
    between = net.layers[places[0] : places[-1] + 1]
    return all(isinstance(layer, NativeLstmLayer | SigmoidLayer | TanhLayer) for layer in between)


def side_by_side(
    net: Net, utterances: Iterable[tuple[str, torch.Tensor]], num_stream: int = NUM_STREAM
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield ``(key, output [frames, output_dim])`` in the order of ``(key, input [frames, input_dim])``.

    Parameters
    ----------
    net : Net
        One for which :func:`can_run` holds; its weights must not change meanwhile.
    utterances : iterable
        Read ``num_stream`` ahead.
    num_stream : int
        Utterances side by side.
    """
    places = [index for index, layer in enumerate(net.layers) if isinstance(layer, NativeLstmLayer)]
    front, back = net.layers[: places[0]], net.layers[places[-1] + 1 :]
    middle = [_fresh(layer) for layer in net.layers[places[0] : places[-1] + 1]]
    source = enumerate(utterances)
    runs: list[_Run] = []
    done: dict[int, tuple[str, torch.Tensor]] = {}
    following = 0
    while True:
        while len(runs) < num_stream and (item := next(source, None)) is not None:
            number, (key, x) = item
            runs.append(_start(number, key, _apply(front, x), middle))
        if not runs:
            return
        _advance(runs, middle)
        for run in [run for run in runs if run.position >= len(run.x)]:
            done[run.number] = (run.key, _apply(back, run.y))
            runs.remove(run)
        while following in done:
            yield done.pop(following)
            following += 1


def _fresh(layer: Layer) -> Layer:
    """Return a layer of our own over the same LSTM, or the layer itself if it has no memory."""
    if not isinstance(layer, NativeLstmLayer):
        return layer
    return NativeLstmLayer(layer.lstm, 1, layer.library)


def _apply(layers: list[Layer], x: torch.Tensor) -> torch.Tensor:
    for layer in layers:
        x = layer.propagate(x)
    return x


def _start(number: int, key: str, x: torch.Tensor, middle: list[Layer]) -> _Run:
    lstms = [layer for layer in middle if isinstance(layer, NativeLstmLayer)]
    states = [(x.new_zeros(lstm.cell_dim), x.new_zeros(lstm.output_dim)) for lstm in lstms]
    return _Run(number, key, x, x.new_empty(len(x), lstms[-1].output_dim), states)


def _advance(runs: list[_Run], middle: list[Layer]) -> None:
    """Take every run up to ``CHUNK`` frames further; what lies behind an end is computed and left."""
    streams = len(runs)
    frames = min(CHUNK, max(len(run.x) - run.position for run in runs))
    chunk = runs[0].x.new_zeros(frames, streams, runs[0].x.shape[1])
    for stream, run in enumerate(runs):
        part = run.x[run.position : run.position + frames]
        chunk[: len(part), stream] = part
    x = chunk.flatten(0, 1)
    lstms = [layer for layer in middle if isinstance(layer, NativeLstmLayer)]
    for index, lstm in enumerate(lstms):
        lstm.num_stream = streams
        lstm.state_c = torch.stack([run.states[index][0] for run in runs])
        lstm.state_r = torch.stack([run.states[index][1] for run in runs])
    y = _apply(middle, x).view(frames, streams, -1)
    for stream, run in enumerate(runs):
        part = run.y[run.position : run.position + frames]
        part[:] = y[: len(part), stream]
        run.position += frames
        run.states = [(lstm.state_c[stream], lstm.state_r[stream]) for lstm in lstms]
