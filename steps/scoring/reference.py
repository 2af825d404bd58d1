"""The truth that hypotheses are scored against: classes, and the class, artist and length of every track."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steps import archive
from utils import tables
from utils.cli import UserError


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

    def require(self, utt: str, what: str) -> int:
        """Return the class index of ``utt``, or raise if the data directory does not know it."""
        if utt not in self.genre:
            raise UserError(
                f"{what}: utterance '{utt}' is not in {self.path}/utt2genre ({len(self.genre)} utterances); "
                "are the archive and the data directory of the same set?"
            )
        return self.genre[utt]

    def require_all(self, seen: Iterable[str], what: str) -> None:
        """Raise, naming one, if utterances of the data directory are not in ``seen``."""
        if missing := sorted(set(self.genre) - set(seen)):
            raise UserError(
                f"{what}: utterance '{missing[0]}' of {self.path}/utt2genre is missing: expected "
                f"{len(self.genre)} utterances, {len(missing)} lack; run the stage before again"
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
    artists = tables.read_table(reference.path / "utt2spk")
    reference.require_all(artists, f"{reference.path}/utt2spk")
    return [artists[utt] for utt in reference.genre]


def read_num_frames(reference: Reference) -> dict[str, int]:
    """Read ``utt2num_frames`` of the reference's data directory, of exactly its utterances."""
    path = reference.path / "utt2num_frames"
    frames = tables.read_table(path)
    for utt, text in frames.items():
        reference.require(utt, str(path))
        if not re.fullmatch("[1-9][0-9]{0,8}", text):
            raise UserError(f"{path}: '{utt}' has '{text}' frames, expected an integer of at least 1")
    reference.require_all(frames, str(path))
    return {utt: int(text) for utt, text in frames.items()}


def read_vectors(reference: Reference, rspecifier: str) -> np.ndarray:
    """Read one finite vector for exactly each of the reference's tracks, float64 (n, dim), in its order."""
    vectors: dict[str, np.ndarray] = {}
    for utt, vector in archive.read_vectors(rspecifier):
        reference.require(utt, rspecifier)
        dim = len(next(iter(vectors.values()), vector))
        if len(vector) != dim or not dim:
            raise UserError(f"{rspecifier}: utterance '{utt}': expected {dim} values, got {len(vector)}")
        if not np.isfinite(vector).all():
            raise UserError(f"{rspecifier}: utterance '{utt}' is not finite; compute the features again")
        vectors[utt] = vector
    reference.require_all(vectors, rspecifier)
    return np.stack([vectors[utt] for utt in reference.genre]).astype(np.float64)
