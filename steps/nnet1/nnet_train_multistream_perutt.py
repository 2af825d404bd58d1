#!/usr/bin/env python3
r"""Train an LSTM for one epoch on several whole utterances at a time, as nnet-train-multistream-perutt does.

Usage: nnet_train_multistream_perutt.py [options] <feature-rspecifier> <targets-rspecifier> <model-in> \
         [<model-out>]

e.g. nnet_train_multistream_perutt.py --num-streams=4 scp:feats.scp ark:post.ark nnet.0 nnet.1

Utterances of similar lengths are trained on together, through their whole length, with one update a batch.
They are drawn from a buffer of 3 GB in the order in which Kaldi's tool draws them; as there, the last
utterance is left over.
"""

from __future__ import annotations

from steps.nnet1.epoch import multistream_utterance_epoch
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
    parser = training_parser("nnet_train_multistream_perutt.py", __doc__)
    parser.set_defaults(max_frames=8000)
    text = "utterances a batch (default: 4)"
    parser.add_argument("--num-streams", type=cli.positive_int, default=4, help=text)
    add_loss_options(parser)
    add_dummy_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = parse_training(get_parser(), argv)
    run_training(
        args,
        "multistream-perutt",
        lambda net, data, options, reporter: multistream_utterance_epoch(
            net,
            data,
            options,
            num_streams=args.num_streams,
            max_frames=args.max_frames,
            where=args.model_in,
            reporter=reporter,
        ),
    )
    return 0


if __name__ == "__main__":
    cli.run(main)
