"""The truth that hypotheses are scored against: classes, and the class, artist and length of every track."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils import tables
from utils.cli import UserError

_COUNT = re.compile(r"[1-9][0-9]{0,8}")


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
        """Raise, naming them, if utterances of the data directory are not in ``seen``."""
        missing = sorted(set(self.genre) - set(seen))
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise UserError(
                f"{what}: utterance '{missing[0]}'{more} of {self.path}/utt2genre is missing: expected "
                f"{len(self.genre)} utterances, got {len(self.genre) - len(missing)}; "
                "run the stage before again"
            )


def read_reference(data_dir: str | Path) -> Reference:
    """Read ``utt2genre`` of a data directory, and ``genres.txt`` there or one folder above.

    UserError if a file is missing or a label is not among the classes.
    """
    folder = Path(data_dir)
    lists = [path / "genres.txt" for path in (folder, folder.parent)]
    classes = tables.read_classes(next((path for path in lists if path.is_file()), lists[0]))
    index = {name: number for number, name in enumerate(classes)}
    genre = {}
    for utt, name in tables.read_table(folder / "utt2genre").items():
        if name not in index:
            raise UserError(
                f"{folder}/utt2genre: '{utt}' has class '{name}', expected one of {' '.join(classes)}"
            )
        genre[utt] = index[name]
    if not genre:
        raise UserError(f"{folder}/utt2genre: no utterances")
    return Reference(folder, classes, genre)


def read_artists(reference: Reference) -> list[str]:
    """Read the artist of each of the reference's utterances from the data directory's ``utt2spk``."""
    path = reference.path / "utt2spk"
    artists = tables.read_table(path)
    reference.require_all(artists, str(path))
    return [artists[utt] for utt in reference.genre]


def read_num_frames(reference: Reference) -> dict[str, int]:
    """Read ``utt2num_frames`` of the reference's data directory, of exactly its utterances."""
    path = reference.path / "utt2num_frames"
    frames = {}
    for utt, text in tables.read_table(path).items():
        if not _COUNT.fullmatch(text):
            raise UserError(f"{path}: '{utt}' has '{text}' frames, expected an integer of at least 1")
        reference.require(utt, str(path))
        frames[utt] = int(text)
    reference.require_all(frames, str(path))
    return frames
