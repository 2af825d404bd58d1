#!/usr/bin/env python3
"""Train a network for one epoch with one update an utterance, as Kaldi's nnet-train-perutt does.

Usage: nnet_train_perutt.py [options] <feature-rspecifier> <targets-rspecifier> <model-in> [<model-out>]

e.g. nnet_train_perutt.py --learn-rate=1e-4 scp:feats.scp ark:post.ark nnet.init nnet.iter1

An LSTM starts every utterance from a zero state and is trained through its whole length.
"""

from __future__ import annotations

from steps.nnet1.epoch import utterance_epoch
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
    parser = training_parser("nnet_train_perutt.py", __doc__)
    parser.set_defaults(max_frames=6000)
    add_loss_options(parser)
    add_dummy_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = parse_training(get_parser(), argv)
    run_training(
        args,
        "perutt",
        lambda net, data, options, reporter: utterance_epoch(
            net, data, options, where=args.model_in, reporter=reporter
        ),
    )
    return 0


if __name__ == "__main__":
    cli.run(main)
