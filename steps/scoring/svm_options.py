"""The options of conf/svm.conf, shared by the programs that train SVMs."""

from __future__ import annotations

import argparse

from steps.scoring.svm_training import SvmOptions
from utils import cli


def positive_floats(text: str) -> tuple[float, ...]:
    """Parse a comma-separated list of positive numbers."""
    values = tuple(cli.finite_float(word) for word in text.split(","))
    if min(values) <= 0.0 or len(set(values)) != len(values):
        raise argparse.ArgumentTypeError(f"expected different positive numbers, got '{text}'")
    return values


def fold_count(text: str) -> int:
    """Parse a number of folds, at least 2."""
    if cli.positive_int(text) < 2:
        raise argparse.ArgumentTypeError(f"expected at least 2 folds, got '{text}'")
    return int(text)


def add_svm_options(parser: cli.KaldiParser) -> None:
    """Add the options of the SVM to a command line."""
    default = SvmOptions()
    grid = ",".join(f"{cost:g}" for cost in default.grid)
    parser.add_argument("--c-grid", type=positive_floats, default=default.grid, help=f"costs to try ({grid})")
    parser.add_argument(
        "--folds", type=fold_count, default=default.folds, help="folds of the cross-validation (5)"
    )
    parser.add_argument("--seed", type=int, default=default.seed, help="seed of the folds (777)")
    parser.add_argument("--class-weight", default="none", choices=("none", "balanced"), help="weights (none)")
    parser.add_argument(
        "--tolerance",
        type=cli.finite_float,
        default=default.tolerance,
        help="liblinear's stopping tolerance (0.001)",
    )
    parser.add_argument(
        "--max-iter", type=cli.positive_int, default=default.max_iter, help="its iterations (1000)"
    )


def svm_options(args: argparse.Namespace) -> SvmOptions:
    """Return the options that a command line gave."""
    weight = None if args.class_weight == "none" else args.class_weight
    return SvmOptions(args.c_grid, args.folds, args.seed, weight, args.tolerance, args.max_iter)
