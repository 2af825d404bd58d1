"""``AffineTransform`` at work, with the activation behind it; momentum, penalties, max-norm as in nnet1."""

import ctypes

import torch

from steps.nnet1 import components as nn
from steps.nnet1 import kernels, products
from steps.nnet1.layers import Layer, Signal
from steps.nnet1.loss import Xent
from steps.nnet1.options import TrainOptions


class AffineLayer(Layer):
    """``y = f(x W' + b)``, f an activation or nothing.

    The gradients are sums over the rows, ``corr = grad + momentum corr``.
    ``backpropagate`` turns the derivative behind a sigmoid, in place, into that before it.
    ``coef_in_penalty`` is false for networks of the 2014 layout: their L1 and L2 steps are scaled by
    the learning rate alone, those of today's Kaldi by the component's own coefficient, too.
    """

    def __init__(self, component: nn.AffineTransform, coef_in_penalty: bool = True) -> None:
        super().__init__(component)
        self.activation: type | None = None
        self.weight = component.weight
        self.bias = component.bias
        self.coef = component.learn_rate_coef
        self.bias_coef = component.bias_learn_rate_coef
        self.max_norm = component.max_norm
        self.coef_in_penalty = coef_in_penalty
        self.reset()

    def takes(self, component: nn.Component) -> bool:
        """Take a component that stands behind, if it is an activation and the first one."""
        if self.activation is not None or not isinstance(component, nn.Sigmoid | nn.Softmax):
            return False
        self.activation = type(component)
        return True

    def reset(self) -> None:
        """See :class:`Layer`."""
        self.weight_corr, self.bias_corr = torch.zeros_like(self.weight), torch.zeros_like(self.bias)
        self.weight_grad: torch.Tensor | None = None
        self.bias_grad: torch.Tensor | None = None

    def propagate(self, x: torch.Tensor) -> torch.Tensor:
        """See :class:`Layer`."""
        y = self.product(x).add_(self.bias)
        if self.activation is nn.Softmax:
            return torch.softmax(y, dim=1)
        return y.sigmoid_() if self.activation is nn.Sigmoid else y

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x W'``."""
        return products.multiply(x, self.weight.t(), x.new_empty(x.shape[0], self.output_dim))

    def backpropagate(self, at: Signal) -> torch.Tensor:
        """See :class:`Layer`; where nobody asks for the derivative at the input, it returns what came in."""
        if self.activation is nn.Sigmoid and self.bias_grad is None:
            torch.ops.aten.sigmoid_backward(at.dy, at.y, grad_input=at.dy)
        if not self.gives_dx:
            return at.dy
        return products.multiply(at.dy, self.weight, at.x.new_empty(at.x.shape))

    def update(self, at: Signal, options: TrainOptions) -> None:
        """Apply momentum, L2, L1, the gradient step, max-norm, in this order."""
        bias_grad = at.dy.sum(dim=0) if self.bias_grad is None else self.bias_grad
        rate, bias_rate = options.learn_rate * self.coef, options.learn_rate * self.bias_coef
        penalty_rate = (rate if self.coef_in_penalty else options.learn_rate) * at.x.shape[0]
        keep = 1 - penalty_rate * options.l2_penalty
        if options.momentum == 0 and options.l1_penalty == 0:
            self._add_gradient(at, self.weight, -rate, keep)
            self.bias.add_(bias_grad, alpha=-bias_rate)
        else:  # the gradient is needed by itself: to remember it, or to see what crosses zero
            self._add_gradient(at, self.weight_corr, 1.0, options.momentum)
            self.bias_corr.mul_(options.momentum).add_(bias_grad)
            self.weight.mul_(keep)
            if options.l1_penalty != 0:
                regularize_l1(self.weight, self.weight_corr, penalty_rate * options.l1_penalty, rate)
            self.weight.add_(self.weight_corr, alpha=-rate)
            self.bias.add_(self.bias_corr, alpha=-bias_rate)
        self.weight_grad = self.bias_grad = None
        if self.max_norm > 0:
            self.weight.renorm_(2, 0, self.max_norm)

    def _add_gradient(self, at: Signal, out: torch.Tensor, alpha: float, beta: float) -> None:
        """``out = alpha gradient + beta out``; a gradient that is known already is taken."""
        if self.weight_grad is None:
            products.multiply(at.dy.t(), at.x, out, alpha=alpha, beta=beta)
        else:
            out.mul_(beta).add_(self.weight_grad, alpha=alpha)


def end_in_c(
    layers: list[Layer], targets: torch.Tensor, weights: torch.Tensor
) -> tuple[AffineLayer, AffineLayer, ctypes.CDLL] | None:
    """Return the last two layers and the kernels, if these shall take them and the loss at once.

    They can if the layers end in a sigmoid of whole cache lines and in the softmax of a few classes.
    """
    end = [layer for layer in layers[-2:] if isinstance(layer, AffineLayer)]
    if [layer.activation for layer in end] != [nn.Sigmoid, nn.Softmax]:
        return None
    if end[1].input_dim % kernels.PAD or end[1].output_dim > kernels.FEW:
        return None
    fits = all(part.is_cpu and part.is_contiguous() for part in (end[1].weight, targets, weights))
    if fits and products.chosen("end") == "c" and (library := kernels.library()) is not None:
        return end[0], end[1], library
    return None


def pass_end(
    end: tuple[AffineLayer, AffineLayer, ctypes.CDLL],
    h: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor,
    xent: Xent,
    options: TrainOptions,
) -> None:
    """Go from the product of the hidden layer to the loss and back: ``network_end`` of ``kernels/rows.c``.

    ``h`` [rows, hidden] becomes the derivative there; the last layer is updated and of the hidden one the
    gradient of the bias known.
    """
    hidden, last, library = end
    like = (targets, targets, hidden.bias, last.weight, last.bias)
    made = [torch.empty_like(part) for part in like]
    y, diff, hidden.bias_grad, last.weight_grad, last.bias_grad = made
    given = (hidden.bias, last.weight, last.bias, targets, weights, h, *made, xent.sums)
    numbers = (*h.shape, last.output_dim, xent.by_target, xent.floor)
    library.network_end(torch.get_num_threads(), *numbers, *(part.data_ptr() for part in given))
    last.update(Signal(h, y, diff), options)


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
