"""A linear SVM as plain arrays: its training by liblinear, the choice of its C on training tracks, its file.

Scoring needs numpy only: scikit-learn, which takes a second, is imported where an SVM is trained.
"""

import argparse
import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from steps.arrays import read_model, write_arrays
from steps.scoring.scores import balanced_accuracy, confusion_matrix
from utils import cli

FORMAT = 2
Folds = Sequence[tuple[np.ndarray, np.ndarray]]
"""Of a cross-validation: indices of training and of held-out tracks."""


@dataclass(frozen=True)
class LinearSvm:
    """``scores(x) = weight ((x - mean) / scale) + bias``; the largest score is the hypothesis."""

    mean: np.ndarray  # training mean, float64 of shape (dim,)
    scale: np.ndarray  # training standard deviation, 1 where a column is constant, float64 of shape (dim,)
    weight: np.ndarray  # float64 of shape (C, dim)
    bias: np.ndarray  # float64 of shape (C,)
    classes: tuple[str, ...] = ()
    cost: float = math.nan  # the C that cross-validation chose
    notes: str = ""  # what results.txt says about it
    kind: str = ""  # sc, lstm or fusion, for the record
    k: float = math.nan  # the threshold behind the features, for the record; NaN where there is none

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Return decision values, float64 of shape (n, C), of ``vectors`` of shape (n, dim).

        Each has a product of its own: libraries sum in an order that changes with the number of rows.
        """
        standard = (np.asarray(vectors, dtype=np.float64) - self.mean) / self.scale
        products = [self.weight @ row for row in standard]
        return np.reshape(products, (len(standard), len(self.bias))) + self.bias


def positive_floats(text: str) -> tuple[float, ...]:
    """Parse a comma-separated list of positive numbers, as options have it."""
    values = tuple(cli.finite_float(word) for word in text.split(","))
    if min(values) <= 0.0 or len(set(values)) != len(values):
        raise argparse.ArgumentTypeError(f"expected different positive numbers, got '{text}'")
    return values


def write_svm(path: Path, svm: LinearSvm) -> None:
    """Write the npz: named arrays, the same bytes for the same SVM."""
    values = {entry.name: np.asarray(getattr(svm, entry.name)) for entry in fields(svm)}
    write_arrays(path, {"format": np.array(FORMAT), **values})


def read_svm(path: str | Path) -> LinearSvm:
    """Read the npz back; UserError if the file is missing, is none, or its shapes disagree."""

    def build(values: dict[str, np.ndarray]) -> LinearSvm:
        if (version := int(values.pop("format"))) != FORMAT:
            raise ValueError(f"expected format {FORMAT}, got {version}")
        classes, dim = len(values["classes"]), len(values["mean"])
        expected = {"mean": (dim,), "scale": (dim,), "weight": (classes, dim), "bias": (classes,)}
        for name, shape in expected.items():
            value = values[name]
            if (value.shape, value.dtype) != (shape, np.float64) or not np.isfinite(value).all():
                got = f"{value.dtype} {value.shape}"
                raise ValueError(f"{name}: expected finite numbers, float64 {shape}, got {got}")
        given: dict = {name: value if value.ndim else value.item() for name, value in values.items()}
        return LinearSvm(**{**given, "classes": tuple(map(str, values["classes"]))})

    return read_model(path, "an SVM of train_svm.py", build)


def fit(
    vectors: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    cost: float,
    *,
    tolerance: float = 1e-3,
    max_iter: int = 1000,
) -> LinearSvm:
    """Train one-against-rest linear SVMs (squared hinge, primal) on standardised vectors (n, dim).

    The primal solver of liblinear has no random choice in it, so that the result is the same each time.
    Of fewer vectors than dimensions the problem is solved in the space that they span, where the solution
    lies anyway: the same weights, sooner. A class without a vector gets the score minus infinity.
    """
    from sklearn.svm import LinearSVC

    mean, scale = vectors.mean(axis=0), vectors.std(axis=0)
    scale = np.where(scale <= 1e-8 * np.maximum(1.0, np.abs(mean)), 1.0, scale)  # of a constant column, 1
    standard = (vectors - mean) / scale
    basis = np.linalg.qr(standard.T)[0] if len(vectors) < vectors.shape[1] else None
    machine = LinearSVC(C=cost, dual=False, tol=tolerance, max_iter=max_iter)
    machine.fit(standard if basis is None else standard @ basis, labels)
    found = machine.coef_ if basis is None else machine.coef_ @ basis.T
    shift = machine.intercept_
    if len(machine.classes_) == 2:
        found, shift = np.concatenate([-found, found]), np.concatenate([-shift, shift])
    weight, bias = np.zeros((num_classes, vectors.shape[1])), np.full(num_classes, -np.inf)
    weight[machine.classes_], bias[machine.classes_] = found, shift
    return LinearSvm(mean, scale, weight, bias)


def make_folds(
    labels: np.ndarray, artists: Sequence[str], classes: Sequence[str], num_folds: int, seed: int
) -> tuple[Folds, bool]:
    """Split the training tracks for cross-validation, stratified and with every artist on one side.

    Returns also whether artists are kept apart, of which there is no telling where every track stands as an
    artist of its own. They are not where a class has a single one: a fold would have nothing to learn from.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    artists_of = Counter(label for label, _ in set(zip(labels.tolist(), artists, strict=True)))
    few, least = min(sorted(artists_of.items()), key=lambda item: item[1])
    num_folds = min(num_folds, int(np.bincount(labels).max()))
    if num_folds < 2:
        raise cli.UserError(f"expected at least 2 folds and 2 tracks of a class, got {num_folds}")
    grouped = least > 1
    if least < num_folds:
        why = "some held-out parts lack it" if grouped else "cross-validation does not keep artists apart"
        cli.warn(f"class '{classes[few]}' has {least} artist{'s' * grouped} for {num_folds} folds: {why}")
    splitter = StratifiedGroupKFold if grouped else StratifiedKFold
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = splitter(num_folds, shuffle=True, random_state=seed)
        split = parts.split(labels, labels, np.asarray(artists) if grouped else None)
        pairs = [(train, held) for train, held in split if len(held) and len(np.unique(labels[train])) > 1]
    return pairs, grouped and len(set(artists)) < len(artists)


