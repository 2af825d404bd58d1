"""What a training step is told: the options that Kaldi calls NnetTrainOptions."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from utils import cli


@dataclass(frozen=True)
class TrainOptions:
    """Learning rate, momentum and penalties; gradients are sums over the frames, never means."""

    learn_rate: float = 0.008
    momentum: float = 0.0
    l1_penalty: float = 0.0
    l2_penalty: float = 0.0


def add_train_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--learn-rate --momentum --l1-penalty --l2-penalty`` with Kaldi's defaults."""
    default = TrainOptions()
    parser.add_argument(
        "--learn-rate", type=cli.finite_float, default=default.learn_rate, help="learning rate"
    )
    parser.add_argument("--momentum", type=cli.finite_float, default=default.momentum, help="momentum")
    parser.add_argument("--l1-penalty", type=cli.finite_float, default=default.l1_penalty, help="L1 penalty")
    parser.add_argument("--l2-penalty", type=cli.finite_float, default=default.l2_penalty, help="L2 penalty")


def add_standard_options(parser: argparse.ArgumentParser, verbose: int = 0) -> None:
    """Add ``--verbose`` and ``--print-args``, which every tool of Kaldi's takes; the second has no effect."""
    parser.add_argument("--verbose", type=int, default=verbose, help=f"log more (default: {verbose})")
    parser.add_argument("--print-args", type=cli.boolean, default=True, help="accepted for Kaldi's sake")


def train_options(args: argparse.Namespace) -> TrainOptions:
    """Take the training options out of parsed arguments."""
    return TrainOptions(args.learn_rate, args.momentum, args.l1_penalty, args.l2_penalty)
