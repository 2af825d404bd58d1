#!/usr/bin/env python3
"""Copy a network, possibly between text and binary, or convert it: Kaldi's nnet-copy.

Usage: nnet_copy.py [options] <model-in> <model-out>
e.g.: nnet_copy.py --binary=false nnet.mdl nnet.txt
      nnet_copy.py --to-test=true --shift=5 nnet.iter15 final.nnet

--to-test makes the form for whole utterances of what nnet_train_lstm_streams.py trained: <Transmit>
becomes <TimeShift> by --shift frames (the --targets-delay of the training), <LstmProjectedStreams>
becomes <LstmProjected>. --generation=modern makes a network of 2014 readable for today's Kaldi, and
--generation=2014 the other way round, where the components allow it.
"""

from steps.nnet1.components import Network, to_test_time
from steps.nnet1.model_file import read_network, write_network
from steps.nnet1.options import add_standard_options
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    parser = cli.KaldiParser.of(__doc__)
    add = parser.add_argument
    add("--binary", type=cli.boolean, default=True, help="write in binary mode")
    add("--to-test", type=cli.boolean, default=False, help="convert to the test-time form")
    add("--shift", type=int, default=5, help="frames for --to-test to shift by")
    add("--generation", choices=("2014", "modern"), help="default: as the input")
    for end in ("first", "last"):
        names = (f"--remove-{end}-components", f"--remove-{end}-layers")
        add(*names, type=int, default=0, dest=f"remove_{end}", help=f"leave out the {end} N")
    add_standard_options(parser)
    options = parser.parse_args(argv)
    network = read_network(options.model_in)
    if options.to_test:
        network = to_test_time(network, options.shift)
    end = max(0, len(network.components) - options.remove_last)
    left = network.components[options.remove_first : end]
    copied = Network(left, options.generation or network.generation)
    write_network(copied, options.model_out, options.binary)
    cli.log(f"Written model to {options.model_out}")
    return 0


if __name__ == "__main__":
    cli.run(main)
