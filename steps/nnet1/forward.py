"""Forward pass over utterances, and what ``nnet-forward`` may do to its output."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from steps.nnet1 import components as nn
from steps.nnet1.forward_streams import can_run, side_by_side
from steps.nnet1.inputs import check_features
from steps.nnet1.runtime import Net
from utils import cli
from utils.cli import UserError

FLOOR = 1e-20


def without_softmax(network: nn.Network, name: str) -> nn.Network:
    """Return the network without its last component, which must be a softmax."""
    last = network.components[-1]
    if not isinstance(last, nn.Softmax):
        raise UserError(f"{name}: --no-softmax=true, but the last component is <{last.kind}>")
    if len(network.components) == 1:
        raise UserError(f"{name}: --no-softmax=true would leave no component")
    cli.log(f"Removing <Softmax> from the nnet {name}")
    return nn.Network(network.components[:-1], network.generation)


def log_priors(counts: np.ndarray, floor: float = 1e-10) -> np.ndarray:
    """Log of the relative frequencies [classes]; a class rarer than ``floor`` gets ``sqrt(FLT_MAX)``.

    Subtracted from log posteriors, that makes the class impossible; how many there are is logged.
    """
    relative = counts.astype(np.float64) / counts.sum()
    priors = np.log(relative + FLOOR)
    impossible = math.sqrt(float(np.finfo(np.float32).max))
    priors[relative < floor] = impossible
    cli.log(
        f"Floored {np.count_nonzero(relative < floor)} pdf-priors (hard-set to {impossible:g}, "
        "which disables DNN output when decoding)"
    )
    return priors.astype(np.float32)


@dataclass
class Forward:
    """Posteriors of utterances: features, transform, network, logarithm, priors."""

    net: Net
    transform: Net | None = None
    apply_log: bool = False
    priors: np.ndarray | None = None
    prior_scale: float = 1.0

    def __post_init__(self) -> None:
        self.frames = 0
        self.utterances = 0
        if self.priors is not None and len(self.priors) != self.net.network.output_dim:
            raise UserError(
                f"{len(self.priors)} class counts for a network with {self.net.network.output_dim} outputs"
            )

    def _finish(self, key: str, y: torch.Tensor) -> np.ndarray:
        """Return the output [frames, classes] float32 after logarithm and priors."""
        if self.apply_log:
            y = (y + FLOOR).log()
        output = y.cpu().numpy()
        if self.priors is not None:
            output = output - np.float32(self.prior_scale) * self.priors
        if not np.isfinite(output).all():
            raise UserError(f"{key}: the output of the network holds numbers that are not finite")
        self.frames += len(output)
        self.utterances += 1
        return output

    def all(self, utterances: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield ``(key, output)`` for each ``(key, feats)``; utterances without frames are left out.

        The output of an utterance has the same bits whichever others come before and after it.
        """
        inputs = self._inputs(utterances)
        outputs = side_by_side(self.net, inputs) if can_run(self.net) else map(self._alone, inputs)
        with torch.no_grad():
            for key, y in outputs:
                yield key, self._finish(key, y)

    def _inputs(self, utterances: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, torch.Tensor]]:
        first = self.transform or self.net
        for key, feats in utterances:
            if len(feats) == 0:
                cli.warn(f"{key}, skipped: it is empty")
                continue
            check_features(key, feats, first.network.input_dim)
            x = torch.from_numpy(np.ascontiguousarray(feats, dtype=np.float32)).to(self.net.device)
            yield key, x if self.transform is None else self.transform.feedforward(x)

    def _alone(self, item: tuple[str, torch.Tensor]) -> tuple[str, torch.Tensor]:
        return item[0], self.net.feedforward(item[1])
