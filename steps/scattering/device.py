"""The inner loops in torch, for CUDA, and the mirror images there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Kernels:
    """See ``transform.Kernels``."""

    together = True

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device

    def array(self, values: Any) -> Tensor:  # noqa: D102
        return torch.tensor(values, device=self.device)

    def empty(self, *shape: int, pairs: bool = False) -> Tensor:  # noqa: D102
        return torch.empty(shape, dtype=self.dtype.to_complex() if pairs else self.dtype, device=self.device)

    def as_pairs(self, values: Tensor) -> Tensor:  # noqa: D102
        return torch.view_as_real(values).flatten(-2)

    def inverse(self, spectrum: Tensor) -> Tensor:  # noqa: D102
        return torch.fft.ifft(spectrum, norm="forward")

    def forward(self, signals: Tensor) -> Tensor:  # noqa: D102
        return torch.fft.rfft(signals, norm="forward")

    def modulus(self, values: Tensor) -> Tensor:  # noqa: D102
        return values.abs()

    def negative(self, half: Tensor, count: int, out: Tensor) -> None:  # noqa: D102
        out[..., :count] = half[..., 1 : count + 1].flip(-1).conj()

    def add_product(self, out: Tensor, values: Tensor, factors: Tensor) -> None:  # noqa: D102
        out.addcmul_(values, factors)

    def decimate(self, signals: Tensor, taps: Tensor, margin: int, num_frames: int) -> Tensor:  # noqa: D102
        hops, size = taps.shape
        rows, num_hops = len(signals), signals.shape[1] // size
        partial = taps @ signals.reshape(rows * num_hops, size).T
        strides = (rows * num_hops + 1, num_hops, 1)
        return partial.as_strided((hops, rows, num_frames), strides, margin - hops // 2).sum(0)


def mirror_places(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Say for each sample of blocks what it is a mirror image of, or itself: ``blocks.mirror`` on a device.

    ``start`` (first sample of a block in its track) and ``length`` (of the track) are [shape=(blocks, 1)].
    Returns places in the block [shape=(blocks, size)]; a sample whose source is farther off stands for
    itself.
    """
    place = torch.arange(size, device=start.device)
    period = (place + start).remainder(2 * length)
    source = torch.minimum(period, 2 * length - 1 - period) - start
    return torch.where((source >= 0) & (source < size), source, place)


class Edges:
    """Mirror images within blocks, gathered: columns of ``start`` in the track and of its ``length``."""

    def __init__(self, start: Tensor, length: Tensor, num_samples: int) -> None:
        self.start, self.length, self.num_samples = start, length, num_samples
        self.places: dict[int, Tensor] = {}

    def extend(self, signals: Tensor, resolution: int) -> Tensor:
        """See ``transform.Edges``."""
        if resolution not in self.places:
            length = 1 + ((self.length - 1) >> resolution)
            size = self.num_samples >> resolution
            self.places[resolution] = mirror_places(self.start >> resolution, length, size)
        return signals.gather(-1, self.places[resolution][:, None].expand_as(signals))
