"""Filters on disk, so that the next process need not evaluate them again.

One ``.npz`` file for a configuration, block length and precision, in ``$SCATTERING_CACHE``, else in
``$XDG_CACHE_HOME/scattering``, else in ``~/.cache/scattering``. Its name holds a hash of the numbers and
of the code that made it. Files are replaced whole, so any number of processes may build at once; a file
that cannot be read is built again, and where nothing can be written nothing is kept. An empty
``SCATTERING_CACHE`` switches the cache off.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np

from steps.scattering import bands
from steps.scattering.bands import Band, Bands
from steps.scattering.config import Config
from utils import atomic, cli

CODE = ("bands.py", "blocks.py", "config.py", "filters.py", "paths.py", "cache.py")


def folder() -> Path | None:
    """Folder of the cache, which need not exist; None if there is to be none."""
    chosen = os.environ.get("SCATTERING_CACHE")
    if chosen is not None:
        return Path(chosen) if chosen else None
    parent = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
    return Path(parent) / "scattering"


def name(config: Config, num_hops: int, dtype: str) -> str:
    """File name of the filters of a configuration and block length."""
    code = hashlib.sha256(np.__version__.encode())
    for file in CODE:
        code.update(Path(__file__).with_name(file).read_bytes())
    numbers = (config.T, config.Q, config.max_order, config.first_shape, config.second_shape)
    chosen = hashlib.sha256(repr((numbers, num_hops, dtype)).encode())
    return f"T{config.T}_{num_hops}_{dtype}_{chosen.hexdigest()[:12]}_{code.hexdigest()[:12]}.npz"


def pack(made: Bands) -> dict[str, np.ndarray]:
    """Lay filters out as a few flat arrays."""
    every = [band for rows in (made.first, made.second) for row in rows for band in row]
    taps = [*made.taps.values(), *made.zero]
    return {
        "groups": np.array([[len(a), len(b)] for a, b in zip(made.first, made.second, strict=True)]),
        "bands": np.array([(band.start, len(band.values)) for band in every]).reshape(-1, 2),
        "values": np.concatenate([np.zeros(0, taps[0].dtype), *(band.values for band in every)]),
        "resolutions": np.array(list(made.taps), dtype=np.int64),
        "shapes": np.array([values.shape for values in taps]),
        "taps": np.concatenate([values.ravel() for values in taps]),
    }


def unpack(stored: dict[str, np.ndarray], num_hops: int) -> Bands:
    """Undo :func:`pack`; the filters are views of its arrays."""
    position = 0
    every = []
    for start, size in stored["bands"].tolist():
        every.append(Band(start, stored["values"][position : position + size]))
        position += size
    if position != len(stored["values"]):
        raise ValueError(f"expected {position} values, got {len(stored['values'])}")
    rows = iter(every)
    first = [[next(rows) for _ in range(count)] for count, _ in stored["groups"].reshape(-1, 2).tolist()]
    second = [[next(rows) for _ in range(count)] for _, count in stored["groups"].reshape(-1, 2).tolist()]
    cuts = np.cumsum([a * b for a, b in stored["shapes"].tolist()])
    taps = [
        piece.reshape(shape)
        for piece, shape in zip(np.split(stored["taps"], cuts[:-1]), stored["shapes"].tolist(), strict=True)
    ]
    resolutions = stored["resolutions"].tolist()
    return Bands(
        num_hops, first, second, dict(zip(resolutions, taps, strict=False)), taps[len(resolutions) :]
    )


def load(path: Path, num_hops: int) -> Bands | None:
    """Read filters; None if the file is absent or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return unpack({key: stored[key] for key in stored.files}, num_hops)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, StopIteration, IndexError, zipfile.BadZipFile) as error:
        cli.warn(f"{path}: damaged ({error}); building the filters again")
        return None


def save(path: Path, made: Bands) -> None:
    """Write filters in place of those that older code made; where that is impossible they are not kept."""
    try:
        with atomic.replacing(path, "wb") as file:
            np.savez(file, allow_pickle=False, **pack(made))
        for other in path.parent.glob(f"{path.stem.rpartition('_')[0]}_*.npz"):
            if other != path:
                other.unlink(missing_ok=True)
    except OSError as error:
        cli.warn(
            f"{path}: cannot keep the filters ({error.strerror}); set SCATTERING_CACHE to another folder"
        )


def load_or_build(config: Config, num_hops: int, dtype: str) -> Bands:
    """Return the filters of blocks of ``num_hops`` hops, from the cache if it has them.

    Parameters
    ----------
    config : Config
        The feature set.
    num_hops : int
        Length of the blocks in hops.
    dtype : str
        ``float32`` or ``float64``.
    """
    place = folder()
    if place is None:
        return bands.build(config, num_hops, dtype)
    path = place / name(config, num_hops, dtype)
    made = load(path, num_hops)
    if made is None:
        made = bands.build(config, num_hops, dtype)
        save(path, made)
    return made
