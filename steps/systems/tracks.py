"""What a system is trained on and decides about: tracks, their classes and artists, and their features."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steps import archive, mapped
from utils.cli import UserError

Arrays = dict[str, NDArray]
"""A trained system: named arrays, which is all that its file holds."""

Options = dict[str, tuple[Callable, float, str]]
"""Options of a system: what makes their values of words, default, and what they are for."""

ABSENT = -1e9
"""Score of a class without a training track."""


@dataclass(frozen=True)
class Tracks:
    """The tracks of one set, and the classes of the corpus.

    ``labels`` are the class of each track, -1 where it is not known; ``groups`` what cross-validation must
    not divide: the artist, or the track where no artist is known; ``features`` by kind the rspecifier of
    matrices in any order, or the matrices themselves.
    """

    utts: list[str]
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    groups: list[str]
    features: Mapping[str, str | Mapping[str, NDArray]]

    def matrices(self, kind: str) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield number and features of every track as they come; UserError if some are amiss."""
        source = self.features[kind]
        number = {utt: i for i, utt in enumerate(self.utts)}
        seen = set()
        items = archive.read_matrices(source) if isinstance(source, str) else iter(source.items())
        for utt, matrix in items:
            if utt not in number:
                raise UserError(f"{source}: unknown track '{utt}'; make the features again")
            if not all(np.isfinite(some).all() for some in mapped.blocks(matrix, 256)):
                raise UserError(f"{source}: track '{utt}': a value is not finite")
            seen.add(utt)
            yield number[utt], matrix
        missing = [utt for utt in self.utts if utt not in seen]
        if missing:
            raise UserError(f"{source}: no features of {len(missing)} tracks, first '{missing[0]}'")

    def stacked(self, kind: str) -> NDArray[np.float64]:
        """Return the features of all tracks where each has a matrix of the same shape, (n, rows, columns)."""
        rows: list[NDArray] = [np.empty(0)] * len(self.utts)
        for number, matrix in self.matrices(kind):
            rows[number] = matrix
        return np.stack(rows).astype(np.float64)

    def vectors(self, kind: str) -> NDArray[np.float64]:
        """Return the features of all tracks where each has one row, of shape (n, dim)."""
        return self.stacked(kind)[:, 0, :]

    def require_spread(self) -> None:
        """Raise UserError unless two classes have tracks and one of them has two."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        if (counts > 0).sum() < 2:
            only = self.classes[int(counts.argmax())]
            raise UserError(f"all training tracks are of the class '{only}'; at least two classes are needed")
        if counts.max() < 2:
            raise UserError(
                "no class has two training tracks; add tracks, or leave this system out (--systems)"
            )

    def spread(self, values: NDArray, present: NDArray) -> NDArray[np.float64]:
        """Return scores of the classes that occur in training as scores of all, (n, C), others ABSENT."""
        every = np.full((len(values), len(self.classes)), ABSENT)
        every[:, present] = values
        return every

    def folds(self, num_folds: int, seed: int) -> list[tuple[NDArray, NDArray]]:
        """Return (training, held-out) indices of at most num_folds folds, never dividing a group."""
        from sklearn.model_selection import StratifiedGroupKFold  # a second; features do without it

        counts = np.bincount(self.labels)
        num = min(num_folds, len(set(self.groups)), int(counts[counts > 0].max()))
        if num < 2:
            raise UserError(
                "cross-validation needs training tracks of at least two artists; add some (utt2spk says "
                "whose they are), or leave this system out (--systems)"
            )
        splitter = StratifiedGroupKFold(num, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of classes with fewer tracks than folds
            split = list(splitter.split(np.zeros(len(self.labels)), self.labels, self.groups))
        return [(train, held) for train, held in split if len(train) and len(held)]
