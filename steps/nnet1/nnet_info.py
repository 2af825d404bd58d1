#!/usr/bin/env python3
"""Print what a network consists of and the statistics of its parameters: Kaldi's nnet-info.

Usage: nnet_info.py <nnet-in>
e.g.: nnet_info.py final.nnet

The text goes to stdout. Parameters that are infinite or not a number are counted in warnings.
"""

from __future__ import annotations

from steps.nnet1.info import bad_parameters, describe
from steps.nnet1.model_file import read_network
from steps.nnet1.options import add_standard_options
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Make the parser of the command line."""
    parser = cli.KaldiParser("%(prog)s <nnet-in>", __doc__)
    add_standard_options(parser)
    parser.add_argument("nnet", metavar="<nnet-in>")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    options = get_parser().parse_args(argv)
    network = read_network(options.nnet)
    print(describe(network), flush=True)
    for warning in bad_parameters(network):
        cli.warn(f"{options.nnet}: {warning}")
    cli.log(f"Printed info about {options.nnet}")
    return 0


if __name__ == "__main__":
    cli.run(main)
