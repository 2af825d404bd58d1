#!/usr/bin/env python3
"""Print what a network consists of and the statistics of its parameters: Kaldi's nnet-info.

Usage: nnet_info.py <nnet-in>
e.g.: nnet_info.py final.nnet

The text goes to stdout.
"""

import numpy as np

from steps.nnet1 import components as nn
from steps.nnet1.model_file import read_network
from steps.nnet1.options import add_standard_options
from utils import cli


def moments(values: np.ndarray) -> str:
    """Kaldi's ``( min ..., max ..., mean ..., stddev ..., skewness ..., kurtosis ... )`` of all elements.

    Skewness is m3 / m2**1.5 and kurtosis m4 / m2**2 - 3 of the central moments, summed in float64.
    """
    x = values.astype(np.float64).ravel()
    with np.errstate(all="ignore"):
        low, high, mean = x.min(), x.max(), x.mean()
        x -= mean
        square = x * x
        variance, third, fourth = square.mean(), square @ x / len(x), square @ square / len(x)
        found = (low, high, mean, np.sqrt(variance), third / variance**1.5, fourth / variance**2 - 3)
    names = ("min", "max", "mean", "stddev", "skewness", "kurtosis")
    return " ( " + ", ".join(f"{name} {value:g}" for name, value in zip(names, found, strict=True)) + " ) "


def _details(component: nn.Component) -> str:
    match component:
        case nn.AffineTransform():
            return (
                f"\n  linearity{moments(component.weight)}, lr-coef {component.learn_rate_coef:g}, "
                f"max-norm {component.max_norm:g}"
                f"\n  bias{moments(component.bias)}, lr-coef {component.bias_learn_rate_coef:g}"
            )
        case nn.AddShift() | nn.Rescale():
            ((name, values),) = component.params().items()
            return f"\n  {name}_data{moments(values)}, lr-coef {component.learn_rate_coef:g}"
        case nn.Splice():
            return f"\n  frame_offsets [ {' '.join(map(str, component.offsets))} ]"
        case nn.Copy():
            return f"\n  min {min(component.indices)}, max {max(component.indices)}"
        case nn.TimeShift():
            return f"shift {component.shift}"
        case nn.Lstm():
            names = ("learn_rate_coef", "bias_learn_rate_coef", "cell_clip", "diff_clip", "grad_clip")
            options = ", ".join(f"{name}_ {getattr(component, name):g}" for name in names)
            tensors = "".join(f"\n  {name}_  {moments(value)}" for name, value in component.params().items())
            return f"cell-dim {component.cell_dim} ( {options} ){tensors}"
    return ""


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    parser = cli.KaldiParser.of(__doc__)
    add_standard_options(parser)
    options = parser.parse_args(argv)
    network = read_network(options.nnet_in)
    count = np.float32(sum(value.size for _, _, value in network.params()))
    print(f"num-components {len(network.components)}")
    print(f"input-dim {network.input_dim}\noutput-dim {network.output_dim}")
    print(f"number-of-parameters {count / 1e6:g} millions")
    for index, component in enumerate(network.components, start=1):
        dims = f"input-dim {component.input_dim}, output-dim {component.output_dim}"
        print(f"component {index} : <{component.kind}>, {dims}, {_details(component)}")
    cli.log(f"Printed info about {options.nnet_in}")
    return 0


if __name__ == "__main__":
    cli.run(main)