def choose_cost(
    vectors: np.ndarray, labels: np.ndarray, num_classes: int, folds: Folds, grid: Sequence[float]
) -> tuple[float, np.ndarray]:
    """Return the C with the most held-out tracks right, and the counts of all.

    Of equal ones the larger balanced accuracy decides: a small C that only knows the largest class may be as
    often right as one that knows them all; then the smaller C.
    """
    confusion = np.zeros((len(grid), num_classes, num_classes), dtype=np.int64)
    for train, held in folds:
        for position, cost in enumerate(grid):
            scores = fit(vectors[train], labels[train], num_classes, cost).scores(vectors[held])
            confusion[position] += confusion_matrix(labels[held], scores.argmax(axis=1), num_classes)
    correct = np.trace(confusion, axis1=1, axis2=2)
    rank = [(int(n), balanced_accuracy(c)) for n, c in zip(correct, confusion, strict=True)]
    return grid[rank.index(max(rank))], correct


def train(
    vectors: np.ndarray,
    labels: np.ndarray,
    artists: Sequence[str],
    classes: Sequence[str],
    grid: Sequence[float],
    num_folds: int = 5,
    seed: int = 777,
    *,
    kind: str = "",
    k: float = math.nan,
) -> LinearSvm:
    """Choose C from ``grid`` by cross-validation and train on all tracks with it."""
    if absent := [name for index, name in enumerate(classes) if index not in labels]:
        raise cli.UserError(f"class '{absent[0]}' has no training track; check utt2genre")
    grid, vectors = sorted(grid), np.asarray(vectors, dtype=np.float64)
    folds, grouped = make_folds(labels, artists, classes, num_folds, seed)
    cost, correct = choose_cost(vectors, labels, len(classes), folds, grid)
    how = "artist-grouped" if grouped else "stratified, no artists kept apart,"
    notes = (
        f"{vectors.shape[1]} dimensions{'' if math.isnan(k) else f', k {k:g}'}, C {cost:g} (right in "
        f"{len(folds)}-fold {how} cross-validation on train: {correct.max()} / {len(labels)})"
    )
    tried = ", ".join(f"{c:g}: {n}" for c, n in zip(grid, correct, strict=True))
    cli.log(f"{notes}; tried {tried}")
    chosen = fit(vectors, labels, len(classes), cost)
    return replace(chosen, classes=tuple(classes), cost=cost, notes=notes, kind=kind, k=k)
