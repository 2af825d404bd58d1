"""Forward pass, backward pass and update of the components without memory (all but the LSTMs).

A layer works on ``x [rows, input_dim]``. Which rows belong together (an utterance, a minibatch, the
interleaved frames of several streams) is the caller's affair: ``Splice`` and ``TimeShift`` look at
neighbouring rows, the others do not. ``backpropagate`` is called with the parameters of the forward
pass, ``update`` after it; so a layer's input derivative never sees its new weights.
"""

from collections.abc import Callable
from functools import partial
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
    """One component at work; the base class is the identity (``Transmit``)."""

    trainable = False

    def __init__(self, component: nn.Component) -> None:
        self.component: Any = component
        self.input_dim = component.input_dim
        self.output_dim = component.output_dim
        self.gives_dx = True

    def propagate(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output [rows, output_dim] for an input [rows, input_dim], which is left as it is."""
        return x

    def backpropagate(self, at: Signal) -> torch.Tensor:
        """Return the derivative at the input."""
        return at.dy

    def update(self, at: Signal, options: TrainOptions) -> None:
        """Change the parameters by one step; layers without parameters do nothing."""

    def reset(self) -> None:
        """Forget the momentum, as every run of a Kaldi tool does by starting anew."""


_FUNCTIONS: dict[type, tuple[Callable, Callable]] = {  # y of x, and dx of dy and y
    nn.Sigmoid: (torch.sigmoid, torch.ops.aten.sigmoid_backward),
    nn.Tanh: (torch.tanh, torch.ops.aten.tanh_backward),
    nn.Softmax: (partial(torch.softmax, dim=1), lambda dy, _: dy),
}


class ActivationLayer(Layer):
    """A function of a row's values; the derivative of the softmax is left to the loss, ``y - t``.

    Behind an ``AffineLayer`` it is not used: that does it.
    """

    def __init__(self, component: nn.Component) -> None:
        super().__init__(component)
        self.forward, self.backward = _FUNCTIONS[type(component)]

    def propagate(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward(x)

    def backpropagate(self, at: Signal) -> torch.Tensor:
        return self.backward(at.dy, at.y)


class AddShiftLayer(Layer):
    """``y = x + shift``; ``shift -= lr coef sum(dy)``: without momentum when it stands inside a network."""

    trainable = True

    def propagate(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.component.shift

    def update(self, at: Signal, options: TrainOptions) -> None:
        rate = options.learn_rate * self.component.learn_rate_coef
        self.component.shift.sub_(at.dy.sum(dim=0), alpha=rate)


class RescaleLayer(Layer):
    """``y = x * scale``; ``scale -= lr coef sum(x dy)``: without momentum when it stands inside a network."""

    trainable = True

    def propagate(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.component.scale

    def backpropagate(self, at: Signal) -> torch.Tensor:
        return at.dy * self.component.scale

    def update(self, at: Signal, options: TrainOptions) -> None:
        rate = options.learn_rate * self.component.learn_rate_coef
        self.component.scale.sub_((at.x * at.dy).sum(dim=0), alpha=rate)


class SpliceLayer(Layer):
    """``y(t) = [x(t + o) for o in offsets]``, rows clamped to the first and the last one.

    As in Kaldi, nothing comes back for the rows that stood in beyond the ends.
    """

    def __init__(self, component: nn.Splice | nn.TimeShift) -> None:
        super().__init__(component)
        self.offsets = [component.shift] if isinstance(component, nn.TimeShift) else component.offsets

    def propagate(self, x: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(len(x), device=x.device)
        return torch.cat([x[(rows + offset).clamp_(0, len(x) - 1)] for offset in self.offsets], dim=1)

    def backpropagate(self, at: Signal) -> torch.Tensor:
        dx = torch.zeros_like(at.x)
        for block, offset in zip(at.dy.split(self.input_dim, dim=1), self.offsets, strict=True):
            start, end = max(0, -offset), min(len(dx), len(dx) - offset)
            if start < end:
                dx[start + offset : end + offset] += block[start:end]
        return dx


class TimeShiftLayer(SpliceLayer):
    """``y(t) = x(clamp(t + shift))``; Kaldi's gives a zero derivative back."""

    def backpropagate(self, at: Signal) -> torch.Tensor:
        return torch.zeros_like(at.x)


class CopyLayer(Layer):
    """``y[:, j] = x[:, indices[j]]``; Kaldi's gives a zero derivative back."""

    def __init__(self, component: nn.Copy) -> None:
        super().__init__(component)
        self.indices = torch.tensor(component.indices, dtype=torch.int64)

    def propagate(self, x: torch.Tensor) -> torch.Tensor:
        self.indices = self.indices.to(x.device)
        return x[:, self.indices]

    def backpropagate(self, at: Signal) -> torch.Tensor:
        return torch.zeros_like(at.x)
