"""Work on CUDA as one recorded graph: hundreds of small kernels launched with one call."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from utils import cli

# Calls that are run as they are: libraries make ready, kernels are compiled, buffers of momentum made.
UNRECORDED = 2

_tell = functools.cache(cli.log)  # once a process


class Recorded:
    """Calls a function, from the third time as a recorded CUDA graph; its memory must stay the same."""

    def __init__(self, run: Callable[[], object], what: str) -> None:
        self.run, self.what = run, what
        self.calls = 0

    def __call__(self) -> None:
        """Run it, record it, or replay the record."""
        self.calls += 1
        if self.calls == UNRECORDED + 1:
            self._record()
        self.run()

    def _record(self) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            # A thread may be reading ahead into pinned memory meanwhile.
            stream = torch.cuda.current_stream()
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                self.run()
        except RuntimeError as error:
            _tell(f"{self.what}: operation by operation; no graph of it can be recorded: {error}")
        else:
            _tell(f"{self.what}: a recorded graph")
            self.run = graph.replay


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
