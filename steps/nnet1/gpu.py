"""What the forward pass needs of torch, on a GPU or where there is no compiler: the layers of training."""

import numpy as np
import torch

from steps.nnet1 import components as nn
from steps.nnet1.layers import Layer
from steps.nnet1.lstm import LstmLayer
from steps.nnet1.lstm_triton import TritonLstmLayer
from steps.nnet1.net import Net

MANY, VERY_MANY = 64, 128  # utterances side by side, in Triton's kernels and in plain torch


class Torch:
    """See :class:`steps.nnet1.host.Host`; a product's bits depend on its number of rows."""

    def __init__(self, device: torch.device | str) -> None:
        self.device = torch.device(device)
        self.fixed, self.num_stream = False, 1
        self.frames = 512 if self.device.type == "cpu" else 8192

    def layers(self, components: list[nn.Component]) -> list[Layer]:
        """Make the layers of some components in order."""
        layers = Net(nn.Network(components), self.device).layers if components else []
        if self.device.type != "cpu" and any(isinstance(layer, LstmLayer) for layer in layers):
            self.fixed, self.num_stream, self.frames = True, VERY_MANY, 64
        for place, layer in enumerate(layers):
            if isinstance(layer, TritonLstmLayer):
                if layer.grid.keeps_all:
                    self.num_stream = MANY
                else:  # with so many streams faster than weights read again for every four of them
                    layers[place] = LstmLayer(layer.lstm, 1)
        return layers

    def from_host(self, x: np.ndarray) -> torch.Tensor:
        """Return a copy on the device."""
        return torch.from_numpy(x).to(self.device)

    def to_host(self, y: torch.Tensor) -> np.ndarray:
        """Return a copy of NumPy's."""
        return y.cpu().numpy()
