"""Scattering features equal to ScatNet's.

>>> from steps.scattering import Config, features
>>> features(signal, Config()).shape  # of 12 s  # doctest: +SKIP
(65, 525)
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from steps import mapped
from steps.scattering import blocks, compiled
from steps.scattering.config import Config, coarse_columns, columns, num_dims, parents
from steps.scattering.wav import Signal

if TYPE_CHECKING:
    import torch

FRAMES_AT_ONCE = 512
KYMATIO_HOPS = 96
FILTERED_AT_ONCE = 8192  # values: double precision takes memory
Label = TypeVar("Label")

__all__ = [
    "Config",
    "columns",
    "features",
    "features_of_tracks",
    "log_features",
    "num_dims",
]


def features(signal: Signal, config: Config | None = None, **options: Any) -> NDArray[np.floating]:
    """Scattering features of one track, as :func:`features_of_tracks` has them."""
    return next(features_of_tracks([("the signal", signal)], config, **options))[1]


def features_of_tracks(
    tracks: Iterable[tuple[Label, Signal]],
    config: Config | None = None,
    *,
    raw: bool = False,
    dtype: str = "float32",
    device: "torch.device | str" = "cpu",
    num_hops: int | None = None,
    backend: str = "fast",
) -> Iterator[tuple[Label, NDArray[np.floating]]]:
    """Yield scattering features of tracks of audio in [-1, 1], with the labels that they came with.

    ``raw`` stops before renormalisation and logarithm, at coefficients in ScatNet's scale. The result depends
    on ``dtype`` (``float32`` or ``float64``) and ``num_hops`` (length of the blocks, by default chosen from
    the track's length). ``backend`` is ``fast``, or ``kymatio``: its core on our filters, on the CPU, in
    double precision.

    There is a row every ``config.hop`` samples, centred there (frames, dims); ``columns(config)`` says what
    they are. A UserError, which begins with the label, if a track has a NaN or is shorter than a window.
    """
    config = config or Config()
    pieces = blocks.pieces(
        tracks, config, dtype, num_hops or (KYMATIO_HOPS if backend == "kymatio" else None)
    )
    if backend == "kymatio":
        from steps.scattering import reference

        computed: Iterator[blocks.Piece] = (reference.compute(piece, config) for piece in pieces)
    elif str(device) == "cpu" and dtype == "float32" and compiled.works(config):
        computed = (compiled.transform(config, piece.num_hops)(piece) for piece in pieces)
    else:
        import torch  # two seconds, which compiled code does without

        from steps.scattering import in_torch

        computed = in_torch.computed(pieces, config, dtype, torch.device(device))
    for piece in computed:
        averages = piece.averages
        mapped.let_go(averages)
        if piece.is_last:
            if backend == "fast":
                _lowpass_coarse(averages, config)
            # A few frames at a time: the double precision in between takes memory.
            for some in mapped.blocks(averages, FRAMES_AT_ONCE):
                some *= np.asarray(config.scale, dtype=averages.dtype)
                if not raw:
                    some[:] = log_features(some, config)
            yield piece.label, averages


def _lowpass_coarse(averages: NDArray[np.floating], config: Config) -> None:
    """Low-pass in place, continued as mirror images, what has the frame rate already (frames, dims)."""
    frames, coarse = len(averages), list(coarse_columns(config))
    spread = config.banks(0)[1].lowpass_width / config.hop
    response = np.exp(-0.5 * (np.arange(frames + 1) * (np.pi / frames) * spread) ** 2)
    found = mapped.empty((len(coarse), frames), averages.dtype)
    for number, block in enumerate(mapped.blocks(averages)):
        found[:, number * mapped.ROWS :][:, : len(block)] = block[:, coarse].T
        mapped.let_go(found)
    for rows in mapped.blocks(found, max(1, FILTERED_AT_ONCE // frames)):
        spectrum = np.fft.rfft(np.concatenate([rows, rows[:, ::-1]], axis=1).astype(np.float64))
        rows[:] = np.fft.irfft(spectrum * response, 2 * frames)[:, :frames]
    for number, block in enumerate(mapped.blocks(averages)):
        block[:, coarse] = found[:, number * mapped.ROWS :][:, : len(block)].T
        mapped.let_go(found)


def log_features(raw: NDArray[np.floating], config: Config) -> NDArray[np.float64]:
    """ScatNet's renormalisation and logarithm of coefficients in its scale [shape=(frames, dims)].

    Order 2 is divided by its parents, ``S2 / (S1 + 2^-20 scale)``, then ``log(|S| + 2^-20 scale)`` taken.
    """
    floor = config.scale * 2.0**-20
    above = parents(config)
    second = above >= 0
    result = raw.astype(np.float64)
    result[:, second] /= result[:, above[second]] + floor
    return np.log(np.abs(result) + floor)
