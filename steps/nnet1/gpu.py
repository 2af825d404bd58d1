"""What the forward pass needs of torch, on a GPU or where there is no compiler: the layers of training."""

from collections.abc import Sequence

import numpy as np
import torch

from steps.nnet1 import components as nn
from steps.nnet1.layers import Layer
from steps.nnet1.lstm import LstmLayer
from steps.nnet1.lstm_triton import TritonLstmLayer
from steps.nnet1.net import Net

MANY, VERY_MANY = 64, 128  # utterances side by side, in Triton's kernels and in plain torch


class Torch:
    """What :class:`steps.nnet1.forward.Forward` needs; a product's bits depend on its number of rows."""

    rows_vary = False
    chunk = 64
    concatenate = staticmethod(torch.cat)
    stack = staticmethod(torch.stack)

    def __init__(self, device: torch.device | str) -> None:
        self.device = torch.device(device)
        on_cpu = self.device.type == "cpu"
        self.num_stream = 1 if on_cpu else VERY_MANY
        self.block = self.large_block = 512 if on_cpu else 8192

    def layers(self, components: Sequence[nn.Component], generation: nn.Generation) -> list[Layer]:
        """Make the layers of some components in order."""
        if not components:
            return []
        layers = Net(nn.Network(list(components), generation), self.device).layers
        for place, layer in enumerate(layers):
            if isinstance(layer, TritonLstmLayer):
                if layer.grid.keeps_all:
                    self.num_stream = MANY
                else:  # with so many streams faster than weights read again for every four of them
                    layers[place] = LstmLayer(layer.lstm, 1)
        return layers

    def zeros(self, *shape: int) -> torch.Tensor:
        """Return zeros."""
        return torch.zeros(shape, device=self.device)

    def from_host(self, rows: np.ndarray) -> torch.Tensor:
        """Return a copy on the GPU."""
        return torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32)).to(self.device, copy=True)

    def to_host(self, y: torch.Tensor) -> np.ndarray:
        """Return a copy of NumPy's."""
        return y.cpu().numpy()
