"""Table 1: how many tracks, hours and artists the corpus has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from local.corpus.overlap import unknown_artists
from local.report import paper
from steps import archive
from steps.scoring.reference import read_reference
from utils.cli import UserError


@dataclass(frozen=True)
class Overlap:
    """Artists that are on both sides of the split."""

    train_artists: int
    test_artists: int
    shared_artists: int
    shared_tracks: int
    """Test tracks by an artist of the training set."""
    test_tracks: int
    unknown: bool
    """Whether every track has an artist of its own, which is how unknown artists are written."""
    reason: str = ""
    """Why the preparation of the corpus says that the artists cannot be compared."""
    test_set: str = "test"

    def line(self) -> str:
        """Return what the tables say about it."""
        if self.reason:
            return f"Artist overlap: unknown: {self.reason}"
        if self.unknown:
            return "Artist overlap: unknown, every track stands as an artist of its own in utt2spk"
        return (
            f"Artist overlap: {self.shared_artists} of the {self.test_artists} artists of {self.test_set} "
            f"are also among the {self.train_artists} of train; {self.shared_tracks} of {self.test_tracks} "
            f"{self.test_set} tracks are by them"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the fields, without those that have nothing to say."""
        return {name: value for name, value in asdict(self).items() if value not in ("", "test")}


def artist_overlap(data_dir: Path, test_set: str = "test") -> Overlap:
    """Compare utt2spk of train and a test set."""
    train, test = (archive.read_table(data_dir / part / "utt2spk") for part in ("train", test_set))
    known = set(train.values())
    shared = known & set(test.values())
    unknown = len(known) == len(train) and len(set(test.values())) == len(test) and not shared
    return Overlap(
        len(known),
        len(set(test.values())),
        len(shared),
        sum(artist in shared for artist in test.values()),
        len(test),
        unknown and len(test) > 1,
        unknown_artists(data_dir).get(test_set, ""),
        test_set,
    )


def _hours(folder: Path, utts: list[str]) -> float | None:
    if not (folder / "utt2dur").is_file():
        return None
    durations = archive.read_table(folder / "utt2dur")
    try:
        return sum(float(durations[utt]) for utt in utts) / 3600.0
    except (KeyError, ValueError) as error:
        raise UserError(f"{folder}/utt2dur: no duration in seconds for {error}; run stage 1 again") from error


def count_tracks(data_dir: Path, sets: Sequence[str]) -> list[dict[str, Any]]:
    """Return tracks and hours of each set, a row a class and one for their total."""
    parts = {part: read_reference(data_dir / part) for part in sets}
    classes = parts[sets[0]].classes
    rows = []
    for name in (*classes, "total"):
        row: dict[str, Any] = {"class": name}
        for part, reference in parts.items():
            index = classes.index(name) if name != "total" else None
            utts = [utt for utt, label in reference.genre.items() if index is None or label == index]
            row[f"{part}_tracks"] = len(utts)
            row[f"{part}_hours"] = _hours(data_dir / part, utts)
        rows.append(row)
    return rows


def corpus_table(data_dir: Path) -> list[dict[str, Any]]:
    """Return the rows of Table 1, a class each and their total, with the paper's figures."""
    rows = count_tracks(data_dir, ("train", "test"))
    for row in rows:
        name = row["class"]
        known = paper.TABLE1_TOTAL if name == "total" else paper.TABLE1.get(name)
        row["paper_train_tracks"] = known.train if known else None
        row["paper_test_tracks"] = known.test if known else None
        row["paper_train_hours"] = known.train_hours if known else None
        row["paper_test_hours"] = known.test_hours if known else None
    return rows
