"""A network at work: forward pass, and backward pass with the updates in between, as nnet1 does them."""

import copy
from collections.abc import Callable
from typing import Any

import torch

from steps.nnet1 import affine, lstm, lstm_triton, products
from steps.nnet1 import components as nn
from steps.nnet1 import layers as base
from steps.nnet1.affine import AffineLayer
from steps.nnet1.loss import Xent
from steps.nnet1.lstm import LstmLayer
from steps.nnet1.options import TrainOptions
from utils.cli import UserError


class Net:
    """Layers over the components of a network, whose tensors the training changes in place.

    On the CPU the network itself is trained; for another device a copy is (:meth:`export` brings it back).
    ``num_stream`` utterances are interleaved in the rows given to the LSTMs.
    """

    def __init__(
        self, network: nn.Network, device: torch.device | str = "cpu", *, num_stream: int = 1
    ) -> None:
        self.device = torch.device(device)
        self.network = network
        if self.device.type == "cpu":
            _lay_out(network)
        else:
            self.network = _with(network, lambda value: torch.as_tensor(value).to(self.device))
        self.num_stream = num_stream
        self.layers: list[base.Layer] = []
        for component in self.network.components:
            before = self.layers[-1] if self.layers else None
            if not (isinstance(before, AffineLayer) and before.takes(component)):
                self.layers.append(self._layer(component))
        self.lstms = [layer for layer in self.layers if isinstance(layer, LstmLayer)]
        self.activations: list[torch.Tensor] = []
        trainable = [index for index, layer in enumerate(self.layers) if layer.trainable]
        self._lowest = min(trainable, default=len(self.layers))
        for layer in self.layers[: self._lowest + 1]:
            layer.gives_dx = False

    def _layer(self, component: nn.Component) -> base.Layer:
        """Make a layer; of an LSTM choose among ways to the same numbers."""
        if isinstance(component, nn.AffineTransform):
            return AffineLayer(component, coef_in_penalty=self.network.generation != "2014")
        if not isinstance(component, nn.Lstm):
            return base.Layer(component)
        if self.device.type == "cpu":
            return LstmLayer(component, self.num_stream, lstm.choose())
        grid = None
        if products.asked("thin") != "torch":
            grid = lstm_triton.choose(component.cell_dim, self.device)
        if grid is not None:
            return lstm_triton.TritonLstmLayer(component, self.num_stream, grid)
        return LstmLayer(component, self.num_stream)

    def propagate(self, x: torch.Tensor, end: int | None = None) -> torch.Tensor:
        """Return the output of ``layers[:end]`` for an input [rows, input_dim], and keep all between."""
        self.activations = [x]
        for layer in self.layers[:end]:
            self.activations.append(layer.propagate(self.activations[-1]))
        return self.activations[-1]

    def backpropagate(self, diff: torch.Tensor, options: TrainOptions) -> None:
        """Pass the derivative at the output down and update each layer after its backward pass."""
        for index in range(len(self.activations) - 2, self._lowest - 1, -1):
            layer = self.layers[index]
            at = base.Signal(self.activations[index], self.activations[index + 1], diff)
            diff = layer.backpropagate(at)
            layer.update(at, options)

    def train(self, rows: tuple[torch.Tensor, ...], xent: Xent, options: TrainOptions) -> None:
        """Take features, targets and weights of a minibatch through the network, the loss and back.

        In a DNN, its end is one pass where that is fastest: last sigmoid, classes and loss.
        """
        x, targets, weights = rows
        end = affine.end_in_c(self.layers[self._lowest :], targets, weights)
        if end is None:
            self.backpropagate(xent.eval(self.propagate(x), targets, weights), options)
            return
        h = end[0].product(self.propagate(x, end=-2))
        affine.pass_end(end, h, targets, weights, xent, options)
        self.activations.append(h)
        self.backpropagate(h, options)

    def export(self) -> nn.Network:
        """Return the network with its present parameters, as arrays of NumPy."""
        return _with(self.network, lambda value: value.detach().cpu().numpy())

    def check_trainable(self) -> None:
        """Refuse a network that is not trained as a whole."""
        components = self.network.components
        if self.network.generation == "2014" and isinstance(components[0], nn.Lstm):
            text = "kaldi-lstm never trains an LSTM that stands first; put a <Transmit> before it"
            raise UserError(f"component 1 is <{components[0].kind}>: {text}")
        for number, component in enumerate(components[self._lowest :], start=self._lowest + 1):
            if isinstance(component, nn.Splice | nn.TimeShift | nn.Copy):
                text = "what lies below it cannot be trained; put it into the feature transform"
                raise UserError(f"component {number} is <{component.kind}>: {text}")


def _lay_out(network: nn.Network) -> None:
    """Make tensors of the parameters, laid out for fast products.

    They begin at a cache line: products of matrices are slower elsewhere, with other bits. Matrices whose
    rows are not whole cache lines (525 inputs) lie in memory column by column: gradients are a tenth faster.
    """
    for component in network.components:
        for name, value in component.params().items():
            value = torch.as_tensor(value)
            by_column = value.ndim == 2 and value.shape[1] % 16 > 0
            rows = value.t() if by_column else value
            if value.data_ptr() % 64 or not rows.is_contiguous():
                rows = rows.clone(memory_format=torch.contiguous_format)
            setattr(component, name, rows.t() if by_column else rows)


def _with(network: nn.Network, change: Callable[[Any], Any]) -> nn.Network:
    """Return a copy with other arrays as parameters."""
    components = []
    for component in network.components:
        changed = copy.copy(component)
        for name, value in component.params().items():
            setattr(changed, name, change(value))
        components.append(changed)
    return nn.Network(components, network.generation)
