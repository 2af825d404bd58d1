#!/usr/bin/env python3
"""Train a projected LSTM with kaldi-lstm's loop, all epochs in one process (google/train_lstm_streams.sh).

Usage: local/train_lstm.py [options] <data-tr> <data-cv> <feature-transform> <exp-dir>
e.g.:  local/train_lstm.py --config conf/paper/lstm_512.conf data/synth/train_tr data/synth/train_cv \
       data/synth/cmvn/feature_transform.nnet exp/synth_lstm_512

Reads feats.scp, labels.scp and genres.txt; writes nnet/ (the last and the best network), final.nnet,
final_test.nnet (for whole utterances), iters.tsv. An interrupted training goes on under its --key.
kaldi-lstm takes the last epoch's network; --select=best-cv the one with the lowest loss in cross-validation.
"""

from steps.nnet1.initialize import lstm_prototype
from steps.nnet1.minibatches import Streams
from steps.nnet1.schedule import KaldiLstm
from steps.nnet1.trainer import Trainer, trainer_parser
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    parser = trainer_parser(__doc__, KaldiLstm)
    parser.set_defaults(momentum=0.9)
    add = parser.add_argument
    add("--num-layers", type=cli.positive_int, default=1, help="LSTM layers")
    add("--cell-dim", type=cli.positive_int, default=800, help="cells of a layer")
    add("--proj-dim", type=cli.positive_int, default=512, help="its recurrent projection")
    add("--param-scale", type=cli.finite_float, default=0.01, help="range of initial weights")
    add("--num-stream", type=cli.positive_int, default=4, help="utterances side by side")
    add("--batch-size", type=cli.positive_int, default=20, help="frames of BPTT")
    add("--targets-delay", type=int, default=5, help="frames the output lags behind")
    add("--select", choices=("last", "best-cv"), default="last", help="final network")
    args = parser.parse_args(argv)
    if args.targets_delay < 0:
        parser.error(f"--targets-delay must be at least 0, got {args.targets_delay}")
    how = Streams(args.batch_size, args.num_stream, args.targets_delay)
    names = ("num_layers", "cell_dim", "proj_dim", "num_stream", "param_scale")
    sizes = {name: getattr(args, name) for name in names}
    trainer = Trainer(args, how, KaldiLstm, lambda *dims: lstm_prototype(*dims, **sizes))
    trainer.train(select=args.select, targets_delay=args.targets_delay)
    return 0


if __name__ == "__main__":
    cli.run(main)
