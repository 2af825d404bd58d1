"""The text of ``nnet-info``: topology, options and moments of the parameters, in today's Kaldi's form."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from steps.nnet1.components import (
    AddShift,
    AffineTransform,
    Component,
    Copy,
    Generation,
    Lstm,
    Network,
    Rescale,
    Splice,
    TimeShift,
)


def moment_statistics(values: torch.Tensor, generation: Generation = "modern") -> str:
    """Kaldi's ``( min ..., max ..., mean ..., stddev ..., skewness ..., kurtosis ... )`` of all elements.

    Skewness is m3 / m2**1.5 and kurtosis m4 / m2**2 - 3 of the central moments, summed in float64. The
    tools of 2014 give the variance m2 in place of its root.
    """
    x = values.detach().cpu().numpy().astype(np.float64).ravel()
    with np.errstate(all="ignore"):
        low, high, mean = x.min(), x.max(), x.mean()
        x -= mean
        square = x * x
        variance, third, fourth = square.mean(), square @ x / len(x), square @ square / len(x)
        spread = variance if generation == "2014" else np.sqrt(variance)
        moments = (low, high, mean, spread, third / variance**1.5, fourth / variance**2 - 3)
    names = ("min", "max", "mean", "variance" if generation == "2014" else "stddev", "skewness", "kurtosis")
    return " ( " + ", ".join(f"{name} {value:g}" for name, value in zip(names, moments, strict=True)) + " ) "


def describe(network: Network) -> str:
    """Describe a network as ``nnet-info`` prints it, without the last end of line."""
    count = sum(value.numel() for _, _, value in network.params())
    lines = [
        f"num-components {len(network.components)}",
        f"input-dim {network.input_dim}",
        f"output-dim {network.output_dim}",
        f"number-of-parameters {np.float32(count) / 1e6:g} millions",
    ]
    for index, component in enumerate(network.components, start=1):
        dims = f"input-dim {component.input_dim}, output-dim {component.output_dim}"
        lines.append(f"component {index} : <{component.kind}>, {dims}, {_details(component)}")
    return "\n".join(lines)


def _details(component: Component) -> str:
    if isinstance(component, AffineTransform):
        return (
            f"\n  linearity{moment_statistics(component.weight)}, lr-coef {component.learn_rate_coef:g}, "
            f"max-norm {component.max_norm:g}"
            f"\n  bias{moment_statistics(component.bias)}, lr-coef {component.bias_learn_rate_coef:g}"
        )
    if isinstance(component, AddShift):
        return f"\n  shift_data{moment_statistics(component.shift)}, lr-coef {component.learn_rate_coef:g}"
    if isinstance(component, Rescale):
        return f"\n  scale_data{moment_statistics(component.scale)}, lr-coef {component.learn_rate_coef:g}"
    if isinstance(component, Splice):
        return f"\n  frame_offsets [ {' '.join(map(str, component.offsets))} ]"
    if isinstance(component, Copy):
        return f"\n  min {min(component.indices)}, max {max(component.indices)}"
    if isinstance(component, TimeShift):
        return f"shift {component.shift}"
    if isinstance(component, Lstm):
        tensors = component.params().items()
        statistics = "".join(f"\n  {name}_  {moment_statistics(value)}" for name, value in tensors)
        return f"cell-dim {component.cell_dim} ( {lstm_options(component)} ){statistics}"
    return ""


def lstm_options(component: Lstm) -> str:
    """Coefficients and clips as ``nnet-info`` lists them."""
    values = (
        f"learn_rate_coef_ {component.learn_rate_coef:g}",
        f"bias_learn_rate_coef_ {component.bias_learn_rate_coef:g}",
        f"cell_clip_ {component.cell_clip:g}",
        f"diff_clip_ {component.diff_clip:g}",
        f"grad_clip_ {component.grad_clip:g}",
    )
    return ", ".join(values)


def bad_parameters(network: Network) -> Iterator[str]:
    """Name every tensor with elements that are NaN or infinite, and count these."""
    for index, name, value in network.params():
        nan = int(torch.isnan(value).sum())
        infinite = int(torch.isinf(value).sum())
        if nan or infinite:
            kind = network.components[index].kind
            yield (
                f"component {index + 1} <{kind}>: {name} has {nan} NaN and {infinite} infinite elements "
                f"of {value.numel()}"
            )
