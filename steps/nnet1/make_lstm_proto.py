#!/usr/bin/env python3
"""Print the prototype of a projected LSTM in the layout of kaldi-lstm.

Usage: make_lstm_proto.py [options] <feat-dim> <num-leaves> > nnet.proto
e.g.: make_lstm_proto.py --cell-dim=800 --proj-dim=512 525 6 > nnet.proto

The network is <Transmit>, one <LstmProjectedStreams> a layer, <AffineTransform>, <Softmax>. The leading
<Transmit> matters: without it the first LSTM of kaldi-lstm gets no gradient. The recurrent projection
of --proj-dim units is what the paper calls the size of a layer.
"""

from __future__ import annotations

import argparse

from utils import cli


def get_parser() -> cli.KaldiParser:
    """Make the parser of the command line; the defaults are those of kaldi-lstm's nnet.proto."""
    parser = cli.KaldiParser("%(prog)s [options] <feat-dim> <num-leaves>", __doc__)
    add = parser.add_argument
    add("--cell-dim", type=cli.positive_int, default=800, help="memory cells a layer (default: 800)")
    add("--proj-dim", type=cli.positive_int, default=512, help="projected units a layer (default: 512)")
    add("--num-layers", type=cli.positive_int, default=1, help="LSTM layers (default: 1)")
    add("--num-stream", type=cli.positive_int, default=4, help="utterances trained side by side (default: 4)")
    add("--param-scale", type=cli.finite_float, default=0.01, help="of the LSTM's parameters (default: 0.01)")
    add("--param-stddev", type=cli.finite_float, default=0.04, help="of the affine weights (default: 0.04)")
    add("feat_dim", type=cli.positive_int, metavar="<feat-dim>")
    add("num_leaves", type=cli.positive_int, metavar="<num-leaves>")
    return parser


def prototype(options: argparse.Namespace) -> list[str]:
    """Make the lines of the prototype from the parsed command line."""
    feat_dim, leaves, proj_dim = options.feat_dim, options.num_leaves, options.proj_dim
    lines = ["<NnetProto>", f"<Transmit> <InputDim> {feat_dim} <OutputDim> {feat_dim}"]
    before = feat_dim
    for _ in range(options.num_layers):
        lines.append(
            f"<LstmProjectedStreams> <InputDim> {before} <OutputDim> {proj_dim} <CellDim> {options.cell_dim} "
            f"<ParamScale> {options.param_scale:g} <NumStream> {options.num_stream}"
        )
        before = proj_dim
    lines.append(
        f"<AffineTransform> <InputDim> {before} <OutputDim> {leaves} <BiasMean> 0 "
        f"<BiasRange> 0 <ParamStddev> {options.param_stddev:g}"
    )
    lines.append(f"<Softmax> <InputDim> {leaves} <OutputDim> {leaves}")
    return [*lines, "</NnetProto>"]


def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    print("\n".join(prototype(get_parser().parse_args(argv))))
    return 0


if __name__ == "__main__":
    cli.run(main)
