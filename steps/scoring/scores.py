"""The results of one system on one set: accuracies with the counts behind them, answers for each track.

A folder holds accuracy.json, confusion counts by accuracy, and predictions_<accuracy>.tsv of those of tracks.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from steps.scoring.reference import Reference
from steps.scoring.significance import interval_by_track, wilson
from utils import atomic, cli, tables
from utils.cli import UserError

ACCURACY = "accuracy.json"
COLUMNS = ("utt", "ref", "hyp")


def confusion_matrix(ref: np.ndarray, hyp: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pairs of class indices, int64 of shape (C, C): a row a true class, a column a hypothesis."""
    flat = np.asarray(ref, dtype=np.int64) * num_classes + np.asarray(hyp, dtype=np.int64)
    return np.bincount(flat, minlength=num_classes * num_classes).reshape(num_classes, num_classes)


def balanced_accuracy(confusion: np.ndarray) -> float:
    """Return the mean of the classes' recalls; a class without a true track does not count."""
    totals = confusion.sum(axis=1)
    present = totals > 0
    return float(np.mean(np.diag(confusion)[present] / totals[present]))


@dataclass(frozen=True)
class Predictions:
    """Hypotheses of one system for tracks in C-sorted order."""

    classes: tuple[str, ...]
    utts: tuple[str, ...]
    ref: np.ndarray  # true class indices, int of shape (num_tracks,)
    hyp: np.ndarray  # hypothesised class indices, int of shape (num_tracks,)
    scores: np.ndarray  # scores by class, float64 of shape (num_tracks, C)
    probabilities: bool = False  # whether the scores are probabilities

    @property
    def right(self) -> np.ndarray:
        """Whether each track is right, bool of shape (num_tracks,)."""
        return self.ref == self.hyp

    def measure(self, name: str, **extra: Any) -> "Measure":
        """Return the accuracy of these hypotheses."""
        return Measure(name, confusion_matrix(self.ref, self.hyp, len(self.classes)), extra, self)

    def same_tracks(self, other: "Predictions") -> bool:
        """Return whether another system was scored on the same tracks with the same labels."""
        ours, theirs = (self.classes, self.utts), (other.classes, other.utts)
        return ours == theirs and np.array_equal(self.ref, other.ref)


@dataclass
class Measure:
    """One accuracy with the counts behind it."""

    name: str
    confusion: np.ndarray
    extra: dict[str, Any] = field(default_factory=dict)
    """``frames``: right ones and all of each track, of an accuracy of frames; ``folds``: percent in each fold
    of a cross-validation; ``notes``: how it was made."""
    tracks: Predictions | None = None  # behind the counts, unless they are of frames

    def __post_init__(self) -> None:
        self.correct, self.total = int(np.trace(self.confusion)), int(self.confusion.sum())
        self.percent = 100.0 * self.correct / self.total
        self.balanced = 100.0 * balanced_accuracy(self.confusion)  # percent, too

    @property
    def wilson(self) -> tuple[float, float]:
        """Wilson's 95 % interval in percent."""
        low, high = wilson(self.correct, self.total)
        return 100.0 * low, 100.0 * high

    @property
    def by_track(self) -> tuple[float, float] | None:
        """95 % interval in percent that takes tracks as the trials, of an accuracy of frames."""
        if "frames" not in self.extra:
            return None
        low, high = interval_by_track(*np.transpose(self.extra["frames"]))
        return 100.0 * low, 100.0 * high

    def line(self) -> str:
        """Return the greppable line of results.txt."""
        text = f"%{self.name} {self.percent:.2f} [ {self.correct} / {self.total} ]"
        text += " Wilson95 [ {:.2f} {:.2f} ]".format(*self.wilson)
        text += " by_track95 [ {:.2f} {:.2f} ]".format(*self.by_track) if self.by_track else ""
        folds = self.extra.get("folds")
        spread = f" folds {fmean(folds):.2f} ± {stdev(folds):.2f}" if folds else ""
        return f"{text} balanced {self.balanced:.2f}{spread}"


