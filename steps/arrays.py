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


def read_model(path: str | Path, what: str, build: Callable[[dict[str, np.ndarray]], Model]) -> Model:
    """Return what ``build`` makes of the arrays of a file, which holds ``what`` (such as ``an SVM``)."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return build({name: arrays[name] for name in arrays.files})
    except Exception as error:  # noqa: BLE001 (system, zip, struct and value errors of many kinds)
        raise UserError(f"{path}: cannot read {what} ({error}); train it again") from error
