"""Averages of a track on the CPU, block by block: in C (``compiled``), or else in NumPy (``host``)."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from steps import mapped
from steps.scattering import blocks, compiled, host, paths
from steps.scattering.config import Config
from steps.scattering.transform import Jobs, in_turn

FINISHED_AT_ONCE = 8192  # values: double precision takes memory
_MAKING = threading.Lock()
_READING = threading.Lock()


@functools.lru_cache(maxsize=4)
def transform(config: Config, num_hops: int, dtype: str) -> compiled.Transform | host.Transform:
    """Return the transform of a block length, made once and kept while it is in use."""
    with _MAKING:
        if dtype == "float32" and compiled.works(config, num_hops):
            return compiled.Transform(config, num_hops)
        return host.Transform(config, num_hops, dtype)


def averages(
    signal: blocks.Signal,
    config: Config,
    dtype: str = "float32",
    num_threads: int = 1,
    num_hops: int | None = None,
) -> NDArray[np.floating]:
    """Scattering coefficients before ScatNet's factor, renormalisation and logarithm, on the CPU.

    The arguments are those of ``steps.scattering.features``. Returns an array [shape=(frames, dims)].
    """
    plan = blocks.layout(config, len(signal), num_hops)
    made = transform(config, plan.num_hops, dtype)
    result = mapped.empty((plan.num_frames, paths.num_dims(config)), dtype)

    def work(block: int, do: Callable[[Jobs], object] = in_turn) -> None:
        with _READING:
            samples = blocks.cut(signal, plan, block)
        made(samples, plan, block, result[slice(*plan.frames(block))], do)
        mapped.let_go(result)

    if num_threads == 1:
        for block in range(plan.num_blocks):
            work(block)
    else:
        # Whole blocks side by side keep the threads busiest; paths share what is left over.
        alone = plan.num_blocks - plan.num_blocks % num_threads
        with ThreadPoolExecutor(num_threads) as pool:
            list(pool.map(work, range(alone)))
            for block in range(alone, plan.num_blocks):
                work(block, lambda jobs: list(pool.map(lambda job: job(), jobs)))
    finish(result, config)
    return result


def finish(averages: NDArray[np.floating], config: Config) -> None:
    """Low-pass in place what has the frame rate already, over the whole track [shape=(frames, dims)]."""
    coarse = list(paths.coarse_columns(config))
    found = mapped.empty((len(coarse), len(averages)), averages.dtype)
    for number, block in enumerate(mapped.blocks(averages)):
        found[:, number * mapped.ROWS :][:, : len(block)] = block[:, coarse].T
        mapped.let_go(found)
    for rows in mapped.blocks(found, max(1, FINISHED_AT_ONCE // len(averages))):
        rows[:] = lowpass_frames(rows, config)
    for number, block in enumerate(mapped.blocks(averages)):
        block[:, coarse] = found[:, number * mapped.ROWS :][:, : len(block)].T
        mapped.let_go(found)


def lowpass_frames(envelope: NDArray[np.floating], config: Config) -> NDArray[np.floating]:
    """Low-pass what is sampled at the frame rate already, over the whole track [shape=(columns, frames)].

    The track continues as its mirror image; the Gaussian ends at the Nyquist frequency.
    """
    frames = envelope.shape[1]
    spread = config.banks(0)[1].lowpass_width / config.hop
    response = np.exp(-0.5 * (np.arange(frames + 1) * (np.pi / frames) * spread) ** 2)
    spectrum = np.fft.rfft(np.concatenate([envelope, envelope[:, ::-1]], axis=1).astype(np.float64))
    return np.fft.irfft(spectrum * response, 2 * frames)[:, :frames]
