#!/usr/bin/env python3
"""Print the prototype of a DNN: Kaldi's utils/nnet/make_nnet_proto.py.

Usage: make_nnet_proto.py [options] <feat-dim> <num-leaves> <num-hid-layers> <num-hid-neurons> > nnet.proto
e.g.: make_nnet_proto.py 525 6 2 1024 > nnet.proto

Weights are normal with a standard deviation of param-stddev-factor * 35 * sqrt(2 / (in + out)), in the
first layer times sqrt(1/12), the deviation of the sigmoids' outputs that feed the other layers.
"""

from __future__ import annotations

import argparse
import math

from utils import cli


def get_parser() -> cli.KaldiParser:
    """Make the parser of the command line."""
    usage = "%(prog)s [options] <feat-dim> <num-leaves> <num-hid-layers> <num-hid-neurons>"
    parser = cli.KaldiParser(usage, __doc__)
    add = parser.add_argument
    add("--no-proto-head", action="store_true", help="leave out the line <NnetProto>")
    add("--no-softmax", action="store_true", help="leave out the last line, <Softmax>")
    types = ("<Sigmoid>", "<Tanh>")
    add(
        "--activation-type", choices=types, default=types[0], help="of the hidden layers (default: <Sigmoid>)"
    )
    add("--hid-bias-mean", type=cli.finite_float, default=-2.0, help="mean of the biases (default: -2)")
    add("--hid-bias-range", type=cli.finite_float, default=4.0, help="width of their range (default: 4)")
    add("--param-stddev-factor", type=cli.finite_float, default=0.1, help="of the weights (default: 0.1)")
    add("--no-glorot-scaled-stddev", action="store_true", help="do not scale with the dimensions")
    add("--no-smaller-input-weights", action="store_true", help="first layer as the others")
    add("--max-norm", type=cli.finite_float, default=0.0, help="of a hidden unit's weights (default: 0, off)")
    add("feat_dim", type=cli.positive_int, metavar="<feat-dim>")
    add("num_leaves", type=cli.positive_int, metavar="<num-leaves>")
    add("num_hid_layers", type=int, metavar="<num-hid-layers>")
    add("num_hid_neurons", type=cli.positive_int, metavar="<num-hid-neurons>")
    return parser


def prototype(options: argparse.Namespace) -> list[str]:
    """Make the lines of the prototype from the parsed command line."""

    def stddev(before: int, after: int) -> float:
        glorot = 1.0 if options.no_glorot_scaled_stddev else 35 * math.sqrt(2 / (before + after))
        return options.param_stddev_factor * glorot

    hidden, leaves = options.num_hid_neurons, options.num_leaves
    lines = [] if options.no_proto_head else ["<NnetProto>"]
    before = options.feat_dim
    for layer in range(options.num_hid_layers):
        smaller = layer == 0 and not options.no_smaller_input_weights
        deviation = stddev(before, hidden) * (math.sqrt(1 / 12) if smaller else 1)
        lines.append(
            f"{_dims('<AffineTransform>', before, hidden)} <BiasMean> {options.hid_bias_mean:f} "
            f"<BiasRange> {options.hid_bias_range:f} <ParamStddev> {deviation:f} "
            f"<MaxNorm> {options.max_norm:f}"
        )
        lines.append(_dims(options.activation_type, hidden, hidden))
        before = hidden
    slower_bias = " <LearnRateCoef> 1.000000 <BiasLearnRateCoef> 0.100000" if options.num_hid_layers else ""
    lines.append(
        f"{_dims('<AffineTransform>', before, leaves)} <BiasMean> 0.000000 <BiasRange> 0.000000 "
        f"<ParamStddev> {stddev(before, leaves):f}{slower_bias}"
    )
    if not options.no_softmax:
        lines.append(_dims("<Softmax>", leaves, leaves))
    return [*lines, "</NnetProto>"]


def _dims(kind: str, before: int, after: int) -> str:
    return f"{kind} <InputDim> {before} <OutputDim> {after}"


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    parser = get_parser()
    options = parser.parse_args(argv)
    if options.num_hid_layers < 0:
        parser.error(f"<num-hid-layers> must be at least 0, got {options.num_hid_layers}")
    print("\n".join(prototype(options)))
    return 0


if __name__ == "__main__":
    cli.run(main)
