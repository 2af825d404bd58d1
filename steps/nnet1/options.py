"""Options that several tools share: of a training step, of the device, and of every tool of Kaldi's."""

import argparse
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from utils import cli
from utils.cli import UserError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TrainOptions:
    """Kaldi's NnetTrainOptions; gradients are sums over the frames, never means."""

    learn_rate: float = 0.008
    momentum: float = 0.0
    l1_penalty: float = 0.0
    l2_penalty: float = 0.0

    @classmethod
    def of(cls, args: argparse.Namespace) -> "TrainOptions":
        """Take the options of these names from a command line."""
        return cls(*(float(getattr(args, item.name)) for item in fields(cls)))


def add_standard_options(parser: argparse.ArgumentParser, verbose: int = 0) -> None:
    """Add ``--verbose`` and ``--print-args``, which every tool of Kaldi's takes; the second has no effect."""
    parser.add_argument("--verbose", type=int, default=verbose, help="log more")
    parser.add_argument("--print-args", type=cli.boolean, default=True, help="accepted for Kaldi's sake")


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--use-gpu yes|no|optional`` and ``--num-threads``."""
    add = parser.add_argument
    add("--use-gpu", choices=("yes", "no", "optional"), default="no", help="yes: fail without a GPU")
    add("--num-threads", type=cli.positive_int, default=1, help="CPU threads")


def open_device(use_gpu: str) -> "torch.device":
    """Choose the device for Kaldi's ``--use-gpu``, ``yes``, ``no``, ``optional``: the GPU with most room."""
    import torch

    present = use_gpu != "no" and torch.cuda.is_available()
    if use_gpu == "yes" and not present:
        raise UserError("--use-gpu=yes: no CUDA GPU is available; use --use-gpu=no or optional")
    if not present:
        return torch.device("cpu")
    torch.backends.cuda.matmul.allow_tf32 = False
    free = [torch.cuda.mem_get_info(number)[0] for number in range(torch.cuda.device_count())]
    number = free.index(max(free))
    cli.log(f"Selected device: CUDA GPU {number}, {torch.cuda.get_device_name(number)}")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)
