"""Where the arithmetic runs: Kaldi's ``--use-gpu``, and a fixed number of threads.

One thread is the default: the same bits on every machine of a kind, whatever its number of cores.
"""

from __future__ import annotations

import argparse
import os

import torch

from steps.nnet1 import kernels
from utils import cli
from utils.cli import UserError


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--use-gpu yes|no|optional`` and ``--num-threads``."""
    parser.add_argument(
        "--use-gpu",
        choices=("yes", "no", "optional"),
        default="no",
        help="yes: fail without a GPU (default: no)",
    )
    parser.add_argument(
        "--kernels",
        choices=kernels.CHOICES,
        default="auto",
        help="arithmetic on the CPU (default: auto, C if it compiles)",
    )
    parser.add_argument("--num-threads", type=cli.positive_int, default=1, help="CPU threads (default: 1)")


def select_device(args: argparse.Namespace) -> torch.device:
    """Fix threads and kernels and choose the device from the options of :func:`add_device_options`.

    Raises
    ------
    UserError
        If a GPU is demanded and there is none.
    """
    torch.set_num_threads(args.num_threads)
    kernels.use(args.kernels)
    use_gpu = args.use_gpu
    present = use_gpu != "no" and torch.cuda.is_available()
    if use_gpu == "yes" and not present:
        raise UserError("--use-gpu=yes: no CUDA GPU is available; use --use-gpu=no or optional")
    if present:
        torch.backends.cuda.matmul.allow_tf32 = False
        number = freest_gpu()
        cli.log(f"Selected device: CUDA GPU {number}, {torch.cuda.get_device_name(number)}")
        torch.cuda.set_device(number)
        return torch.device("cuda", number)
    return torch.device("cpu")


def freest_gpu() -> int:
    """Return the visible GPU with the most free memory, as Kaldi selects it.

    Jobs that start together see the same memory; among GPUs that differ by less than a twentieth the process
    number decides, so that they spread.
    """
    free = [torch.cuda.mem_get_info(number)[0] for number in range(torch.cuda.device_count())]
    alike = [number for number, memory in enumerate(free) if memory >= 0.95 * max(free)]
    return alike[os.getpid() % len(alike)]
