"""The truth that hypotheses are scored against: classes, and the class, artist and length of every track."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from steps import archive
from utils import text_file
from utils.cli import UserError

_COUNT = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Reference:
    """The labels of one data directory."""

    path: Path
    classes: tuple[str, ...]
    genre: dict[str, int]
    """Class index of every utterance, C-sorted by utterance."""

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


def read_classes(path: Path) -> tuple[str, ...]:
    """Read genres.txt: one class a line, the line number minus one is the class index."""
    lines = text_file.read(path, "the list of classes").splitlines()
    names = [line.strip() for line in lines]
    for number, name in enumerate(names, start=1):
        if not name or len(name.split()) != 1:
            raise UserError(f"{path}:{number}: expected one class name, got '{name}'")
        if name in names[: number - 1]:
            raise UserError(f"{path}:{number}: the class '{name}' stands twice")
    if len(names) < 2:
        raise UserError(f"{path}: expected at least two classes, got {len(names)}")
    return tuple(names)


def read_reference(data_dir: str | Path) -> Reference:
    """Read ``utt2genre`` of a data directory, and ``genres.txt`` there or one folder above.

    Raises
    ------
    UserError
        If a file is missing or a label is not among the classes.
    """
    folder = Path(data_dir)
    lists = [path / "genres.txt" for path in (folder, folder.parent)]
    classes = read_classes(next((path for path in lists if path.is_file()), lists[0]))
    index = {name: number for number, name in enumerate(classes)}
    genre = {}
    for utt, name in archive.read_table(folder / "utt2genre").items():
        if name not in index:
            raise UserError(
                f"{folder}/utt2genre: '{utt}' has class '{name}', expected one of {' '.join(classes)}"
            )
        genre[utt] = index[name]
    if not genre:
        raise UserError(f"{folder}/utt2genre: no utterances")
    return Reference(folder, classes, genre)


def read_num_frames(reference: Reference) -> dict[str, int]:
    """Read ``utt2num_frames`` of the reference's data directory; it must cover every utterance."""
    path = reference.path / "utt2num_frames"
    frames = {}
    for utt, text in archive.read_table(path).items():
        if not _COUNT.fullmatch(text):
            raise UserError(f"{path}: '{utt}' has '{text}' frames, expected an integer of at least 1")
        frames[utt] = int(text)
    reference.require_all(frames, str(path))
    return frames
