#!/usr/bin/env python3
"""Make the feature transform of all networks from the training frames, as a network that Kaldi reads.

cmvn gives every column mean 0 and variance 1, as Kaldi's recipes do (compute-cmvn-stats, cmvn-to-nnet);
whiten gives the covariance within the classes, shrunk towards its diagonal, the inverse as well: losses fall
faster. Reads <data-dir>/{feats.scp,utt2genre}; writes <dir>/feature_transform.nnet and, of cmvn, cmvn.stats.

Usage: local/make_feature_transform.py [options] <data-dir> <dir>
e.g.:  local/make_feature_transform.py --config conf/transform.conf data/synth/train_tr data/synth/cmvn
"""

import numpy as np

from steps import archive
from steps.nnet1.feature_transform import global_stats, stats_to_network, whitening_network
from steps.nnet1.model_file import write_network
from utils import cli, tables


def main(argv: list[str] | None = None) -> int:
    """Make the transform."""
    parser = cli.KaldiParser.of(__doc__)
    parser.add_argument("--transform", choices=("cmvn", "whiten"), default="cmvn", help="cmvn or whiten")
    parser.add_argument("--shrinkage", type=cli.finite_float, default=0.03, help="of whiten's correlations")
    args = parser.parse_args(argv)
    if not 0.0 < args.shrinkage <= 1.0:
        parser.error(f"--shrinkage: expected above 0 and up to 1, got {args.shrinkage:g}")
    feats = archive.read_matrices(f"scp:{args.data_dir}/feats.scp")
    args.dir.mkdir(parents=True, exist_ok=True)
    if args.transform == "cmvn":
        stats = global_stats(feats).astype(np.float32)
        archive.write_matrix_file(args.dir / "cmvn.stats", stats)
        network = stats_to_network(stats)
    else:
        network = whitening_network(feats, tables.read_table(args.data_dir / "utt2genre"), args.shrinkage)
    write_network(network, str(args.dir / "feature_transform.nnet"), args.transform != "cmvn")
    return 0


if __name__ == "__main__":
    cli.run(main)
