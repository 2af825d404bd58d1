#!/usr/bin/env python3
"""Accuracy of the SVMs on f_lstm and f_fusion against the threshold k, for Figure 3.

Trains on the training tracks and tests on the test tracks at every k of --k-grid, with the C that
cross-validation on the training set chose for the tables (it stands in the two SVM files). The curve
is a picture: k is 0.9 in the tables whatever it shows.

Reads <exp-dir>/post_train/post.scp, post_test/post.scp, svm_lstm/svm.npz, svm_fusion/svm.npz and the
mean frames <sc-dir>/train.scp and test.scp of segment_features.py --type sc; writes <exp-dir>/sweep_k.tsv.

Usage: local/sweep_k.py [options] <data-dir> <sc-dir> <exp-dir>
e.g.:  local/sweep_k.py --config conf/svm.conf data/synth exp/synth_sc/svm_sc exp/synth_lstm_512
"""

from __future__ import annotations

import argparse
from pathlib import Path

from steps.scoring.reference import read_reference
from steps.scoring.svm import read_svm
from steps.scoring.svm_training import add_svm_options, svm_options
from steps.scoring.sweep import SweepData, sweep, write_sweep
from steps.scoring.vectors import read_labelled
from steps.scoring.votes import read_posteriors
from utils import cli

DEFAULT_GRID = tuple(round(0.5 + 0.01 * step, 2) for step in range(50))


def thresholds(text: str) -> tuple[float, ...]:
    """Parse a comma-separated, increasing list of thresholds in [0, 1)."""
    values = tuple(cli.finite_float(word) for word in text.split(","))
    if values[0] < 0.0 or values[-1] >= 1.0 or any(a >= b for a, b in zip(values, values[1:], strict=False)):
        raise argparse.ArgumentTypeError(f"expected increasing thresholds in [0, 1), got '{text}'")
    return values


def get_parser() -> cli.KaldiParser:
    """Return the command line."""
    parser = cli.KaldiParser("local/sweep_k.py [options] <data-dir> <sc-dir> <exp-dir>", __doc__)
    add_svm_options(parser)
    parser.add_argument("--k-grid", type=thresholds, default=DEFAULT_GRID, help="thresholds")
    parser.add_argument("--test-set", default="test", metavar="SET", help="where it is tested")
    parser.add_argument("data_dir", help="corpus directory with train and test")
    parser.add_argument("sc_dir", help="folder of the mean frames, train.scp and test.scp")
    parser.add_argument("exp_dir", help="folder of the model")
    return parser


def collect(data_dir: Path, sc_rspecifier: str, post_rspecifier: str) -> SweepData:
    """Read the mean frames and the posteriors of a set."""
    reference = read_reference(data_dir)
    means, labels = read_labelled(reference, sc_rspecifier)
    posts = {utt: post.copy() for utt, post in read_posteriors(reference, post_rspecifier)}
    return SweepData(means, [posts[utt] for utt in reference.genre], labels)


def main(argv: list[str] | None = None) -> int:
    """Sweep one model."""
    args = get_parser().parse_args(argv)
    data, means, exp = Path(args.data_dir), Path(args.sc_dir), Path(args.exp_dir)
    machines = [read_svm(exp / f"svm_{kind}" / "svm.npz") for kind in ("lstm", "fusion")]
    train, test = (
        collect(data / part, f"scp:{means}/{part}.scp", f"scp:{exp}/post_{part}/post.scp")
        for part in ("train", args.test_set)
    )
    costs = (machines[0].cost, machines[1].cost)
    points = sweep(train, test, len(machines[0].classes), args.k_grid, costs, svm_options(args))
    write_sweep(exp / "sweep_k.tsv", points)
    cli.log(f"wrote {exp}/sweep_k.tsv: {len(points)} thresholds, C={costs[0]:g} and {costs[1]:g}")
    return 0


if __name__ == "__main__":
    cli.run(main)
