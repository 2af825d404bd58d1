"""The reference path: kymatio's own scattering core, driven with ScatNet's filters.

Kymatio extends the signal once, before the first layer, where ScatNet extends again after every
modulus: only frames a margin (12 hops) away from both ends of a track can agree with ScatNet's. It is
``--backend kymatio`` of compute_scattering.py, the check of the fast path, and what that is timed against.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from kymatio.scattering1d.core.scattering1d import scattering1d
from numpy.typing import NDArray

from steps.scattering import blocks, filters, paths
from steps.scattering.config import Config

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


def wavelet_filters(bank: filters.Bank, num_bins: int, num_levels: int) -> dict[int, dict[str, Any]]:
    """Kymatio's dictionary of a bank's wavelets, with ``num_levels`` resolutions."""
    omega = np.arange(num_bins) * (2.0 * math.pi / num_bins)
    found = {}
    for n, width in enumerate(bank.widths):
        response = bank.response(n, omega)
        found[n] = {
            "xi": float(bank.centres[n]) / (2.0 * math.pi),
            "sigma": 1.0 / (2.0 * math.pi * float(width)),
            "j": filters.round_half_up(math.log2(math.pi / float(filters.bandwidth(width)))),
            "levels": [at_rate(response, level) for level in range(num_levels)],
        }
    return found


def lowpass_filters(bank: filters.Bank, num_bins: int, num_levels: int) -> dict[str, Any]:
    """Kymatio's dictionary of a bank's low-pass, with ``num_levels`` resolutions."""
    omega = np.arange(num_bins) * (2.0 * math.pi / num_bins)
    response = filters.lowpass(omega, bank.lowpass_width)
    return {
        "xi": 0.0,
        "sigma": 1.0 / (2.0 * math.pi * bank.lowpass_width),
        "j": num_levels - 1 + OVERSAMPLING,
        "levels": [at_rate(response, level) for level in range(num_levels)],
    }


class Reference:
    """Kymatio's core on blocks of ``num_hops`` hops.

    Parameters
    ----------
    config : Config
        The feature set.
    backend : str
        ``numpy`` or ``torch``, one of kymatio's.
    dtype : str
        ``float64`` or ``float32``.
    num_hops : int
        Length of a block.
    """

    def __init__(
        self, config: Config, backend: str = "numpy", dtype: str = "float64", num_hops: int = BLOCK_HOPS
    ) -> None:
        self.config, self.dtype, self.num_hops = config, dtype, num_hops
        self.backend = load_backend(backend)
        levels = config.hop.bit_length()
        num_bins = num_hops * config.hop
        made: dict[tuple[filters.Bank, int], dict] = {}
        for block in range(len(config.Q)):
            for bank, count in zip(config.banks(block), (1, levels), strict=True):
                if (bank, count) not in made:
                    made[bank, count] = self._convert_bank(wavelet_filters(bank, num_bins, count))
        self.first = [made[config.banks(block)[0], 1] for block in range(len(config.Q))]
        self.second = [made[config.banks(block)[1], levels] for block in range(len(config.Q))]
        self.lowpass = [
            [self._convert(lowpass_filters(bank, num_bins, levels)) for bank in config.banks(block)]
            for block in range(len(config.Q))
        ]

    def _convert_bank(self, bank: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
        return {n: self._convert(wavelet) for n, wavelet in bank.items()}

    def _convert(self, response: dict[str, Any]) -> dict[str, Any]:
        levels = [self._array(level) for level in response["levels"]]
        # Kymatio's torch backend keeps a last axis for the real and the imaginary part.
        return {**response, "levels": [level[..., None] for level in levels] if self._is_torch else levels}

    @property
    def _is_torch(self) -> bool:
        return "torch" in self.backend.__module__

    def _array(self, values: NDArray[np.floating]) -> Any:
        values = np.ascontiguousarray(values, dtype=self.dtype)
        if not self._is_torch:
            return values
        import torch

        return torch.from_numpy(values)

    def block(self, samples: NDArray[np.floating]) -> NDArray[np.float64]:
        """Averages of one block, its margins included [shape=(num_hops, dims)]."""
        result = np.empty((self.num_hops, paths.num_dims(self.config)))
        column = 0
        for block in range(len(self.config.Q)):
            own, averaging = self.lowpass[block]
            found = {(-1, -1): self._run(samples, {}, {}, own)[-1, -1]}
            if self.config.max_order:
                found |= {
                    path: values
                    for path, values in self._run(
                        samples, self.first[block], self.second[block], averaging
                    ).items()
                    if path != (-1, -1)
                }
            for path in paths.block_paths(self.config, block):
                result[:, column] = found[path]
                column += 1
        return result

    def _run(
        self, samples: NDArray[np.floating], first: dict, second: dict, averaging: dict
    ) -> dict[tuple[int, int], NDArray[np.float64]]:
        level = self.config.hop.bit_length() - 1
        found = scattering1d(
            self._array(samples[None, None]),
            self.backend,
            first,
            second,
            averaging,
            ind_start={level: 0},
            ind_end={level: self.num_hops},
            oversampling=OVERSAMPLING,
            max_order=max(1, self.config.max_order),
        )
        return {(*path["n"], -1, -1)[:2]: np.asarray(path["coef"]).reshape(-1) for path in found}


def load_backend(name: str) -> Any:
    """Kymatio's ``numpy`` or ``torch`` backend in one dimension."""
    if name == "torch":
        from kymatio.scattering1d.backend import torch_backend

        return torch_backend.backend
    from kymatio.scattering1d.backend import numpy_backend

    return numpy_backend.backend


@functools.lru_cache(maxsize=1)
def default_reference(config: Config) -> Reference:
    """Return kymatio's numpy backend in double precision, made once for many tracks."""
    return Reference(config)


def averages(
    signal: NDArray[np.floating], config: Config, made: Reference | None = None
) -> NDArray[np.float64]:
    """Scattering coefficients before ScatNet's factor, by kymatio's core.

    Parameters
    ----------
    signal : array [shape=(samples,)]
        Audio in [-1, 1].
    config : Config
        The feature set.
    made : Reference, optional
        Filters to use again.

    Returns
    -------
    array [shape=(frames, dims)]
        ScatNet's except within a margin of the ends.
    """
    made = made or default_reference(config)
    plan = blocks.layout(config, len(signal), made.num_hops)
    result = np.empty((plan.num_frames, paths.num_dims(config)))
    for block in range(plan.num_blocks):
        samples = blocks.cut(np.asarray(signal), plan.start(block), plan.num_hops * plan.hop)
        low, high = plan.frames(block)
        result[low:high] = made.block(samples)[plan.margin : plan.margin + high - low]
    return result
