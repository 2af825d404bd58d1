"""The inner loops on the CPU in NumPy, where there is no compiler or in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from steps.scattering import blocks, transform
from steps.scattering.config import Config

Array = NDArray[Any]


class Kernels:
    """See ``transform.Kernels``."""

    together = False

    def __init__(self, dtype: str) -> None:
        self.real = np.dtype(dtype)
        self.complex = np.result_type(self.real, np.complex64)

    def array(self, values: Any) -> Array:  # noqa: D102
        return np.array(values)

    def empty(self, *shape: int, pairs: bool = False) -> Array:  # noqa: D102
        return np.empty(shape, dtype=self.complex if pairs else self.real)

    def as_pairs(self, values: Array) -> Array:  # noqa: D102
        return values.view(self.real)

    def inverse(self, spectrum: Array) -> Array:  # noqa: D102
        return np.fft.ifft(spectrum, norm="forward", out=spectrum)

    def forward(self, signals: Array) -> Array:  # noqa: D102
        return np.fft.rfft(signals, norm="forward")

    def modulus(self, values: Array) -> Array:  # noqa: D102
        return np.absolute(values)

    def negative(self, half: Array, count: int, out: Array) -> None:  # noqa: D102
        np.conjugate(half[..., count:0:-1], out=out[..., :count])

    def add_product(self, out: Array, values: Array, factors: Array) -> None:  # noqa: D102
        out += values * factors

    def decimate(self, signals: Array, taps: Array, margin: int, num_frames: int) -> Array:  # noqa: D102
        hops, size = taps.shape
        partial = (taps @ signals.reshape(-1, size).T).reshape(hops, len(signals), -1)
        first = margin - hops // 2
        return np.sum([partial[q, :, first + q : first + q + num_frames] for q in range(hops)], axis=0)


class Edges(NamedTuple):
    """Mirror images within a block, written in place."""

    plan: blocks.Layout
    block: int

    def extend(self, signals: Array, resolution: int) -> Array:
        """See ``transform.Edges``."""
        blocks.mirror(signals, self.plan, self.block, resolution)
        return signals


class Transform:
    """The scattering transform of blocks of ``num_hops`` hops."""

    def __init__(self, config: Config, num_hops: int, dtype: str) -> None:
        self.dtype = dtype
        self.made = transform.Transform(config, num_hops, dtype, Kernels(dtype))

    def __call__(
        self,
        samples: Array,
        plan: blocks.Layout,
        block: int,
        out: Array,
        do: Callable[[transform.Jobs], object],
    ) -> None:
        """Write the averages of a block of a track into ``out`` [shape=(frames, dims)]."""
        blocks.mirror(samples, plan, block)
        found = self.made(samples.astype(self.dtype)[None], Edges(plan, block), do)[0]
        out[:] = found[:, : len(out)].T
