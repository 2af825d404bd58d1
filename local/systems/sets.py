"""The tracks of a data directory with their features, as the systems take them."""

from __future__ import annotations

from collections.abc import Sequence

from steps.scoring.reference import read_artists, read_reference
from steps.systems.tracks import Tracks


def open_tracks(data_dir: str, feats_dir: str, kinds: Sequence[str]) -> Tracks:
    """Read classes and artists of a data directory, and name the archives of its tracks' features."""
    reference = read_reference(data_dir)
    return Tracks(
        list(reference.genre),
        reference.classes,
        reference.labels,
        read_artists(reference),
        {kind: f"scp:{feats_dir}/{kind}.scp" for kind in kinds},
    )
