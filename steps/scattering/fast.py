"""Averages of a track on the CPU, block by block: in C (``compiled``), or else in torch (``transform``)."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from steps import mapped
from steps.scattering import blocks, compiled, paths
from steps.scattering.config import Config
from steps.scattering.wav import Signal

FINISHED_AT_ONCE = 8192  # values: double precision takes memory


@functools.lru_cache(maxsize=4)
def transform(config: Config, num_hops: int, dtype: str) -> Callable[..., None]:
    """Return the transform of a block length, made once and kept while it is in use."""
    if dtype == "float32" and compiled.works(config, num_hops):
        return compiled.Transform(config, num_hops)
    import torch  # two seconds, which compiled code does without

    from steps.scattering.transform import Transform

    made = Transform(config, num_hops, dtype)

    def in_torch(samples: NDArray, plan: blocks.Layout, block: int, out: NDArray, _run: object) -> None:
        signals = torch.from_numpy(samples.astype(dtype))[None]
        ends = torch.tensor([[[plan.start(block)]], [[plan.num_samples]]])
        out[:] = made(signals, *ends)[0, :, : len(out)].T

    return in_torch


def averages(
    signal: Signal, config: Config, dtype: str = "float32", num_threads: int = 1, num_hops: int | None = None
) -> NDArray[np.floating]:
    """Coefficients before ScatNet's factor and what follows, on the CPU [shape=(frames, dims)]."""
    plan = blocks.layout(config, len(signal), num_hops)
    made = transform(config, plan.num_hops, dtype)
    result = mapped.empty((plan.num_frames, paths.num_dims(config)), dtype)
    with ThreadPoolExecutor(num_threads) as pool:  # of first-order paths and what follows from them
        run = pool.map if num_threads > 1 else map
        for block in range(plan.num_blocks):
            samples = blocks.cut(signal, plan, block)
            made(samples, plan, block, result[slice(*plan.frames(block))], run)
            mapped.let_go(result)
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
    """Low-pass whole tracks at the frame rate, continued as their mirror images [shape=(columns, frames)]."""
    frames = envelope.shape[1]
    spread = config.banks(0)[1].lowpass_width / config.hop
    response = np.exp(-0.5 * (np.arange(frames + 1) * (np.pi / frames) * spread) ** 2)
    spectrum = np.fft.rfft(np.concatenate([envelope, envelope[:, ::-1]], axis=1).astype(np.float64))
    return np.fft.irfft(spectrum * response, 2 * frames)[:, :frames]
