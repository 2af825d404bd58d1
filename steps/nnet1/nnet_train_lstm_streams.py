#!/usr/bin/env python3
"""Train an LSTM for one epoch on interleaved utterances, as kaldi-lstm's bd-nnet-train-lstm-streams does.

Usage: nnet_train_lstm_streams.py [options] <feature-rspecifier> <targets-rspecifier> <model-in> [<model-out>]

e.g. nnet_train_lstm_streams.py --momentum=0.9 --learn-rate=1e-5 scp:feats.scp ark:post.ark nnet.0 nnet.1

--batch-size is the number of frames of truncated backpropagation through time; an update sees
batch-size x num-stream frames. With fewer utterances than streams, the streams without one run on
frames of weight 0.
"""

from __future__ import annotations

from steps.nnet1.inputs import TrainingData
from steps.nnet1.minibatches import Streams
from steps.nnet1.model_file import write_network
from steps.nnet1.net import Net
from steps.nnet1.tool import parse_training, run_training, training_parser
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = training_parser("nnet_train_lstm_streams.py", __doc__)
    add = parser.add_argument
    add("--batch-size", type=cli.positive_int, default=20, help="frames of BPTT")
    add("--num-stream", type=cli.positive_int, default=4, help="utterances side by side")
    add("--targets-delay", type=int, default=5, help="frames the output lags behind")
    add("--dump-interval", type=int, default=50000, help="write <model-out>_utt<N> every so often")
    # The shuffling trainer's options, which train_scheduler.sh gives to any --train-tool.
    dummies = parser.add_argument_group("accepted and without effect, as in Kaldi")
    for name, default in (("minibatch-size", 256), ("randomizer-size", 32768), ("randomizer-seed", 777)):
        dummies.add_argument(f"--{name}", type=int, default=default)
    dummies.add_argument("--randomize", type=cli.boolean, default=False)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    parser = get_parser()
    args = parse_training(parser, argv)
    if args.targets_delay < 0:
        parser.error(f"--targets-delay must be at least 0, got {args.targets_delay}")
    if args.frame_weights:
        cli.warn("--frame-weights has no effect here, as in kaldi-lstm")
        args.frame_weights = ""

    dumped = 0

    def dump(net: Net, data: TrainingData) -> None:
        nonlocal dumped
        if args.dump_interval > 0 and data.counts.done // args.dump_interval > dumped:
            dumped = data.counts.done // args.dump_interval
            write_network(net.export(), f"{args.model_out}_utt{dumped * args.dump_interval}", args.binary)

    run_training(args, Streams(args.batch_size, args.num_stream, args.targets_delay), after_minibatch=dump)
    return 0


if __name__ == "__main__":
    cli.run(main)
