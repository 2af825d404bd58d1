"""One row a track: the true class, the hypothesis and the scores that led to it, as a TSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from steps.scoring.measures import confusion_matrix
from utils import atomic, tables
from utils.cli import UserError

COLUMNS = ("utt", "ref", "hyp")


@dataclass(frozen=True)
class Predictions:
    """Hypotheses of one system for tracks in C-sorted order."""

    classes: tuple[str, ...]
    utts: tuple[str, ...]
    ref: np.ndarray  # true class indices, int of shape (num_tracks,)
    hyp: np.ndarray  # hypothesised class indices, int of shape (num_tracks,)
    scores: np.ndarray  # scores by class, float64 of shape (num_tracks, C)
    counts: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Further integer columns by name, each of shape (num_tracks,)."""
    probabilities: bool = False  # whether the scores are probabilities

    @property
    def right(self) -> np.ndarray:
        """Whether each track is right, bool of shape (num_tracks,)."""
        return self.ref == self.hyp

    @property
    def confusion(self) -> np.ndarray:
        """Confusion counts, int64 of shape (C, C)."""
        return confusion_matrix(self.ref, self.hyp, len(self.classes))

    @property
    def confidence(self) -> np.ndarray:
        """Score of each hypothesis, float64 of shape (num_tracks,)."""
        return np.take_along_axis(self.scores, self.hyp[:, None], axis=1)[:, 0]

    def same_tracks(self, other: Predictions) -> bool:
        """Return whether another system was scored on the same tracks with the same labels."""
        return (self.classes, self.utts) == (other.classes, other.utts) and np.array_equal(
            self.ref, other.ref
        )


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write the TSV: utt, ref, hyp, the integer columns, and ``score:CLASS`` or ``prob:CLASS``, all bits."""
    names = list(predictions.counts)
    kind = "prob" if predictions.probabilities else "score"
    header = [*COLUMNS, *names, *(f"{kind}:{name}" for name in predictions.classes)]
    with atomic.replacing(path) as file:
        file.write("\t".join(header) + "\n")
        for row, utt in enumerate(predictions.utts):
            words = [
                utt,
                *(predictions.classes[int(side[row])] for side in (predictions.ref, predictions.hyp)),
            ]
            words += [str(int(predictions.counts[name][row])) for name in names]
            words += [repr(float(score)).removesuffix(".0") for score in predictions.scores[row]]
            file.write("\t".join(words) + "\n")


def read_predictions(path: Path) -> Predictions:
    """Read the TSV back.

    UserError if the file is missing, or a line does not fit the header; names the line.
    """

    def parse(row: dict[str, str]) -> tuple[str, int, int, dict[str, float], dict[str, int]]:
        scores = {name: float(text) for name, text in row.items() if name.startswith(("score:", "prob:"))}
        counts = {name: int(row[name]) for name in row if name not in COLUMNS and name not in scores}
        classes = [name.partition(":")[2] for name in scores]
        return row["utt"], classes.index(row["ref"]), classes.index(row["hyp"]), scores, counts

    rows = tables.read_tsv(path, COLUMNS, parse, "run the stage before")
    if not rows:
        raise UserError(f"{path}: no predictions")
    _, _, _, scores, counts = rows[0]
    return Predictions(
        classes=tuple(name.partition(":")[2] for name in scores),
        utts=tuple(row[0] for row in rows),
        ref=np.array([row[1] for row in rows], dtype=np.int64),
        hyp=np.array([row[2] for row in rows], dtype=np.int64),
        scores=np.array([list(row[3].values()) for row in rows]),
        counts={name: np.array([row[4][name] for row in rows], dtype=np.int64) for name in counts},
        probabilities=next(iter(scores)).startswith("prob:"),
    )
