"""ScatNet's renormalisation and logarithm."""

import numpy as np
from numpy.typing import NDArray

from steps.scattering import paths
from steps.scattering.config import Config

FLOOR = 2.0**-20


def renormalise(raw: NDArray[np.floating], config: Config) -> NDArray[np.float64]:
    """Divide order 2, in ScatNet's scale, by its parents: ``S2 / (S1 + 2^-20 scale)`` (frames, dims)."""
    parents = paths.parents(config)
    second = parents >= 0
    result = raw.astype(np.float64)
    result[:, second] /= result[:, parents[second]] + config.scale * FLOOR
    return result


def logarithm(values: NDArray[np.floating], config: Config) -> NDArray[np.float64]:
    """``log(|values| + floor)`` [shape=(frames, dims)]."""
    return np.log(np.abs(values) + config.scale * FLOOR)


def features(raw: NDArray[np.floating], config: Config) -> NDArray[np.float64]:
    """Log features from coefficients in ScatNet's scale [shape=(frames, dims)]."""
    return logarithm(renormalise(raw, config), config)
