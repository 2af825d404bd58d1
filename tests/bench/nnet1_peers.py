"""The same models as one would write them in torch: autograd over a naive loop, and ``torch.nn.LSTM``.

They see one update's random frames in memory, with plain SGD and momentum; no input and output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

FEATS, CLASSES, STREAMS, BPTT, MINIBATCH = 525, 6, 4, 60, 256


class NaiveLstm(torch.nn.Module):
    """The projected LSTM with peepholes, frame by frame, gradients by autograd."""

    def __init__(self, inputs: int, cells: int, units: int) -> None:
        super().__init__()
        self.w_x = torch.nn.Linear(inputs, 4 * cells)
        self.w_r = torch.nn.Linear(units, 4 * cells, bias=False)
        self.w_rm = torch.nn.Linear(cells, units, bias=False)
        self.peepholes = torch.nn.Parameter(torch.zeros(3, cells))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs [frames, streams, units] for x [frames, streams, inputs]."""
        c = x.new_zeros(x.shape[1], self.peepholes.shape[1])
        r = x.new_zeros(x.shape[1], self.w_rm.out_features)
        outputs = []
        for frame in x:
            g, i, f, o = (self.w_x(frame) + self.w_r(r)).chunk(4, dim=1)
            i, f = torch.sigmoid(i + self.peepholes[0] * c), torch.sigmoid(f + self.peepholes[1] * c)
            c = torch.tanh(g) * i + c * f
            r = self.w_rm(torch.sigmoid(o + self.peepholes[2] * c) * torch.tanh(c))
            outputs.append(r)
        return torch.stack(outputs)


def peers(kind: str, units: int, layers: int, cells: int) -> Iterator[tuple[str, Callable[[], float]]]:
    """Yield (name, run) of each peer; ``run`` makes one update and returns its frames."""
    if kind == "dnn":
        parts: list[torch.nn.Module] = []
        for layer in range(layers):
            parts += [torch.nn.Linear(units if layer else FEATS, units), torch.nn.Sigmoid()]
        yield (
            "autograd",
            _updates(torch.nn.Sequential(*parts, torch.nn.Linear(units, CLASSES)), MINIBATCH, 0.0),
        )
        return
    naive = [NaiveLstm(units if layer else FEATS, cells, units) for layer in range(layers)]
    yield (
        "autograd, naive loop",
        _updates(torch.nn.Sequential(*naive, torch.nn.Linear(units, CLASSES)), 0, 0.8),
    )
    yield "torch.nn.LSTM(proj_size)", _updates(_TorchLstm(units, layers, cells), 0, 0.8)


class _TorchLstm(torch.nn.Module):
    def __init__(self, units: int, layers: int, cells: int) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(FEATS, cells, num_layers=layers, proj_size=units)
        self.output = torch.nn.Linear(units, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.lstm(x)[0])


def _updates(module: torch.nn.Module, rows: int, momentum: float) -> Callable[[], float]:
    shape = (rows,) if rows else (BPTT, STREAMS)
    x, labels = torch.randn(*shape, FEATS), torch.randint(0, CLASSES, shape).flatten()
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-5, momentum=momentum)

    def run() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x).flatten(0, -2), labels, reduction="sum")
        loss.backward()
        optimizer.step()
        return len(labels)

    return run
