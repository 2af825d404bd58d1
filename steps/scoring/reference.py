"""The truth that hypotheses are scored against: classes, and the class and artist of every track."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from steps import archive
from utils import tables
from utils.cli import UserError

Value = TypeVar("Value")


@dataclass(frozen=True)
class Reference:
    """The labels of one data directory."""

    path: Path
    classes: tuple[str, ...]
    genre: dict[str, int]  # class index of every utterance, C-sorted by utterance

    @property
    def labels(self) -> np.ndarray:
        """Class indices of the utterances in this order, int64 of shape (num_tracks,)."""
        return np.array(list(self.genre.values()), dtype=np.int64)

    def require_classes(self, classes: tuple[str, ...], source: str | Path) -> None:
        """Raise if a system of other classes is to decide about these tracks."""
        if self.classes != classes:
            expected, got = " ".join(classes), " ".join(self.classes)
            raise UserError(f"{source} knows the classes '{expected}', {self.path} has '{got}'")

    def exactly(
        self, entries: Iterable[tuple[str, Value]], source: str | Path
    ) -> Iterator[tuple[str, Value]]:
        """Yield what ``source`` has of each utterance; UserError unless it is of exactly these."""
        missing = set(self.genre)
        for utt, value in entries:
            if utt not in self.genre:
                where = f"{self.path}/utt2genre; are the archive and the data directory of the same set?"
                raise UserError(f"{source}: utterance '{utt}' is not in {where}")
            missing.discard(utt)
            yield utt, value
        if missing:
            count = f"{len(missing)} of {len(self.genre)} utterances lack; run the stage before again"
            raise UserError(
                f"{source}: utterance '{min(missing)}' of {self.path}/utt2genre is missing: {count}"
            )


def read_reference(data_dir: str | Path) -> Reference:
    """Read ``utt2genre`` of a data directory, and ``genres.txt`` there or one folder above."""
    folder = Path(data_dir)
    lists = [path / "genres.txt" for path in (folder, folder.parent)]
    classes = tables.read_classes(next((path for path in lists if path.is_file()), lists[0]))
    genre = tables.read_table(folder / "utt2genre")
    for utt, name in genre.items():
        if name not in classes:
            expected = " ".join(classes)
            raise UserError(f"{folder}/utt2genre: '{utt}' has class '{name}', expected one of {expected}")
    if not genre:
        raise UserError(f"{folder}/utt2genre: no utterances")
    return Reference(folder, classes, {utt: classes.index(name) for utt, name in genre.items()})


def read_artists(reference: Reference) -> list[str]:
    """Read the artist of each of the reference's utterances from the data directory's ``utt2spk``."""
    path = reference.path / "utt2spk"
    return [artist for _, artist in reference.exactly(tables.read_table(path).items(), path)]


def read_vectors(reference: Reference, rspecifier: str, dim: int = 0) -> np.ndarray:
    """Read one finite vector for each of the reference's tracks, float64 (n, dim), in its order.

    ``dim`` is the length that they must have; 0: that of the first.
    """
    vectors: dict[str, np.ndarray] = {}
    for utt, vector in reference.exactly(archive.read_objects(rspecifier, "vector"), rspecifier):
        dim = dim or len(vector)
        if len(vector) != dim or not dim:
            raise UserError(f"{rspecifier}: utterance '{utt}': expected {dim} values, got {len(vector)}")
        if not np.isfinite(vector).all():
            raise UserError(f"{rspecifier}: utterance '{utt}' is not finite; compute the features again")
        vectors[utt] = vector
    return np.stack([vectors[utt] for utt in reference.genre]).astype(np.float64)
