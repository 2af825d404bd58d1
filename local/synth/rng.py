"""Random numbers that depend on the seed and on a name, never on the order of the work.

``generator(777, "artist", "velora")`` is the same stream in every process, so that tracks can be made in
any order and by any number of jobs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the random stream of ``names`` under ``seed``.

    Parameters
    ----------
    seed : int
        The corpus' seed, at least 0.
    *names : str or int
        What the stream is for, e.g. ``"track", "velora-world-01"``.

    Returns
    -------
    numpy.random.Generator
        PCG64, seeded with the seed and the first 16 bytes of the names' SHA-256.
    """
    digest = hashlib.sha256("\0".join(str(name) for name in names).encode()).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """Return one of ``options``, each as likely."""
    return options[int(rng.integers(len(options)))]


def weighted(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """Return one key of ``weights``, as likely as its weight says."""
    names = list(weights)
    shares = np.array([weights[name] for name in names], dtype=float)
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Return True with the given probability."""
    return bool(rng.random() < probability)
