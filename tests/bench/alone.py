"""Measurements in a process of their own, whose memory and threads are theirs."""

import multiprocessing
import os
import resource
from collections.abc import Callable
from typing import Any


def alone(function: Callable[..., Any], *args: object, threads: int = 1) -> Any:
    """Return what a function of a module returns in a new process, whose libraries take so many threads."""
    os.environ.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, args)


def peak_gb() -> float:
    """Return the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
