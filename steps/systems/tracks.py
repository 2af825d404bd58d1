"""What a system is trained on and decides about: tracks, their classes and artists, and their features."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steps import archive, mapped
from steps.scoring.reference import Reference
from utils.cli import UserError

Arrays = dict[str, NDArray]
"""A trained system: named arrays, which is all that its file holds."""
ABSENT = -1e9  # score of a class without a training track


@dataclass(frozen=True)
class Tracks(Reference):
    """The tracks of one set, their artists, and by kind the rspecifier of their features, or these."""

    artists: list[str]
    features: Mapping[str, str | Mapping[str, NDArray]]

    def matrices(self, kind: str) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield number and features of every track as they come; UserError if one is amiss."""
        numbers = {utt: number for number, utt in enumerate(self.genre)}
        source = self.features[kind]
        items = archive.read_matrices(source) if isinstance(source, str) else source.items()
        for utt, matrix in self.exactly(items, source if isinstance(source, str) else kind):
            if not all(np.isfinite(some).all() for some in mapped.blocks(matrix, 256)):
                raise UserError(f"{source}: track '{utt}': a value is not finite; make the features again")
            yield numbers[utt], matrix

    def stacked(self, kind: str) -> NDArray[np.float64]:
        """Return the features of all tracks where each has a matrix of the same shape, (n, rows, columns)."""
        found = dict(self.matrices(kind))
        return np.stack([found[number] for number in range(len(found))]).astype(np.float64)

    def require_spread(self) -> None:
        """Raise UserError unless two classes have tracks and one of them has two."""
        counts = np.bincount(self.labels, minlength=len(self.classes)).tolist()
        if counts.count(0) > len(counts) - 2 or max(counts) < 2:
            got = ", ".join(f"{count} of '{name}'" for name, count in zip(self.classes, counts, strict=True))
            raise UserError(
                f"{self.path}: expected training tracks of two classes and two tracks of one of them, got "
                f"{got}; add tracks, or leave this system out (--systems)"
            )

    def spread(self, values: NDArray, present: NDArray) -> NDArray[np.float64]:
        """Return scores of the classes that occur in training as scores of all, (n, C), others ABSENT."""
        every = np.full((len(values), len(self.classes)), ABSENT)
        every[:, present] = values
        return every
