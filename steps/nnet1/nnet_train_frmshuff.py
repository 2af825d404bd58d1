#!/usr/bin/env python3
"""Train a feed-forward network for one epoch on shuffled frames, as Kaldi's nnet-train-frmshuff does.

Usage: nnet_train_frmshuff.py [options] <feature-rspecifier> <targets-rspecifier> <model-in> [<model-out>]

e.g. nnet_train_frmshuff.py --feature-transform=tr.nnet scp:feats.scp ark:post.ark nnet.init nnet.iter1

The loss is that of each minibatch before its update. The shuffling is a permutation of our own, drawn
from --randomizer-seed; --randomize=false keeps Kaldi's order of the data exactly.
"""

from steps.nnet1.loss import REPORT_FRAMES
from steps.nnet1.minibatches import Frames
from steps.nnet1.tool import run_training, training_parser
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    parser = training_parser(__doc__)
    text = "log the loss of blocks of so many frames, 0: never"
    parser.add_argument("--loss-report-frames", type=int, default=REPORT_FRAMES, help=text)
    args = parser.parse_args(argv)
    how = Frames(args.minibatch_size, args.randomizer_size, args.randomizer_seed if args.randomize else None)
    run_training(args, how)
    return 0


if __name__ == "__main__":
    cli.run(main)
