"""What this machine can do: memory bandwidth, the peak of sgemm, the name of its processor."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from threadpoolctl import threadpool_info, threadpool_limits

from steps import native
from steps.nnet1 import products
from tests.bench import kaldi_products


def bandwidth(num_bytes: float) -> float:
    """Bytes a second of reading a buffer of this size with one pass after the other."""
    buffer = torch.ones(max(int(num_bytes) // 4, 1 << 18))
    time.sleep(0.3)  # threads of other libraries wait for work, on our cores, for a while
    best = min(timed(buffer.sum) for _ in range(20))
    return 4.0 * len(buffer) / best


def sgemm_peak(threads: int) -> float:
    """FLOPs a second of a product of square matrices, by the fastest of torch, oneDNN and OpenBLAS."""
    a, b, out = (torch.randn(1024, 1024) for _ in range(3))
    arrays = [matrix.numpy() for matrix in (out, a, b)]
    ways = (
        lambda: torch.mm(a, b, out=out),
        lambda: kaldi_products.product(*arrays),
        lambda: products.by_onednn(a, b, out),
    )
    best = math.inf
    with threadpool_limits(threads, "blas"):
        for way in ways:
            time.sleep(0.3)
            best = min(best, *(timed(way) for _ in range(10)))
    return 2.0 * 1024**3 / best


_clock = [time.perf_counter]


def go_by(chosen: Callable[[], float]) -> None:
    """Take this clock for all that follows."""
    _clock[0] = chosen


def clock() -> float:
    return _clock[0]()


def timed(run: Callable[[], object]) -> float:
    started = clock()
    run()
    return clock() - started


def openblas_unset() -> None:
    """Start this program anew without the settings of OpenBLAS that some machines have and that slow it."""
    names = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} & os.environ.keys()
    if names:
        for name in names:
            del os.environ[name]
        raise SystemExit(subprocess.run([sys.executable, *sys.argv], check=False).returncode)


def openblas_kernel() -> str:
    """Name the kernels that OpenBLAS chose for this processor."""
    found = {
        part.get("architecture", "?") for part in threadpool_info() if "openblas" in part["internal_api"]
    }
    return f"OpenBLAS {', '.join(sorted(found)) or 'none'}"


def machine() -> str:
    """Name the processor and the number of its cores."""
    return f"{native.processor_name()}, {os.cpu_count()} cores"
