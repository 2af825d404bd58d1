"""``AffineTransform`` at work: ``y = x W' + b`` with momentum, penalties and max-norm as in nnet1."""

from __future__ import annotations

import torch

from steps.nnet1 import components as nn
from steps.nnet1 import products
from steps.nnet1.layers import Layer, Signal
from steps.nnet1.options import TrainOptions


class AffineLayer(Layer):
    """``y = x W' + b``; the gradients are sums over the rows, ``corr = grad + momentum corr``.

    ``coef_in_penalty`` is false for networks of the 2014 layout: their L1 and L2 steps are scaled by
    the learning rate alone, those of today's Kaldi by the component's own coefficient, too.
    """

    trainable = True

    def __init__(self, component: nn.AffineTransform, coef_in_penalty: bool = True) -> None:
        super().__init__(component)
        self.weight = component.weight
        self.bias = component.bias
        self.coef = component.learn_rate_coef
        self.bias_coef = component.bias_learn_rate_coef
        self.max_norm = component.max_norm
        self.coef_in_penalty = coef_in_penalty
        self.reset()

    def reset(self) -> None:
        """See :class:`Layer`; the buffers are made at the first update."""
        self.weight_corr: torch.Tensor | None = None
        self.bias_corr: torch.Tensor | None = None

    def propagate(self, x: torch.Tensor) -> torch.Tensor:
        """See :class:`Layer`."""
        y = self.bias.repeat(len(x), 1)
        return products.multiply(x, self.weight.t(), y, beta=1.0)

    def backpropagate(self, at: Signal) -> torch.Tensor:
        """See :class:`Layer`."""
        return products.multiply(at.dy, self.weight, torch.empty_like(at.x))

    def update(self, at: Signal, options: TrainOptions) -> None:
        """Apply momentum, L2, L1, the gradient step, max-norm, in this order."""
        rate = options.learn_rate * self.coef
        penalty_rate = (rate if self.coef_in_penalty else options.learn_rate) * len(at.x)
        if options.momentum == 0 and options.l1_penalty == 0:
            keep = 1 - penalty_rate * options.l2_penalty
            products.multiply(at.dy.t(), at.x, self.weight, alpha=-rate, beta=keep)
            self.bias.add_(at.dy.sum(dim=0), alpha=-options.learn_rate * self.bias_coef)
        else:
            self._step_with_corrections(at, options, rate, penalty_rate)
        if self.max_norm > 0:
            limit_row_norm(self.weight, self.max_norm)

    def _step_with_corrections(
        self, at: Signal, options: TrainOptions, rate: float, penalty_rate: float
    ) -> None:
        """Take a step that needs the gradient by itself: to remember it, or to see what crosses zero."""
        if self.weight_corr is None or self.bias_corr is None:
            self.weight_corr = torch.zeros_like(self.weight)
            self.bias_corr = torch.zeros_like(self.bias)
        products.multiply(at.dy.t(), at.x, self.weight_corr, beta=options.momentum)
        self.bias_corr.mul_(options.momentum).add_(at.dy.sum(dim=0))
        if options.l2_penalty != 0:
            self.weight.mul_(1 - penalty_rate * options.l2_penalty)
        if options.l1_penalty != 0:
            regularize_l1(self.weight, self.weight_corr, penalty_rate * options.l1_penalty, rate)
        self.weight.add_(self.weight_corr, alpha=-rate)
        self.bias.add_(self.bias_corr, alpha=-options.learn_rate * self.bias_coef)


def regularize_l1(weight: torch.Tensor, corr: torch.Tensor, penalty: float, rate: float) -> None:
    """Move every weight by ``penalty`` towards zero, in place; one that would cross zero becomes zero.

    A weight crosses when ``w - rate corr - penalty sign(w)`` has the other sign; its ``corr`` becomes
    zero with it. A weight that is zero stays as it is.
    """
    sign = weight.sign()
    ahead = weight - rate * corr - penalty * sign
    crosses = (weight != 0) & ((ahead > 0) != (weight > 0))
    weight.sub_(sign, alpha=penalty)
    weight.masked_fill_(crosses, 0)
    corr.masked_fill_(crosses, 0)


def limit_row_norm(weight: torch.Tensor, max_norm: float) -> None:
    """Scale the rows of ``weight`` in place so that no Euclidean norm is above ``max_norm``."""
    norms = (weight * weight).sum(dim=1).sqrt()
    weight.mul_(1 / (norms / max_norm).clamp(min=1)[:, None])
