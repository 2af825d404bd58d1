"""The reference path: kymatio's own scattering core, driven with ScatNet's filters.

Kymatio extends the signal once, before the first layer, where ScatNet extends again after every
modulus: only frames a margin (12 hops) away from both ends of a track can agree with ScatNet's. It is
``--backend kymatio`` of compute_scattering.py, the check of the fast path, and what that is timed against.
"""

import functools
import math
from typing import Any

import numpy as np
from kymatio.scattering1d.backend.numpy_backend import backend
from kymatio.scattering1d.core.scattering1d import scattering1d
from numpy.typing import NDArray

from steps.scattering import blocks, filters
from steps.scattering.config import Config, columns

BLOCK_HOPS = 96
OVERSAMPLING = 1


def at_rate(response: filters.Floats, resolution: int) -> filters.Floats:
    """Cut a response at the Nyquist frequency of a resolution, half of it there, as ScatNet does."""
    if resolution == 0:
        return response
    size = len(response) >> resolution
    half = size // 2
    cut = np.concatenate([response[:half], [0.0], response[len(response) - half + 1 :]])
    cut[half] = 0.5 * (response[half] + response[len(response) - half])
    return cut


class Reference:
    """Kymatio's core, its numpy backend, on blocks of ``num_hops`` hops."""

    def __init__(self, config: Config, dtype: str = "float64", num_hops: int = BLOCK_HOPS) -> None:
        self.config, self.dtype, self.num_hops = config, dtype, num_hops
        turn, size, num_levels = 2.0 * math.pi, num_hops * config.hop, config.hop.bit_length()
        omega = np.arange(size) * (turn / size)

        def made(
            response: filters.Floats, xi: float, width: float, octave: int, count: int
        ) -> dict[str, Any]:
            """Return kymatio's dictionary of a filter at ``count`` resolutions."""
            levels = [at_rate(response, level).astype(dtype) for level in range(count)]
            return {"xi": xi / turn, "sigma": 1.0 / (turn * width), "j": octave, "levels": levels}

        @functools.cache
        def wavelets(bank: filters.Bank, count: int) -> dict[int, dict]:
            octaves = [filters.resolution(width, oversampling=0) for width in bank.widths]
            every = enumerate(zip(bank.centres.tolist(), bank.widths.tolist(), octaves, strict=True))
            return {n: made(bank.response(n, omega), *own, count) for n, own in every}

        def lowpass(bank: filters.Bank) -> dict:
            width, octave = bank.lowpass_width, num_levels - 1 + OVERSAMPLING
            return made(filters.lowpass(omega, width), 0.0, width, octave, num_levels)

        self.banks = [
            (wavelets(first, 1), wavelets(second, num_levels), lowpass(first), lowpass(second))
            for first, second in map(config.banks, range(len(config.Q)))
        ]

    def block(self, samples: NDArray[np.floating]) -> NDArray[np.float64]:
        """Averages of one block, its margins included [shape=(num_hops, dims)]."""
        found: dict[tuple[int, int, int], NDArray[np.float64]] = {}
        for block, (first, second, lowpass, averaging) in enumerate(self.banks):
            own = self._run(samples, first, second, averaging) if self.config.max_order else {}
            own |= self._run(samples, {}, {}, lowpass)  # order 0 has a low-pass of its own
            found |= {(block, *path): values for path, values in own.items()}
        return np.stack([found[c.block, c.n1, c.n2] for c in columns(self.config)], axis=1)

    def _run(
        self, samples: NDArray[np.floating], first: dict, second: dict, averaging: dict
    ) -> dict[tuple[int, int], NDArray[np.float64]]:
        level = self.config.hop.bit_length() - 1
        found = scattering1d(
            samples[None, None].astype(self.dtype),
            backend,
            first,
            second,
            averaging,
            ind_start={level: 0},
            ind_end={level: self.num_hops},
            oversampling=OVERSAMPLING,
            max_order=max(1, self.config.max_order),
        )
        return {(*path["n"], -1, -1)[:2]: np.asarray(path["coef"]).reshape(-1) for path in found}


reference = functools.lru_cache(maxsize=1)(Reference)


def compute(piece: blocks.Piece, config: Config, dtype: str = "float64") -> blocks.Piece:
    """Write the averages of a block of a track into its rows, and return it."""
    places = blocks.mirror_places(np.arange(len(piece.samples)), piece.start, piece.num_samples)
    found = reference(config, dtype, piece.num_hops).block(piece.samples[places])
    piece.rows[:] = found[blocks.margin_hops(config) :][: len(piece.rows)]
    return piece
