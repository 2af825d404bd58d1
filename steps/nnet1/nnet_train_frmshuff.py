#!/usr/bin/env python3
"""Train a feed-forward network for one epoch on shuffled frames, as Kaldi's nnet-train-frmshuff does.

Usage: nnet_train_frmshuff.py [options] <feature-rspecifier> <targets-rspecifier> <model-in> [<model-out>]

e.g. nnet_train_frmshuff.py --feature-transform=tr.nnet scp:feats.scp ark:post.ark nnet.init nnet.iter1

The loss is that of each minibatch before its update. The shuffling is a permutation of our own, drawn
from --randomizer-seed; --randomize=false keeps Kaldi's order of the data exactly.
"""

from __future__ import annotations

from steps.nnet1.loss import REPORT_FRAMES
from steps.nnet1.minibatches import Frames
from steps.nnet1.tool import parse_training, run_training, training_parser
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = training_parser("nnet_train_frmshuff.py", __doc__)
    add = parser.add_argument
    text = "log the loss of blocks of so many frames, 0: never"
    add("--loss-report-frames", type=int, default=REPORT_FRAMES, help=text)
    add("--minibatch-size", type=cli.positive_int, default=256, help="frames an update")
    add("--randomize", type=cli.boolean, default=True, help="shuffle the frames")
    add("--randomizer-size", type=cli.positive_int, default=32768, help="frames shuffled together")
    add("--randomizer-seed", type=int, default=777, help="seed of the shuffling")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = parse_training(get_parser(), argv)
    how = Frames(args.minibatch_size, args.randomizer_size, args.randomizer_seed if args.randomize else None)
    run_training(args, how, report_frames=args.loss_report_frames)
    return 0


if __name__ == "__main__":
    cli.run(main)
