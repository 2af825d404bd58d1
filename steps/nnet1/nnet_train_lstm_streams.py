#!/usr/bin/env python3
"""Train an LSTM for one epoch on interleaved utterances, as kaldi-lstm's bd-nnet-train-lstm-streams does.

Usage: nnet_train_lstm_streams.py [options] <feature-rspecifier> <targets-rspecifier> <model-in> [<model-out>]

e.g. nnet_train_lstm_streams.py --momentum=0.9 --learn-rate=1e-5 scp:feats.scp ark:post.ark nnet.0 nnet.1

--batch-size is the number of frames of truncated backpropagation through time; an update sees
batch-size x num-stream frames. With fewer utterances than streams, the streams without one run on
frames of weight 0.
"""

from steps.nnet1.minibatches import Streams
from steps.nnet1.tool import run_training, training_parser
from utils import cli


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    parser = training_parser(__doc__)
    parser.set_defaults(randomize=False)
    add = parser.add_argument
    add("--batch-size", type=cli.positive_int, default=20, help="frames of BPTT")
    add("--num-stream", type=cli.positive_int, default=4, help="utterances side by side")
    add("--targets-delay", type=int, default=5, help="frames the output lags behind")
    add("--dump-interval", type=int, default=50000, help="write <model-out>_utt<N> every so often (CPU)")
    args = parser.parse_args(argv)
    if args.targets_delay < 0:
        parser.error(f"--targets-delay must be at least 0, got {args.targets_delay}")
    args.frame_weights = ""  # without effect, as in kaldi-lstm
    run_training(args, Streams(args.batch_size, args.num_stream, args.targets_delay))
    return 0


if __name__ == "__main__":
    cli.run(main)
