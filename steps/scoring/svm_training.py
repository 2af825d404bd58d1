"""Training of the linear SVM (liblinear) and the choice of its C on the training set alone."""

import argparse
import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.svm import LinearSVC

from steps.scoring.scores import balanced_accuracy, confusion_matrix
from steps.scoring.svm import Fit, LinearSvm
from utils import cli


@dataclass(frozen=True)
class SvmOptions:
    """Options of conf/svm.conf, and of liblinear."""

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
    add = parser.add_argument
    add("--c-grid", type=positive_floats, default=SvmOptions.grid, help="costs to try")
    add("--folds", type=fold_count, default=SvmOptions.folds, help="folds of the cross-validation")
    add("--seed", type=int, default=SvmOptions.seed, help="seed of the folds")
    add("--class-weight", default="none", choices=("none", "balanced"), help="weights")


def svm_options(args: argparse.Namespace) -> SvmOptions:
    """Return the options that a command line gave."""
    weight = None if args.class_weight == "none" else args.class_weight
    return SvmOptions(args.c_grid, args.folds, args.seed, weight)


def fit(vectors: np.ndarray, labels: np.ndarray, num_classes: int, cost: float, options: SvmOptions) -> Fit:
    """Train one-against-rest linear SVMs (squared hinge, primal) on standardised vectors (n, dim).

    The primal solver of liblinear has no random choice in it, so that the result is the same each time.
    Where there are fewer vectors than dimensions the problem is solved in the space that the vectors span,
    where the solution of a linear SVM lies anyway, and turned back: the same weights, sooner. There must be
    two classes; one without a vector gets the score minus infinity.
    """
    mean, scale = vectors.mean(axis=0), vectors.std(axis=0)
    scale = np.where(scale <= 1e-8 * np.maximum(1.0, np.abs(mean)), 1.0, scale)  # of a constant column, 1
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
        cli.warn(f"liblinear did not converge in {options.max_iter} iterations with C={cost:g}")
    found = machine.coef_ if basis is None else machine.coef_ @ basis.T
    shift = machine.intercept_
    if len(machine.classes_) == 2:
        found, shift = np.concatenate([-found, found]), np.concatenate([-shift, shift])
    weight, bias = np.zeros((num_classes, vectors.shape[1])), np.full(num_classes, -np.inf)
    weight[machine.classes_], bias[machine.classes_] = found, shift
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
    by_class = Counter(label for label, _ in set(zip(labels.tolist(), artists, strict=True)))
    few = min(sorted(by_class), key=lambda label: by_class[label])
    folds = min(options.folds, int(np.bincount(labels).max()))
    grouped = by_class[few] > 1
    if not grouped:
        why = "one artist: cross-validation is stratified but does not keep artists apart"
    else:
        why = f"{by_class[few]} artists, fewer than {folds} folds: some held-out parts lack it"
    if by_class[few] < (folds if grouped else 2):
        cli.warn(f"class '{classes[few]}' has {why}")
    splitter = StratifiedGroupKFold if grouped else StratifiedKFold
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = splitter(folds, shuffle=True, random_state=options.seed)
        split = parts.split(labels, labels, np.asarray(artists) if grouped else None)
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
    may be as often right as one that knows them all; then the smaller C.
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
    """Choose C by cross-validation and train on all tracks with it; ``kind`` and ``k`` are recorded."""
    if absent := [name for index, name in enumerate(classes) if index not in labels]:
        raise cli.UserError(f"class '{absent[0]}' has no training track; check utt2genre")
    values = np.asarray(vectors, dtype=np.float64)
    options = replace(options, grid=tuple(sorted(options.grid)))
    folds, grouped = make_folds(labels, artists, classes, options)
    cost, correct = choose_cost(values, labels, len(classes), folds, options)
    return LinearSvm(
        **vars(fit(values, labels, len(classes), cost, options)),
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
