"""What Kaldi's training tools log of a pass besides its loss: the buffers of its first and last minibatch.

``### After N frames,`` and then moments of the outputs, of the derivatives and of the gradients. Today's
tools always log them, and what is inside an LSTM, those of 2014 with ``--verbose=1``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from steps.nnet1 import lstm_buffers
from steps.nnet1.affine import AffineLayer
from steps.nnet1.components import Generation
from steps.nnet1.info import describe, lstm_options, moment_statistics
from steps.nnet1.layers import AddShiftLayer, Layer, RescaleLayer
from steps.nnet1.loss import REPORT_FRAMES
from steps.nnet1.lstm import LstmLayer
from steps.nnet1.runtime import Net
from utils import cli

_TITLES: dict[Generation, tuple[str, str, str]] = {
    "modern": ("FORWARD PROPAGATION BUFFER CONTENT", "BACKWARD PROPAGATION BUFFER CONTENT", "GRADIENT STATS"),
    "2014": ("Forward propagation buffer content", "Backward propagation buffer content", "Gradient stats"),
}
_ACTIVATIONS = {
    **{"YI(0..1)^ ": "I", "YF(0..1)^ ": "F", "YO(0..1)^ ": "O", "YG(-1..1) ": "G"},
    **{"YC(-R..R)*": "C", "YH(-1..1) ": "H", "YM(-1..1) ": "M", "YR(-R..R) ": "R"},
}
_DERIVATIVES = {
    **{"DI^": "I", "DF^": "F", "DO^": "O", "DG ": "G"},
    **{"DC*": "C", "DH ": "H", "DM ": "M", "DR ": "R"},
}


@dataclass
class Reporter:
    """Logs what a tool of one generation says during a pass.

    Parameters
    ----------
    generation : "2014" or "modern"
        Of the network.
    verbose : int
        Kaldi's ``--verbose``.
    loss_report_frames : int
        See ``Xent``.
    shows_network : bool
        Whether the parameters are described with the buffers.
    """

    generation: Generation
    verbose: int = 0
    loss_report_frames: int = REPORT_FRAMES
    shows_network: bool = False
    derivatives: list[torch.Tensor] = field(default_factory=list)
    before: list[dict[str, torch.Tensor]] = field(default_factory=list)
    inside: list[dict[str, torch.Tensor]] = field(default_factory=list)

    @property
    def speaks(self) -> bool:
        """Whether anything is logged."""
        return self.generation == "modern" or self.verbose >= 1

    def tell(self, text: str) -> None:
        """Log at the level of the generation."""
        if self.generation == "modern":
            cli.log(text)
        elif self.verbose >= 1:
            print(f"VLOG[1] ({cli.PROGRAM}) {text}", file=sys.stderr, flush=True)

    def expect(self, net: Net, new: Sequence[bool]) -> None:
        """Keep what the LSTMs hold before a minibatch in which the flagged streams begin anew."""
        if self.generation == "modern":
            self.before = [lstm_buffers.last_frame(layer, new) for layer in net.lstms]

    def observe(self, net: Net, diff: torch.Tensor) -> None:
        """Keep the derivatives of a minibatch, given that at the output, before the parameters change."""
        self.derivatives = net.derivatives(diff)
        if self.generation == "modern":
            self.inside = [lstm_buffers.derivatives(layer) for layer in net.lstms]

    def write(self, net: Net, frames: int) -> None:
        """Log the buffers of the minibatch just done; its derivatives and gradients if it was trained on."""
        self.tell(f"### After {frames} frames,")
        if self.shows_network:
            self.tell(f"{describe(net.network)}\n")
        forward, backward, gradients = _TITLES[self.generation]
        self.tell(self._block(forward, "FORWARD", self._outputs(net)))
        if self.derivatives:
            after = "\n" if self.generation == "modern" else ""
            self.tell(self._block(backward, "BACKWARD", self._derivatives(net)) + after)
            self.tell(self._block(gradients, "GRADIENT", self._gradients(net)))

    def _block(self, title: str, short_title: str, lines: Iterator[str]) -> str:
        body = "".join(f"{line}\n" for line in lines)
        modern = self.generation == "modern"
        return f"\n### {title} :\n{body}### END {short_title}\n" if modern else f"### {title} :\n{body}"

    def _moments(self, values: torch.Tensor) -> str:
        return moment_statistics(values, self.generation)

    def _outputs(self, net: Net) -> Iterator[str]:
        modern = self.generation == "modern"
        names = ["<Input> " if modern else "<Input>", *(f"<{part.kind}>" for part in net.network.components)]
        for number, (name, values) in enumerate(zip(names, net.activations, strict=True)):
            yield f"[{number + (not modern)}] output of {name}{self._moments(values)}"

    def _derivatives(self, net: Net) -> Iterator[str]:
        if self.generation == "modern":
            yield f"[0] diff of <Input> {self._moments(self.derivatives[0])}"
        parts = net.network.components if self.generation == "modern" else net.network.components[:-1]
        for number, part in enumerate(parts, start=1):
            yield f"[{number}] diff-output of <{part.kind}>{self._moments(self.derivatives[number])}"

    def _gradients(self, net: Net) -> Iterator[str]:
        for number, layer in enumerate(net.layers, start=1):
            x, dy = net.activations[number - 1], self.derivatives[number]
            yield f"Component {number} : <{layer.component.kind}>, {self._gradient(net, layer, x, dy)}"

    def _gradient(self, net: Net, layer: Layer, x: torch.Tensor, dy: torch.Tensor) -> str:
        if isinstance(layer, LstmLayer):
            modern = self.generation == "modern"
            head = f"( {lstm_options(layer.lstm)} )\n  ### Gradients " if modern else "    "
            corrections = {f"{name}_corr_ ": value for name, value in layer.corr.items()}
            return head + self._lines(corrections) + (self._inside(net, layer) if modern else "")
        if isinstance(layer, AffineLayer):
            weight = dy.t() @ x if layer.weight_corr is None else layer.weight_corr
            bias = dy.sum(dim=0) if layer.bias_corr is None else layer.bias_corr
            return (
                f"\n  linearity_grad{self._moments(weight)}, lr-coef {layer.coef:g}, "
                f"max-norm {layer.max_norm:g}"
                f"\n  bias_grad{self._moments(bias)}, lr-coef {layer.bias_coef:g}"
            )
        if isinstance(layer, (AddShiftLayer, RescaleLayer)):
            shifts = isinstance(layer, AddShiftLayer)
            gradient = (dy if shifts else x * dy).sum(dim=0)
            coef = f", lr-coef {layer.coef:g}" if self.generation == "modern" else ""
            return f"\n  {'shift' if shifts else 'scale'}_data_grad{self._moments(gradient)}{coef}"
        return ""

    def _inside(self, net: Net, layer: LstmLayer) -> str:
        number = net.lstms.index(layer)
        before, now = self.before[number], lstm_buffers.activations(layer)
        told = {
            label: lstm_buffers.padded(now[name], before.get(name)) for label, name in _ACTIVATIONS.items()
        }
        text = "\n  ### Activations (mostly after non-linearities)" + self._lines(told)
        told = {label: self.inside[number][name] for label, name in _DERIVATIVES.items()}
        return f"{text}\n  ### Derivatives (w.r.t. inputs of non-linearities){self._lines(told)}"

    def _lines(self, told: dict[str, torch.Tensor]) -> str:
        return "".join(f"\n  {label} {self._moments(values)}" for label, values in told.items())
