"""Training of the linear SVM (liblinear) and the choice of its C on the training set alone."""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.svm import LinearSVC

from steps.scoring.measures import balanced_accuracy, confusion_matrix
from steps.scoring.svm import Fit, LinearSvm
from utils import cli


@dataclass(frozen=True)
class SvmOptions:
    """Options of conf/svm.conf."""

    grid: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0)
    folds: int = 5
    seed: int = 777
    class_weight: str | None = None
    tolerance: float = 1e-3
    max_iter: int = 1000


def positive_floats(text: str) -> tuple[float, ...]:
    """Parse a comma-separated list of positive numbers."""
    values = tuple(cli.finite_float(word) for word in text.split(","))
    if min(values) <= 0.0 or len(set(values)) != len(values):
        raise argparse.ArgumentTypeError(f"expected different positive numbers, got '{text}'")
    return values


def fold_count(text: str) -> int:
    """Parse a number of folds, at least 2."""
    if cli.positive_int(text) < 2:
        raise argparse.ArgumentTypeError(f"expected at least 2 folds, got '{text}'")
    return int(text)


def add_svm_options(parser: cli.KaldiParser) -> None:
    """Add the options of the SVM to a command line."""
    default = SvmOptions()
    parser.add_argument("--c-grid", type=positive_floats, default=default.grid, help="costs to try")
    parser.add_argument(
        "--folds", type=fold_count, default=default.folds, help="folds of the cross-validation"
    )
    parser.add_argument("--seed", type=int, default=default.seed, help="seed of the folds")
    parser.add_argument("--class-weight", default="none", choices=("none", "balanced"), help="weights")
    parser.add_argument(
        "--tolerance", type=cli.finite_float, default=default.tolerance, help="liblinear's stopping tolerance"
    )
    parser.add_argument("--max-iter", type=cli.positive_int, default=default.max_iter, help="its iterations")


def svm_options(args: argparse.Namespace) -> SvmOptions:
    """Return the options that a command line gave."""
    weight = None if args.class_weight == "none" else args.class_weight
    return SvmOptions(args.c_grid, args.folds, args.seed, weight, args.tolerance, args.max_iter)


