#!/usr/bin/env python3
"""Turn global CMVN statistics into a feature transform <AddShift> <Rescale>: Kaldi's cmvn-to-nnet.

Usage: cmvn_to_nnet.py [options] <stats-in> <nnet-out>
e.g.: cmvn_to_nnet.py --binary=true cmvn.stats feature_transform.nnet

The output is text by default, as Kaldi's, and so rounded to 7 digits.
"""

from steps import archive
from steps.nnet1.feature_transform import stats_to_network
from steps.nnet1.model_file import write_network
from steps.nnet1.options import add_standard_options
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    parser = cli.KaldiParser.of(__doc__)
    add = parser.add_argument
    add("--binary", type=cli.boolean, default=False, help="write in binary mode")
    add("--std-dev", type=cli.finite_float, default=1.0, help="standard deviation of the output")
    add("--var-floor", type=cli.finite_float, default=1e-10, help="smallest variance")
    add("--learn-rate-coef", type=cli.finite_float, default=0.0, help="of both components")
    add_standard_options(parser)
    options = parser.parse_args(argv)
    given = {name: getattr(options, name) for name in ("std_dev", "var_floor", "learn_rate_coef")}
    network = stats_to_network(archive.read_matrix_file(options.stats_in), **given)
    write_network(network, options.nnet_out, options.binary)
    cli.log(f"Written cmvn in 'nnet1' model to: {options.nnet_out}")
    return 0


if __name__ == "__main__":
    cli.run(main)
