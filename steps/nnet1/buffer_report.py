"""What Kaldi's training tools log of a pass besides its loss: the buffers of its first and last minibatch.

``### After N frames,`` and then moments of the outputs, of the derivatives and of the gradients. Today's
tools always log them, those of 2014 with ``--verbose=1``. Of an LSTM, the gradients alone are told, not what
is inside it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from steps.nnet1.affine import AffineLayer
from steps.nnet1.components import Generation
from steps.nnet1.info import describe, lstm_options, moment_statistics
from steps.nnet1.layers import Layer
from steps.nnet1.loss import REPORT_FRAMES
from steps.nnet1.lstm import LstmLayer
from steps.nnet1.runtime import Net
from utils import cli

_TITLES: dict[Generation, tuple[str, str, str]] = {
    "modern": ("FORWARD PROPAGATION BUFFER CONTENT", "BACKWARD PROPAGATION BUFFER CONTENT", "GRADIENT STATS"),
    "2014": ("Forward propagation buffer content", "Backward propagation buffer content", "Gradient stats"),
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

    def observe(self, net: Net, diff: torch.Tensor) -> None:
        """Keep the derivatives of a minibatch, given that at the output, before the parameters change."""
        self.derivatives = net.derivatives(diff)

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
            yield f"Component {number} : <{layer.component.kind}>, {self._gradient(layer, x, dy)}"

    def _gradient(self, layer: Layer, x: torch.Tensor, dy: torch.Tensor) -> str:
        if isinstance(layer, LstmLayer):
            modern = self.generation == "modern"
            head = f"( {lstm_options(layer.lstm)} )\n  ### Gradients " if modern else "    "
            corrections = layer.corr.items()
            return head + "".join(f"\n  {name}_corr_  {self._moments(value)}" for name, value in corrections)
        if isinstance(layer, AffineLayer):
            weight = dy.t() @ x if layer.weight_corr is None else layer.weight_corr
            bias = dy.sum(dim=0) if layer.bias_corr is None else layer.bias_corr
            return (
                f"\n  linearity_grad{self._moments(weight)}, lr-coef {layer.coef:g}, "
                f"max-norm {layer.max_norm:g}"
                f"\n  bias_grad{self._moments(bias)}, lr-coef {layer.bias_coef:g}"
            )
        return ""
