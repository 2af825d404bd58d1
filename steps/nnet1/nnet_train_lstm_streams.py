#!/usr/bin/env python3
"""Train an LSTM for one epoch on interleaved utterances, as kaldi-lstm's bd-nnet-train-lstm-streams does.

Usage: nnet_train_lstm_streams.py [options] <feature-rspecifier> <targets-rspecifier> <model-in> [<model-out>]

e.g. nnet_train_lstm_streams.py --momentum=0.9 --learn-rate=1e-5 scp:feats.scp ark:post.ark nnet.0 nnet.1

--batch-size is the number of frames of truncated backpropagation through time; an update sees
batch-size x num-stream frames. With fewer utterances than streams, the streams without one run on
frames of weight 0.
"""

from __future__ import annotations

from steps.nnet1.epoch import stream_epoch
from steps.nnet1.model_file import write_network
from steps.nnet1.tool import (
    add_dummy_options,
    check_streams,
    parse_training,
    run_training,
    training_parser,
)
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    parser = training_parser("nnet_train_lstm_streams.py", __doc__)
    add = parser.add_argument
    add("--batch-size", type=cli.positive_int, default=20, help="frames of BPTT (default: 20)")
    add("--num-stream", type=cli.positive_int, default=4, help="utterances side by side (default: 4)")
    add("--targets-delay", type=int, default=5, help="frames the output lags behind (default: 5)")
    add(
        "--dump-interval",
        type=int,
        default=50000,
        help="write <model-out>_utt<N> every so often (default: 50000)",
    )
    add_dummy_options(parser)
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

    def one_epoch(net, data, options, reporter):
        check_streams(net.network, args.num_stream, args.model_in)
        dumped = 0

        def dump(done: int) -> None:
            nonlocal dumped
            if options is not None and done // max(args.dump_interval, 1) > dumped:
                dumped = done // args.dump_interval
                write_network(net.export(), f"{args.model_out}_utt{dumped * args.dump_interval}", args.binary)

        return stream_epoch(
            net,
            data,
            options,
            batch_size=args.batch_size,
            targets_delay=args.targets_delay,
            where=args.model_in,
            after_batch=dump if args.dump_interval > 0 else None,
            reporter=reporter,
        )

    settings = {"num_stream": args.num_stream, "framewise": True, "length_tolerance": 0}
    run_training(args, "lstm-streams", one_epoch, **settings)
    return 0


if __name__ == "__main__":
    cli.run(main)
