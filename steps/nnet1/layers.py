"""Forward pass, backward pass and update of the components without memory (all but the LSTMs).

Which rows belong together is the caller's affair. ``backpropagate`` is called with the parameters of the
forward pass, ``update`` after it: a layer's input derivative never sees its new weights.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from steps.nnet1 import components as nn
from steps.nnet1.options import TrainOptions


class Signal(NamedTuple):
    """What a layer saw: input [rows, input_dim], output [rows, output_dim], derivative at the output."""

    x: torch.Tensor
    y: torch.Tensor
    dy: torch.Tensor


class Layer:
    """One component at work; affine transforms, LSTMs and the activations behind them have their own."""

    def __init__(self, component: nn.Component) -> None:
        self.component: Any = component
        self.input_dim = component.input_dim
        self.output_dim = component.output_dim
        self.trainable = bool(component.arrays)
        self.gives_dx = True

    def propagate(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output [rows, output_dim] for an input [rows, input_dim], which is left as it is."""
        return _FORWARD[type(self.component)](self.component, x)

    def backpropagate(self, at: Signal) -> torch.Tensor:
        """Return the derivative at the input."""
        return _BACKWARD[type(self.component)](self.component, at)

    def update(self, at: Signal, options: TrainOptions) -> None:
        """Change the parameters by one step; a shift and a scale have no momentum."""
        for name, value in self.component.params().items():
            gradient = at.dy if name == "shift" else at.x * at.dy
            value.sub_(gradient.sum(dim=0), alpha=options.learn_rate * self.component.learn_rate_coef)

    def reset(self) -> None:
        """Forget the momentum, as every run of a Kaldi tool does by starting anew."""


def _spliced(x: torch.Tensor, offsets: Sequence[int]) -> torch.Tensor:
    rows = torch.arange(len(x), device=x.device)
    return torch.cat([x[(rows + offset).clamp_(0, len(x) - 1)] for offset in offsets], dim=1)


_FORWARD: dict[type, Callable[[Any, torch.Tensor], torch.Tensor]] = {
    nn.Transmit: lambda _, x: x,
    nn.Sigmoid: lambda _, x: torch.sigmoid(x),
    nn.Tanh: lambda _, x: torch.tanh(x),
    nn.Softmax: lambda _, x: torch.softmax(x, dim=1),
    nn.AddShift: lambda part, x: x + part.shift,
    nn.Rescale: lambda part, x: x * part.scale,
    nn.Splice: lambda part, x: _spliced(x, part.offsets),
    nn.TimeShift: lambda part, x: _spliced(x, part.offsets),
    nn.Copy: lambda part, x: x[:, part.indices],
}
_BACKWARD: dict[type, Callable[[Any, Signal], torch.Tensor]] = {
    nn.Transmit: lambda _, at: at.dy,
    nn.Sigmoid: lambda _, at: torch.ops.aten.sigmoid_backward(at.dy, at.y),
    nn.Tanh: lambda _, at: torch.ops.aten.tanh_backward(at.dy, at.y),
    nn.Softmax: lambda _, at: at.dy,  # its derivative is left to the loss, y - t
    nn.AddShift: lambda _, at: at.dy,
    nn.Rescale: lambda part, at: at.dy * part.scale,
}
