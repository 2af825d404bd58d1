"""The vectors of a data directory's tracks, part by part, streamed from its archives."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from steps import archive
from steps.classifiers.ensemble import Pieces
from steps.classifiers.model import POSTERIORS, Part
from steps.classifiers.pieces import movements
from steps.scoring.reference import Reference
from steps.scoring.segment import read_posteriors, vote
from utils.cli import UserError


def frames_file(folder: Path, feats: str, posteriors: str = "") -> Path:
    """Return ``<folder>/<feats>.scp``, or for ``post_<network>`` ``posteriors`` with it for ``{}``."""
    if feats.startswith(POSTERIORS):
        return Path(posteriors.replace("{}", feats.removeprefix(POSTERIORS)))
    return folder / f"{feats}.scp"


def read_frames(reference: Reference, feats: str, posteriors: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Read the frames of all tracks in turn; UserError if some are missing, unknown, empty or not finite."""
    rspecifier = f"scp:{frames_file(reference.path, feats, posteriors)}"
    for utt, frames in reference.exactly(archive.read_matrices(rspecifier), rspecifier):
        if not len(frames) or not np.isfinite(frames).all():
            raise UserError(f"{rspecifier}: utterance '{utt}': no frames, or not finite; compute them again")
        yield utt, frames


def with_projections(reference: Reference, parts: Sequence[Part], posteriors: str = "") -> list[Part]:
    """Return the parts, those that tell the order of frames with the movements of these tracks."""
    kinds = {part.feats for part in parts if "order" in part.statistics.split("+")}
    found = {
        feats: movements(frames for _, frames in read_frames(reference, feats, posteriors))
        for feats in sorted(kinds)
    }
    return [
        replace(part, projection=found[part.feats]) if "order" in part.statistics.split("+") else part
        for part in parts
    ]


def read_pieces(reference: Reference, parts: Sequence[Part], posteriors: str = "") -> dict[str, Pieces]:
    """Read each archive of frames once and return the vectors of the parts that are made of it."""
    found: dict[str, dict[str, np.ndarray]] = {part.name: {} for part in parts}
    for feats in sorted({part.feats for part in parts}):
        for utt, frames in read_frames(reference, feats, posteriors):
            for part in parts:
                if part.feats == feats:
                    found[part.name][utt] = part.vectors(frames)
    return {
        name: Pieces(
            np.concatenate([vectors[utt] for utt in reference.genre]),
            np.array([len(vectors[utt]) for utt in reference.genre]),
        )
        for name, vectors in found.items()
    }


def mean_log_posteriors(reference: Reference, scp: Path) -> np.ndarray:
    """Return the mean log frame posteriors of each track, float64 (num_tracks, C); UserError if one lacks."""
    posteriors = read_posteriors(reference, f"scp:{scp}")
    found = {utt: vote(post).mean_log_posterior for utt, post in posteriors}
    return np.stack([found[utt] for utt in reference.genre])
