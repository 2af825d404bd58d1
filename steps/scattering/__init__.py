"""Scattering features equal to ScatNet's.

>>> from steps.scattering import Config, features
>>> frames = features(signal, Config())  # doctest: +SKIP
>>> frames.shape  # doctest: +SKIP
(65, 525)
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from steps import mapped
from steps.scattering import fast, renormalise
from steps.scattering.config import Config
from steps.scattering.paths import columns, num_dims
from steps.scattering.wav import Signal
from utils.cli import UserError

if TYPE_CHECKING:
    import torch

FRAMES_AT_ONCE = 512
BACKENDS = ("fast", "kymatio")
Label = TypeVar("Label")

__all__ = ["BACKENDS", "Config", "columns", "features", "features_of_tracks", "num_dims"]


def features(
    signal: Signal,
    config: Config | None = None,
    *,
    raw: bool = False,
    dtype: str = "float32",
    device: "torch.device | str" = "cpu",
    num_threads: int = 1,
    num_hops: int | None = None,
    backend: str = "fast",
) -> NDArray[np.floating]:
    """Scattering features of one track of at least one window (``config.T`` samples) of audio in [-1, 1].

    ``raw`` stops before renormalisation and logarithm, at coefficients in ScatNet's scale. The result depends
    on ``dtype`` (``float32`` or ``float64``) and ``num_hops`` (length of the blocks, by default chosen from
    the track's length), not on ``num_threads`` of the CPU. ``backend`` is ``fast``, or ``kymatio``: its core
    on our filters, on the CPU, in double precision.

    Returns one row every ``config.hop`` samples, centred there [shape=(frames, dims)]; ``columns(config)``
    says what they are. Raises UserError if the signal has a NaN or is too short.
    """
    config = config or Config()
    if backend == "kymatio":
        from steps.scattering import reference

        averages = reference.averages(signal, config).astype(dtype)
    elif str(device) == "cpu":
        averages = fast.averages(signal, config, dtype, num_threads, num_hops)
    else:
        options: dict[str, Any] = {"raw": raw, "dtype": dtype, "num_hops": num_hops}
        return next(features_of_tracks([("the signal", signal)], config, device=device, **options))[1]
    return _finished(averages, config, raw=raw)


def features_of_tracks(
    tracks: Iterable[tuple[Label, Signal]],
    config: Config | None = None,
    *,
    device: "torch.device | str" = "cpu",
    **options: Any,
) -> Iterator[tuple[Label, NDArray[np.floating]]]:
    """Yield the features of tracks as :func:`features` has them, with the labels that they came with.

    On CUDA, blocks of several tracks are computed together, and a thread takes the tracks from their iterator
    ahead of use. An error in a track begins with its label.
    """
    config = config or Config()
    if str(device) == "cpu" or options.get("backend") == "kymatio":
        for label, signal in tracks:
            try:
                yield label, features(signal, config, **options)
            except UserError as error:
                raise UserError(f"{label}: {error}") from error
        return
    import torch

    from steps.scattering import batches

    dtype, where = options.get("dtype", "float32"), torch.device(device)
    for label, averages in batches.averages(tracks, config, dtype, where, options.get("num_hops")):
        yield label, _finished(averages, config, raw=options.get("raw", False))


def _finished(averages: NDArray[np.floating], config: Config, *, raw: bool) -> NDArray[np.floating]:
    """Scale averages as ScatNet does, renormalise and take logarithms, in place."""
    # A few frames at a time: the double precision in between takes memory.
    for piece in mapped.blocks(averages, FRAMES_AT_ONCE):
        piece *= np.asarray(config.scale, dtype=averages.dtype)
        if not raw:
            piece[:] = renormalise.features(piece, config)
    return averages
