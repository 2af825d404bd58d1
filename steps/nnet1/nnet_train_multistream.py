#!/usr/bin/env python3
"""Train an LSTM for one epoch on parallel streams, as today's nnet-train-multistream does.

Usage: nnet_train_multistream.py [options] <feature-rspecifier> <targets-rspecifier> <model-in> [<model-out>]

e.g. nnet_train_multistream.py --num-streams=4 --learn-rate=1e-4 scp:feats.scp ark:post.ark nnet.0 nnet.1

The feature transform sees whole utterances; a <Splice> of one offset there delays the targets. The epoch
ends, in cross-validation too, as soon as one stream finds no further utterance.
"""

from __future__ import annotations

from steps.nnet1.epoch import multistream_epoch
from steps.nnet1.tool import (
    add_dummy_options,
    add_loss_options,
    parse_training,
    run_training,
    training_parser,
)
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = training_parser("nnet_train_multistream.py", __doc__)
    parser.add_argument(
        "--batch-size", type=cli.positive_int, default=20, help="frames of BPTT (default: 20)"
    )
    parser.add_argument("--num-streams", type=cli.positive_int, default=4, help="streams (default: 4)")
    add_loss_options(parser)
    add_dummy_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = parse_training(get_parser(), argv)
    run_training(
        args,
        "multistream",
        lambda net, data, options, reporter: multistream_epoch(
            net, data, options, batch_size=args.batch_size, where=args.model_in, reporter=reporter
        ),
        num_stream=args.num_streams,
    )
    return 0


if __name__ == "__main__":
    cli.run(main)
