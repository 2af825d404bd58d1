#!/usr/bin/env python3
"""Train a DNN on single frames with Karel's scheduler, all epochs in one process (steps/nnet/train.sh).

Usage: local/train_dnn.py [options] <data-tr> <data-cv> <feature-transform> <exp-dir>
e.g.:  local/train_dnn.py --config conf/paper/dnn1.conf data/synth/train_tr data/synth/train_cv \
       data/synth/cmvn/feature_transform.nnet exp/synth_dnn1

Reads feats.scp, labels.scp and genres.txt; writes nnet/ (the last and the best network), final.nnet (the best
in cross-validation), final_test.nnet (the same), iters.tsv. An interrupted training goes on under its --key.
"""

from steps.nnet1.initialize import dnn_prototype
from steps.nnet1.minibatches import Frames
from steps.nnet1.schedule import Karel
from steps.nnet1.trainer import Trainer, trainer_parser
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    parser = trainer_parser(__doc__, Karel)
    add = parser.add_argument
    add("--hid-layers", type=cli.positive_int, default=1, help="hidden layers")
    add("--hid-dim", type=cli.positive_int, default=1024, help="units of a hidden layer")
    add("--minibatch-size", type=cli.positive_int, default=256, help="frames an update")
    add("--randomize", type=cli.boolean, default=True, help="shuffle the frames")
    add("--randomizer-size", type=cli.positive_int, default=32768, help="frames shuffled together")
    args = parser.parse_args(argv)
    how = Frames(args.minibatch_size, args.randomizer_size, args.seed if args.randomize else None)
    sizes = (args.hid_layers, args.hid_dim)
    Trainer(args, how, Karel, lambda dim, classes: dnn_prototype(dim, classes, *sizes)).train()
    return 0


if __name__ == "__main__":
    cli.run(main)
