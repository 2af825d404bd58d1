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

OVERSAMPLING = 1


def at_rate(response: filters.Floats, resolution: int) -> filters.Floats:
    """Cut a response at the Nyquist frequency of a resolution, half of it there, as ScatNet does."""
    half = (len(response) >> resolution) // 2
    cut = np.concatenate([response[: half + 1], response[len(response) - half + 1 :]])
    if resolution:
        cut[half] = 0.5 * (response[half] + response[len(response) - half])
    return cut


@functools.lru_cache(maxsize=1)
def banks(config: Config, dtype: str, num_hops: int) -> list[tuple[dict, dict, dict, dict]]:
    """Return kymatio's filters of each block: of both layers, low-pass of order 0, low-pass of the others."""
    turn, size, num_levels = 2.0 * math.pi, num_hops * config.hop, config.hop.bit_length()
    omega = np.arange(size) * (turn / size)

    def made(response: filters.Floats, xi: float, width: float, octave: int, count: int) -> dict[str, Any]:
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

    layers = map(config.banks, range(len(config.Q)))
    return [(wavelets(one, 1), wavelets(two, num_levels), lowpass(one), lowpass(two)) for one, two in layers]


def compute(piece: blocks.Piece, config: Config, dtype: str = "float64") -> blocks.Piece:
    """Write the averages of a block of a track into its rows, and return it."""
    places = blocks.mirror_places(np.arange(len(piece.samples)), piece.start, piece.num_samples)
    samples = piece.samples[places][None, None].astype(dtype)
    level, margin = config.hop.bit_length() - 1, blocks.margin_hops(config)
    ends = {"ind_start": {level: margin}, "ind_end": {level: margin + len(piece.rows)}}
    found: dict[tuple[int, ...], NDArray] = {}
    for block, (first, second, lowpass, averaging) in enumerate(banks(config, dtype, piece.num_hops)):
        for own in (first, second, averaging), ({}, {}, lowpass):  # order 0 has a low-pass of its own
            options = {"oversampling": OVERSAMPLING, "max_order": config.max_order}
            for path in scattering1d(samples, backend, *own, **ends, **options):
                found[(block, *path["n"], -1, -1)[:3]] = np.asarray(path["coef"]).reshape(-1)
    piece.rows[:] = np.stack([found[c.block, c.n1, c.n2] for c in columns(config)], axis=1)
    return piece
