"""A linear SVM as plain arrays: standardisation, one weight vector a class, and its npz file.

Scoring needs numpy only; training is in :mod:`steps.scoring.svm_training`.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from steps.arrays import read_model, write_arrays
from utils.cli import UserError

FORMAT = 1


@dataclass(frozen=True)
class Fit:
    """``scores(x) = weight ((x - mean) / scale) + bias``; the largest score is the hypothesis."""

    mean: np.ndarray  # training mean, float64 of shape (dim,)
    scale: np.ndarray  # training standard deviation, 1 where a column is constant, float64 of shape (dim,)
    weight: np.ndarray  # float64 of shape (C, dim)
    bias: np.ndarray  # float64 of shape (C,)

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Return decision values, float64 of shape (n, C), of ``vectors`` of shape (n, dim).

        Each has a product of its own: libraries sum in an order that changes with the number of rows.
        """
        standard = (np.asarray(vectors, dtype=np.float64) - self.mean) / self.scale
        products = [self.weight @ row for row in standard]
        return np.reshape(products, (len(standard), len(self.bias))) + self.bias


@dataclass(frozen=True)
class LinearSvm(Fit):
    """What was found with the C that cross-validation chose, and how this was done."""

    classes: tuple[str, ...]
    cost: float  # the chosen C of the SVM
    grid: np.ndarray  # costs that were tried, float64 of shape (num_costs,)
    grid_correct: np.ndarray
    """Training tracks right in cross-validation with each cost, int64 of shape (num_costs,)."""
    num_train: int  # training tracks
    folds: int
    grouped: bool  # whether no artist was on both sides of a fold
    kind: str = ""  # sc, lstm or fusion, for the record
    k: float = float("nan")  # the threshold behind the features, for the record; NaN where there is none

    @property
    def dim(self) -> int:
        """Length of a feature vector."""
        return len(self.mean)

    def describe(self) -> str:
        """Return what results.txt says about it."""
        how = "artist-grouped" if self.grouped else "stratified, no artists kept apart,"
        k = "" if np.isnan(self.k) else f", k {self.k:g}"
        return (
            f"{self.dim} dimensions{k}, C {self.cost:g} (right in {self.folds}-fold {how} cross-validation "
            f"on train: {self.grid_correct.max()} / {self.num_train})"
        )


def write_svm(path: Path, svm: LinearSvm) -> None:
    """Write the npz: named arrays, the same bytes for the same SVM."""
    values = {entry.name: np.asarray(getattr(svm, entry.name)) for entry in fields(svm)}
    write_arrays(path, {"format": np.array(FORMAT), **values})


def read_svm(path: str | Path) -> LinearSvm:
    """Read the npz back; UserError if the file is missing, is not such an npz, or its shapes disagree."""

    def build(values: dict[str, np.ndarray]) -> LinearSvm:
        if (version := int(values.pop("format"))) != FORMAT:
            raise UserError(f"{path}: expected format {FORMAT}, got {version}; train the SVM again")
        plain = {name: value.item() for name, value in values.items() if not value.ndim}
        svm = LinearSvm(**{**values, **plain, "classes": tuple(map(str, values["classes"]))})  # type: ignore[arg-type]
        classes, dim = len(svm.classes), svm.dim
        expected = {"mean": (dim,), "scale": (dim,), "weight": (classes, dim), "bias": (classes,)}
        for name, shape in expected.items():
            value = values[name]
            if value.shape != shape or value.dtype != np.float64:
                got = f"{value.dtype} {value.shape}"
                raise UserError(f"{path}: {name}: expected float64 {shape}, got {got}")
            if not np.isfinite(value).all():
                raise UserError(f"{path}: {name} is not finite")
        if classes < 2 or not (svm.scale > 0).all():
            raise UserError(f"{path}: expected at least two classes and positive scales")
        return svm

    return read_model(path, "an SVM of train_svm.py", build)
