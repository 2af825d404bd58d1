"""The corpus: its identity, its tracks and hours (Table 1), its artists."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.corpus.overlap import shared_artists
from steps import archive
from steps.scoring.reference import read_reference
from utils import tables
from utils.cli import UserError


@dataclass(frozen=True)
class DataSummary:
    """Identity and size of some sets of a corpus directory."""

    sha256: str
    num_tracks: dict[str, int]
    num_frames: dict[str, int]


def summarise_data(data_dir: Path, sets: Sequence[str]) -> DataSummary:
    """Hash labels, artists and features of the sets, wherever they lie and however they are split.

    UserError if a file is missing, or features and labels are not of the same tracks.
    """
    digest = hashlib.sha256()
    tracks, frames = {}, {}
    for part in sets:
        folder = data_dir / part
        labels = tables.read_table(folder / "utt2genre")
        artists = tables.read_table(folder / "utt2spk")
        frames[part] = 0
        seen = set()
        for utt, feats in archive.read_matrices(f"scp:{folder}/feats.scp"):
            if utt not in labels or utt not in artists:
                raise UserError(f"{folder}/feats.scp: utterance '{utt}' is not in utt2genre and utt2spk")
            seen.add(utt)
            rows, columns = feats.shape
            digest.update(f"{part} {utt} {labels[utt]} {artists[utt]} {rows} {columns} ".encode())
            digest.update(feats.tobytes())
            frames[part] += rows
        missing = sorted(set(labels) - seen)
        if missing:
            raise UserError(f"{folder}/feats.scp: utterance '{missing[0]}' of utt2genre is missing")
        tracks[part] = len(labels)
    return DataSummary(digest.hexdigest(), tracks, frames)


def overlap_line(data_dir: Path, test_set: str = "test") -> str:
    """Say how many tracks of a test set are by an artist of the training set."""
    found = shared_artists(data_dir, test_set)
    if isinstance(found, str):
        return f"Artist overlap: unknown: {found}"
    return (
        f"Artist overlap: {found.both} of the {found.other} artists of {test_set} are also among the "
        f"{found.train} of train; {found.tracks} of {found.total} {test_set} tracks are by them"
    )


def _hours(folder: Path, utts: list[str]) -> float | None:
    if not (folder / "utt2dur").is_file():
        return None
    durations = tables.read_table(folder / "utt2dur")
    try:
        return sum(float(durations[utt]) for utt in utts) / 3600.0
    except (KeyError, ValueError) as error:
        raise UserError(f"{folder}/utt2dur: no duration in seconds for {error}; run stage 1 again") from error


def class_labels(folder: Path, classes: Sequence[str]) -> list[str]:
    """Return how classes are shown: with the name that people write, where it is another."""
    path = folder / "genre2name"
    named = tables.read_table(path, is_sorted=False) if path.is_file() else {}
    return [f"{name} ({named[name]})" if name in named else name for name in classes]


def count_tracks(data_dir: Path, sets: Sequence[str]) -> list[dict[str, Any]]:
    """Return tracks and hours of each set, a row a class and one for their total."""
    parts = {part: read_reference(data_dir / part) for part in sets}
    classes = parts[sets[0]].classes
    labels = class_labels(data_dir / sets[0], classes)
    rows = []
    for index, name in enumerate((*classes, "total")):
        row: dict[str, Any] = {"class": name, "label": [*labels, "total"][index]}
        for part, reference in parts.items():
            utts = [utt for utt, label in reference.genre.items() if name == "total" or label == index]
            row[f"{part}_tracks"] = len(utts)
            row[f"{part}_hours"] = _hours(data_dir / part, utts)
        rows.append(row)
    return rows
