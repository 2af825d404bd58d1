#!/usr/bin/env python3
"""Initialise a network from a prototype: Kaldi's nnet-initialize.

Usage: nnet_initialize.py [options] <nnet-prototype-in> <nnet-out>
e.g.: nnet_initialize.py --seed=777 nnet.proto nnet.init

The parameters are those that Kaldi draws for the same seed, bit for bit. A prototype with <Transmit>,
<TimeShift>, <LstmProjectedStreams> or <ParamScale> is drawn and written as by the Kaldi of 2014 that
kaldi-lstm belongs to, any other as by today's.
"""

import sys

from steps.nnet1.initialize import BRACKETS, default_generation, initialize, read_prototype
from steps.nnet1.model_file import write_network
from steps.nnet1.options import add_standard_options
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--binary", type=cli.boolean, default=True, help="write in binary mode")
    parser.add_argument("--seed", type=int, default=777, help="seed of the random numbers")
    parser.add_argument("--generation", choices=("2014", "modern"), help="default: told from the prototype")
    add_standard_options(parser, verbose=1)
    options = parser.parse_args(argv)
    protos, lines = read_prototype(options.nnet_prototype_in)
    generation = options.generation or default_generation(protos)
    for line in lines:
        if options.verbose >= 1 and (generation == "modern" or line not in BRACKETS):
            print(f"VLOG[1] ({cli.PROGRAM}) {line}", file=sys.stderr)
    write_network(initialize(protos, options.seed, generation), options.nnet_out, options.binary)
    cli.log(f"Written initialized model to {options.nnet_out}")
    return 0


if __name__ == "__main__":
    cli.run(main)
