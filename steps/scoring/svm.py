"""A linear SVM as plain arrays: standardisation, one weight vector a class, and its npz file.

Scoring needs numpy only; training is in :mod:`steps.scoring.svm_training`.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils import atomic
from utils.cli import UserError

FORMAT = 1
_BROKEN = (
    *(ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError),
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class LinearSvm:
    """``scores(x) = weight ((x - mean) / scale) + bias``; the largest score is the hypothesis."""

    classes: tuple[str, ...]
    mean: np.ndarray
    """Training mean, float64 of shape (dim,)."""
    scale: np.ndarray
    """Training standard deviation, 1 where a column is constant, float64 of shape (dim,)."""
    weight: np.ndarray
    """float64 of shape (C, dim)."""
    bias: np.ndarray
    """float64 of shape (C,)."""
    cost: float
    """The chosen C of the SVM."""
    grid: np.ndarray
    """Costs that were tried, float64 of shape (num_costs,)."""
    grid_correct: np.ndarray
    """Training tracks right in cross-validation with each cost, int64 of shape (num_costs,)."""
    num_train: int
    """Training tracks."""
    folds: int
    grouped: bool
    """Whether no artist was on both sides of a fold."""
    kind: str = ""
    """sc, lstm or fusion, for the record."""
    k: float = float("nan")
    """The threshold behind the features, for the record; NaN where there is none."""

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

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Return decision values, float64 of shape (n, C), of ``vectors`` of shape (n, dim)."""
        standard = (np.asarray(vectors, dtype=np.float64) - self.mean) / self.scale
        return standard @ self.weight.T + self.bias


def write_svm(path: Path, svm: LinearSvm) -> None:
    """Write the npz: named arrays without pickle, the same bytes for the same SVM."""
    with atomic.replacing(path, "wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            format=np.int64(FORMAT),
            classes=np.array(svm.classes, dtype=np.str_),
            mean=svm.mean,
            scale=svm.scale,
            weight=svm.weight,
            bias=svm.bias,
            cost=np.float64(svm.cost),
            grid=svm.grid,
            grid_correct=svm.grid_correct,
            num_train=np.int64(svm.num_train),
            folds=np.int64(svm.folds),
            grouped=np.bool_(svm.grouped),
            kind=np.array(svm.kind, dtype=np.str_),
            k=np.float64(svm.k),
        )


def read_svm(path: str | Path) -> LinearSvm:
    """Read the npz back; nothing in it is executed.

    Raises
    ------
    UserError
        If the file is missing, is not such an npz, or its shapes disagree.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in arrays.files}
        svm = LinearSvm(
            classes=tuple(str(name) for name in values["classes"]),
            mean=values["mean"],
            scale=values["scale"],
            weight=values["weight"],
            bias=values["bias"],
            cost=float(values["cost"]),
            grid=values["grid"],
            grid_correct=values["grid_correct"],
            num_train=int(values["num_train"]),
            folds=int(values["folds"]),
            grouped=bool(values["grouped"]),
            kind=str(values["kind"]),
            k=float(values["k"]),
        )
        version = int(values["format"])
    except OSError as error:
        raise UserError(
            f"{path}: cannot read the SVM: {error.strerror or error}; run train_svm.py"
        ) from error
    except _BROKEN as error:
        raise UserError(f"{path}: not an SVM of train_svm.py ({error}); train it again") from error
    if version != FORMAT:
        raise UserError(f"{path}: expected format {FORMAT}, got {version}; train the SVM again")
    _check(path, svm)
    return svm


def _check(path: str | Path, svm: LinearSvm) -> None:
    classes, dim = len(svm.classes), svm.mean.size
    expected = {"mean": (dim,), "scale": (dim,), "weight": (classes, dim), "bias": (classes,)}
    for name, shape in expected.items():
        value = getattr(svm, name)
        if value.shape != shape or value.dtype != np.float64:
            raise UserError(f"{path}: {name}: expected float64 {shape}, got {value.dtype} {value.shape}")
        if not np.isfinite(value).all():
            raise UserError(f"{path}: {name} is not finite")
    if classes < 2 or not (svm.scale > 0).all():
        raise UserError(f"{path}: expected at least two classes and positive scales")
