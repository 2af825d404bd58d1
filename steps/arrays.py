"""Trained models as npz files: named arrays, nothing of which is executed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from utils import atomic
from utils.cli import UserError

Model = TypeVar("Model")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays; the same arrays are the same bytes."""
    with atomic.replacing(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def check_shapes(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, str], **sizes: int) -> None:
    """Raise ValueError unless the arrays that are there are finite and as large as ``shapes`` say.

    A shape, such as ``n 3 dim``, has numbers and names: of ``sizes``, or of one size wherever they stand.
    """
    for name in filter(arrays.__contains__, shapes):
        shape, words = arrays[name].shape, shapes[name].split()
        known = zip(words, shape, strict=False)
        wanted = [int(word) if word.isdigit() else sizes.setdefault(word, size) for word, size in known]
        if len(words) != len(shape) or wanted != [*shape]:
            raise ValueError(f"{name}: expected the shape ({shapes[name]}), got {shape}")
        if arrays[name].dtype.kind == "f" and not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name}: expected finite numbers")


def read_model(path: str | Path, what: str, build: Callable[[dict[str, np.ndarray]], Model]) -> Model:
    """Return what ``build`` makes of the arrays of a file, which holds ``what`` (such as ``an SVM``)."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return build({name: arrays[name] for name in arrays.files})
    except Exception as error:  # noqa: BLE001 (system, zip, struct and value errors of many kinds)
        raise UserError(f"{path}: cannot read {what} ({error}); train it again") from error
