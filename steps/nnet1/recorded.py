"""Updates on CUDA as one recorded graph: hundreds of small kernels launched with one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

# Calls that are run as they are: libraries make ready, kernels are compiled, buffers of momentum made.
UNRECORDED = 2


class Recorded:
    """Calls a function, the first times as it is, then as the graph of what it does on the GPU.

    What it reads and changes must stay in the same memory. To be called within :func:`own_stream`.
    """

    def __init__(self, run: Callable[[], object]) -> None:
        self.run = run
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Run it, record it, or replay the record."""
        self.calls += 1
        if self.calls <= UNRECORDED:
            self.run()
            return
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            # A thread may be reading ahead into pinned memory meanwhile.
            with torch.cuda.graph(
                self.graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"
            ):
                self.run()
        self.graph.replay()


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """Work on a CUDA stream that can be recorded; does nothing for the CPU."""
    if device.type != "cuda":
        yield
        return
    usual = torch.cuda.current_stream(device)
    stream = torch.cuda.Stream(device)
    stream.wait_stream(usual)
    with torch.cuda.stream(stream):
        yield
    usual.wait_stream(stream)
