#!/usr/bin/env python3
"""Pass utterances through a network and write its outputs, as Kaldi's nnet-forward does.

Usage: nnet_forward.py [options] <model-in> <feature-rspecifier> <feature-wspecifier>

e.g. nnet_forward.py --feature-transform=transform.nnet final.nnet scp:feats.scp ark,scp:post.ark,post.scp

Every utterance is passed as a whole, LSTMs from a zero state.
"""

import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from steps import archive
from steps.nnet1.components import LstmProjectedStreams
from steps.nnet1.forward import Forward, log_priors, without_softmax
from steps.nnet1.model_file import read_network
from steps.nnet1.options import add_device_options, add_standard_options, open_device
from utils import cli, progress, tables


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    parser = cli.KaldiParser.of(__doc__)
    add_device_options(parser)
    add = parser.add_argument
    add("--feature-transform", default="", help="network that the features pass first")
    add("--no-softmax", type=cli.boolean, default=False, help="leave the last softmax out")
    add("--apply-log", type=cli.boolean, default=False, help="write log(y + 1e-20)")
    add("--class-frame-counts", default="", help="file with one vector of counts: subtract log priors")
    add("--prior-scale", type=cli.finite_float, default=1.0, help="factor of the log priors")
    add("--prior-floor", type=cli.finite_float, default=1e-10, help="rarer classes are impossible")
    add("--allow-pipes", type=cli.boolean, default=False, help="run commands in rspecifiers")
    add_standard_options(parser)
    args = parser.parse_args(argv)
    if args.no_softmax and args.apply_log:
        parser.error("--no-softmax=true and --apply-log=true exclude each other")
    device = "cpu" if args.use_gpu == "no" else open_device(args.use_gpu)
    network = read_network(args.model_in)
    if any(isinstance(component, LstmProjectedStreams) for component in network.components):
        cli.warn(f"{args.model_in}: of training time, its outputs come late; see nnet_copy.py --to-test")
    if args.no_softmax:
        network = without_softmax(network, args.model_in)
    priors = None
    if args.class_frame_counts:
        cli.log(f"Computing pdf-priors from : {args.class_frame_counts}")
        counts = archive.read_matrix_file(args.class_frame_counts).ravel()  # [ 10 20 30 ], in text a row
        if not (np.isfinite(counts).all() and (counts >= 0).all() and counts.sum() > 0):
            raise cli.UserError(f"{args.class_frame_counts}: expected counts, none below 0 and one above")
        priors = log_priors(counts, args.prior_floor)
    transform = read_network(args.feature_transform) if args.feature_transform else None
    how = (device, args.num_threads, args.apply_log, priors, args.prior_scale)
    forward = Forward(network, transform, *how)
    form, path = archive.parse_rspecifier(args.feature_rspecifier)
    total = len(tables.read_scp(path)) if form == "scp" and Path(path).is_file() else 0
    started = time.monotonic()
    with archive.Writer(args.feature_wspecifier) as writer, threadpool_limits(args.num_threads):
        for key, output in forward.all(
            archive.read_matrices(args.feature_rspecifier, allow_pipes=args.allow_pipes)
        ):
            writer.write(key, output)
            progress.report(forward.utterances, total, "utterances")
    minutes = (time.monotonic() - started) / 60
    cli.log(f"Done {forward.utterances} files in {minutes:g}min, (fps {forward.frames / (60 * minutes):g})")
    return 0 if forward.utterances else 1


if __name__ == "__main__":
    cli.run(main)
