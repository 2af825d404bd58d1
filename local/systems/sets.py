"""The tracks of a data directory with their features, as the systems take them."""

from collections.abc import Sequence
from pathlib import Path

from steps.scoring.reference import Reference, read_artists
from steps.systems.tracks import Tracks


def open_tracks(reference: Reference, feats_dir: Path, kinds: Sequence[str]) -> Tracks:
    """Return the tracks of a data directory with the archives of their features."""
    features = {kind: f"scp:{feats_dir}/{kind}.scp" for kind in kinds}
    utts, artists = list(reference.genre), read_artists(reference)
    return Tracks(utts, reference.classes, reference.labels, artists, features)