def write_predictions(path: Path, table: Predictions) -> None:
    """Write the TSV: utt, ref, hyp, and ``score:CLASS`` or ``prob:CLASS`` of each class, all bits."""
    kind = "prob" if table.probabilities else "score"
    with atomic.replacing(path) as file:
        file.write("\t".join([*COLUMNS, *(f"{kind}:{name}" for name in table.classes)]) + "\n")
        rows = zip(table.utts, table.ref, table.hyp, table.scores.tolist(), strict=True)
        for utt, ref, hyp, scores in rows:
            words = utt, table.classes[ref], table.classes[hyp], *map(repr, scores)
            file.write("\t".join(words) + "\n")


def read_predictions(path: Path) -> Predictions:
    """Read the TSV back; a UserError names the line that does not fit the header."""

    def parse(row: dict[str, str]) -> tuple[str, int, int, dict[str, float]]:
        scores = {name: float(text) for name, text in row.items() if name not in COLUMNS}
        classes = [name.partition(":")[2] for name in scores]
        return row["utt"], classes.index(row["ref"]), classes.index(row["hyp"]), scores

    rows = tables.read_tsv(path, parse, "run the stage before")
    if not rows:
        raise UserError(f"{path}: no predictions")
    utts, ref, hyp, scores = zip(*rows, strict=True)
    kinds, _, classes = zip(*(name.partition(":") for name in scores[0]), strict=True)
    values = np.array([list(row.values()) for row in scores])
    return Predictions(classes, utts, np.array(ref), np.array(hyp), values, "prob" in kinds)


@dataclass(frozen=True)
class Scores:
    """Accuracies of the same tracks by name."""

    measures: dict[str, Measure]

    @property
    def tracks(self) -> Predictions:
        """Any of the tables of hypotheses; all are of the same tracks."""
        return next(measure.tracks for measure in self.measures.values() if measure.tracks)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.tracks.classes


def write_scores(folder: Path, measures: Sequence[Measure]) -> None:
    """Write accuracy.json and the predictions, which are named as their accuracies are."""
    content = []
    for m in measures:
        if m.tracks:
            write_predictions(folder / f"predictions_{m.name}.tsv", m.tracks)
        confusion = m.confusion.tolist()
        content.append({"name": m.name, "correct": m.correct, "extra": m.extra, "confusion": confusion})
        cli.log(f"{m.name} {m.percent:.2f} [ {m.correct} / {m.total} ]")
    classes = Scores({m.name: m for m in measures}).classes
    atomic.write_json(folder / ACCURACY, {"classes": classes, "measures": content})


def write_decisions(
    folder: Path, reference: Reference, found: Mapping[str, tuple], *, probabilities: bool = False
) -> None:
    """Write accuracies by name of scores (num_tracks, C), whose largest decides, and notes on them."""
    truth = reference.classes, tuple(reference.genre), reference.labels
    measures = []
    for name, (scores, notes) in found.items():
        table = Predictions(*truth, scores.argmax(axis=1), scores, probabilities=probabilities)
        measures.append(table.measure(name, notes=notes))
    write_scores(folder, measures)


def read_scores(*folders: Path) -> Scores:
    """Read what was scored in some folders; UserError unless it is of the same tracks and classes."""
    scores = Scores({})
    for folder in folders:
        path = folder / ACCURACY
        try:
            content = json.loads(tables.read_text(path, "the accuracies", "run the stage before"))
            classes = tuple(map(str, content["classes"]))
            found = [
                Measure(item["name"], np.reshape(item["confusion"], (len(classes),) * 2), item["extra"])
                for item in content["measures"]
            ]
        except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
            raise UserError(
                f"{path}: not a file of accuracies ({error}); run what writes it again"
            ) from error
        for measure in found:
            scores.measures[measure.name] = measure
            file = folder / f"predictions_{measure.name}.tsv"
            if len(found) == 1 or file.is_file():  # else it is of frames
                measure.tracks = read_predictions(file)
                if not measure.tracks.same_tracks(scores.tracks):
                    raise UserError(f"{file}: not of the tracks and classes of the others there; score again")
    return scores
