#!/usr/bin/env python3
"""Frame posteriors of a trained network, the paper's "LSTM frame feature" (nnet-forward).

Usage: local/dump_posteriors.py [options] <nnet> <feature-transform> <feats-rspecifier> <post-wspecifier>

e.g. local/dump_posteriors.py exp/synth_lstm_512/final_test.nnet data/synth/cmvn/feature_transform.nnet \
       scp:data/synth/test/feats.scp ark,scp:post.ark,post.scp

Every utterance is passed as a whole, from a zero state, and gets one row of posteriors a frame.
"""

from __future__ import annotations

import time

from steps import archive
from steps.nnet1.components import LstmProjectedStreams
from steps.nnet1.device import add_device_options, select_device
from steps.nnet1.forward import Forward
from steps.nnet1.model_file import read_network
from steps.nnet1.runtime import Net
from steps.nnet1.tool import open_transform
from utils import cli


def get_parser() -> cli.KaldiParser:
    """Return the parser of this program's options."""
    arguments = "<nnet> <feature-transform> <feats-rspecifier> <post-wspecifier>"
    parser = cli.KaldiParser(f"local/dump_posteriors.py [options] {arguments}", __doc__)
    for name in ("nnet", "transform", "feats", "output"):
        parser.add_argument(name)
    add_device_options(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit status."""
    args = get_parser().parse_args(argv)
    device = select_device(args)
    network = read_network(args.nnet)
    if any(isinstance(component, LstmProjectedStreams) for component in network.components):
        raise cli.UserError(
            f"{args.nnet}: the training-time form, whose posteriors would come late; use final_test.nnet"
        )
    forward = Forward(Net(network, device), open_transform(args.transform, device))
    started = time.monotonic()
    with archive.Writer(args.output) as writer:
        for key, posteriors in forward.all(archive.read_matrices(args.feats)):
            writer.write(key, posteriors)
    seconds = max(time.monotonic() - started, 1e-9)
    cli.log(f"Done {forward.utterances} files in {seconds / 60:g}min, (fps {forward.frames / seconds:g})")
    return 0


if __name__ == "__main__":
    cli.run(main)
