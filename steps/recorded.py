"""Work on CUDA as one recorded graph: hundreds of small kernels launched with one call."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from utils import cli

_tell = functools.cache(cli.log)  # once a process


class Recorded:
    """Calls a function, from the third time as a recorded CUDA graph; its memory must stay the same.

    In the first two calls libraries make ready, kernels are compiled, and buffers of momentum made.
    """

    def __init__(self, run: Callable[[], object], what: str) -> None:
        self.run, self.what, self.calls = run, what, 0

    def __call__(self) -> None:
        """Run it, record it, or replay the record."""
        self.calls += 1
        if self.calls == 3:
            graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
            try:  # a thread may be reading ahead into pinned memory meanwhile
                with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                    self.run()
            except RuntimeError as error:
                _tell(f"{self.what}: operation by operation; no graph of it can be recorded: {error}")
            else:
                _tell(f"{self.what}: a recorded graph")
                self.run = graph.replay
        self.run()


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """Work on a CUDA stream that can be recorded; does nothing for the CPU."""
    if device.type != "cuda":
        yield
        return
    usual, stream = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    stream.wait_stream(usual)
    with torch.cuda.stream(stream):
        yield
    usual.wait_stream(stream)