def standardisation(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation by column of (n, dim); a constant column has deviation 1."""
    mean = vectors.mean(axis=0)
    scale = vectors.std(axis=0)
    constant = scale <= 1e-8 * np.maximum(1.0, np.abs(mean))
    return mean, np.where(constant, 1.0, scale)


def fit(vectors: np.ndarray, labels: np.ndarray, num_classes: int, cost: float, options: SvmOptions) -> Fit:
    """Train one-against-rest linear SVMs (squared hinge, primal) on standardised vectors (n, dim).

    The primal solver of liblinear has no random choice in it, so that the result is the same each time.
    Where there are fewer vectors than dimensions the problem is solved in the space that the vectors span,
    where the solution of a linear SVM lies anyway, and turned back: the same weights, sooner. There must be
    two classes; one without a vector gets the score minus infinity.
    """
    mean, scale = standardisation(vectors)
    standard = (vectors - mean) / scale
    basis = np.linalg.qr(standard.T)[0] if len(vectors) < vectors.shape[1] else None
    machine = LinearSVC(
        C=cost,
        dual=False,
        loss="squared_hinge",
        tol=options.tolerance,
        max_iter=options.max_iter,
        class_weight=options.class_weight,
        random_state=options.seed,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        machine.fit(standard if basis is None else standard @ basis, labels)
    if any(issubclass(item.category, ConvergenceWarning) for item in caught):
        cli.warn(
            f"liblinear did not converge in {options.max_iter} iterations with C={cost:g}; raise --max-iter"
        )
    found = machine.coef_ if basis is None else machine.coef_ @ basis.T
    weight = np.zeros((num_classes, vectors.shape[1]))
    bias = np.full(num_classes, -np.inf)
    if len(machine.classes_) == 2:
        low, high = machine.classes_
        weight[low], weight[high] = -found[0], found[0]
        bias[low], bias[high] = -machine.intercept_[0], machine.intercept_[0]
    else:
        weight[machine.classes_] = found
        bias[machine.classes_] = machine.intercept_
    return Fit(mean, scale, weight, bias)


def make_folds(
    labels: np.ndarray, artists: Sequence[str], classes: Sequence[str], options: SvmOptions
) -> tuple[list[tuple[np.ndarray, np.ndarray]], bool]:
    """Split the training tracks for cross-validation, stratified and with every artist on one side.

    Returns pairs of training and held-out indices, and whether artists are kept apart, of which there is no
    telling where every track stands as an artist of its own. They are not, with a warning, where a class has
    a single artist, since a fold would then have nothing to learn it from; a class with fewer artists than
    folds is absent from some held-out parts, also with a warning.
    """
    per_class = {
        c: len({a for a, y in zip(artists, labels, strict=True) if y == c}) for c in np.unique(labels)
    }
    few = min(per_class, key=lambda c: per_class[c])
    counts = np.bincount(labels)
    folds = min(options.folds, int(counts.max()))
    name, number = classes[few], per_class[few]
    grouped = number > 1
    if not grouped:
        cli.warn(
            f"class '{name}' has one artist: cross-validation is stratified but does not keep artists apart"
        )
    elif number < folds:
        cli.warn(
            f"class '{name}' has {number} artists, fewer than {folds} folds: some held-out parts lack it"
        )
    splitter = StratifiedGroupKFold if grouped else StratifiedKFold
    groups = np.asarray(artists) if grouped else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        split = splitter(n_splits=folds, shuffle=True, random_state=options.seed).split(
            labels, labels, groups
        )
        pairs = [(train, held) for train, held in split if len(held) and len(np.unique(labels[train])) > 1]
    return pairs, grouped and len(set(artists)) < len(artists)


def choose_cost(
    vectors: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    options: SvmOptions,
) -> tuple[float, np.ndarray]:
    """Return the C with the most held-out tracks right, and the counts of all.

    Of equal ones the larger balanced accuracy decides, since a small C that only knows the largest class
    may be as often right as one that knows them all; then the smaller C. Standardisation is part of the
    training of each fold.
    """
    confusion = np.zeros((len(options.grid), num_classes, num_classes), dtype=np.int64)
    for train, held in folds:
        for position, cost in enumerate(options.grid):
            scores = fit(vectors[train], labels[train], num_classes, cost, options).scores(vectors[held])
            confusion[position] += confusion_matrix(labels[held], scores.argmax(axis=1), num_classes)
    correct = np.trace(confusion, axis1=1, axis2=2)
    rank = [(int(n), balanced_accuracy(c)) for n, c in zip(correct, confusion, strict=True)]
    return options.grid[rank.index(max(rank))], correct


def train(
    vectors: np.ndarray,
    labels: np.ndarray,
    artists: Sequence[str],
    classes: Sequence[str],
    options: SvmOptions,
    *,
    kind: str = "",
    k: float = math.nan,
) -> LinearSvm:
    """Choose C by cross-validation and train on all tracks with it; ``kind`` and ``k`` are recorded.

    UserError if a class has no track.
    """
    for index, name in enumerate(classes):
        if not np.any(labels == index):
            raise cli.UserError(
                f"class '{name}' has no training track; the SVM cannot learn it, check utt2genre"
            )
    values = np.asarray(vectors, dtype=np.float64)
    options = replace(options, grid=tuple(sorted(options.grid)))
    folds, grouped = make_folds(labels, artists, classes, options)
    cost, correct = choose_cost(values, labels, len(classes), folds, options)
    best = fit(values, labels, len(classes), cost, options)
    return LinearSvm(
        **vars(best),
        classes=tuple(classes),
        cost=cost,
        grid=np.array(options.grid),
        grid_correct=correct,
        num_train=len(labels),
        folds=len(folds),
        grouped=grouped,
        kind=kind,
        k=k,
    )
