#!/usr/bin/env python3
"""Train a feed-forward network for one epoch on shuffled frames, as Kaldi's nnet-train-frmshuff does.

Usage: nnet_train_frmshuff.py [options] <feature-rspecifier> <targets-rspecifier> <model-in> [<model-out>]

e.g. nnet_train_frmshuff.py --feature-transform=tr.nnet scp:feats.scp ark:post.ark nnet.init nnet.iter1

The loss is that of each minibatch before its update. The shuffling is a permutation of our own, drawn
from --randomizer-seed; --randomize=false keeps Kaldi's order of the data exactly.
"""

from __future__ import annotations

from steps.nnet1.epoch import frame_epoch
from steps.nnet1.tool import add_loss_options, parse_training, run_training, training_parser
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = training_parser("nnet_train_frmshuff.py", __doc__)
    add_loss_options(parser)
    add = parser.add_argument
    add("--minibatch-size", type=cli.positive_int, default=256, help="frames an update (default: 256)")
    add("--randomize", type=cli.boolean, default=True, help="shuffle the frames (default: true)")
    add(
        "--randomizer-size",
        type=cli.positive_int,
        default=32768,
        help="frames shuffled together (default: 32768)",
    )
    add("--randomizer-seed", type=int, default=777, help="seed of the shuffling (default: 777)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = parse_training(get_parser(), argv)
    randomize = args.randomize and not args.cross_validate
    run_training(
        args,
        "frmshuff",
        lambda net, data, options, reporter: frame_epoch(
            net,
            data,
            options,
            minibatch_size=args.minibatch_size,
            randomizer_size=args.randomizer_size,
            seed=args.randomizer_seed if randomize else None,
            where=args.model_in,
            reporter=reporter,
        ),
    )
    return 0


if __name__ == "__main__":
    cli.run(main)
