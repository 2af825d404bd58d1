"""The fused system: parts whose calibrated log posteriors are added, their vectors, and the npz file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from steps import archive, mapped
from steps.arrays import check_shapes, read_model, write_arrays
from steps.classifiers.machines import (
    LDA,
    SHAPES,
    Arrays,
    log_posteriors,
    log_softmax,
    network_log_posteriors,
)
from steps.classifiers.pieces import piece_vectors
from steps.scoring.reference import Reference
from steps.scoring.segment import vote
from utils.cli import UserError

NETWORK, VOTE = "network", "vote"
"""In place of statistics: of networks that see whole tracks; of a network of the recipe, whose posteriors are
the frames and whose mean log posteriors count. Vectors of both are log posteriors already."""
POSTERIORS = "post_"  # before the name of a network of the recipe whose posteriors are a part's frames
ROWS = 1024  # vectors that are classified together: a product's last bits depend on their number


@dataclass(frozen=True)
class Part:
    """A classifier of statistics of pieces of one kind of frames, or networks that see whole tracks."""

    name: str
    feats: str  # which frames: the name of their script file without ``.scp``, or ``post_<network>``
    frames: float  # length of a piece; 0 stands for the whole track
    statistics: str  # of :func:`steps.classifiers.pieces.piece_vectors`; or NETWORK or VOTE
    classifier: str = LDA  # one of :data:`steps.classifiers.machines.KINDS`
    setting: float = 0.0  # shrinkage of an LDA, cost of another classifier
    sharpness: float = 1.0
    arrays: Arrays = field(default_factory=dict, compare=False)  # and ``projection`` for the statistic order

    @property
    def network(self) -> str:
        """The network of the recipe whose posteriors are the frames; empty if they are features."""
        return self.feats.removeprefix(POSTERIORS) if self.feats.startswith(POSTERIORS) else ""

    def vectors(self, frames: np.ndarray) -> np.ndarray:
        """Return the vectors of a track's pieces, (pieces, dim); of networks log posteriors, (1, C)."""
        if self.statistics == NETWORK:
            return network_log_posteriors(self.arrays, frames)[np.newaxis]
        if self.statistics == VOTE:
            return vote(frames).mean_log_posterior[np.newaxis]
        return piece_vectors(frames, self.frames, self.statistics, self.arrays)

    def scores(self, tracks: Sequence[np.ndarray]) -> np.ndarray:
        """Return the calibrated log posteriors (num_tracks, C) of tracks' vectors."""
        ready = self.statistics in (NETWORK, VOTE)
        found = np.concatenate(tracks) if ready else mean_log_posteriors(self.arrays, tracks)
        return calibrate(found, self.sharpness)


def calibrate(scores: np.ndarray, sharpness: float) -> np.ndarray:
    """Return the log posteriors (num_tracks, C) times a factor, normalised."""
    return log_softmax(sharpness * scores)


def mean_log_posteriors(machine: Arrays, tracks: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean log posteriors (num_tracks, C) of each track's vectors, the same in any company."""
    sums = [mapped.sums(some, lambda block: log_posteriors(machine, block), ROWS) for some in tracks]
    return np.stack(sums) / np.array([len(some) for some in tracks])[:, np.newaxis]


@dataclass(frozen=True)
class Ensemble:
    """Parts whose calibrated log posteriors are added, and the sharpness of the sum."""

    classes: tuple[str, ...]
    members: tuple[Part, ...]
    sharpness: float

    def part_scores(self, tracks: Mapping[str, Sequence[np.ndarray]]) -> dict[str, np.ndarray]:
        """Return calibrated log posteriors (num_tracks, C) of every part, by name, of its tracks' vectors."""
        return {part.name: part.scores(tracks[part.name]) for part in self.members}

    def fused(self, scores: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the log posteriors (num_tracks, C) of the sum of the parts' scores."""
        total = np.sum([scores[part.name] for part in self.members], axis=0)
        if total.shape[-1] != len(self.classes):
            raise ValueError(f"scores of {total.shape[-1]} classes instead of {len(self.classes)}")
        return calibrate(total, self.sharpness)

    def classify(self, frames: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return log posteriors (C,) of a track: frames by kind, posteriors of networks among them."""
        vectors = {part.name: [part.vectors(frames[part.feats])] for part in self.members}
        return self.fused(self.part_scores(vectors))[0]


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


def read_pieces(
    reference: Reference, parts: Sequence[Part], posteriors: str = ""
) -> dict[str, list[np.ndarray]]:
    """Read each archive of frames once and return each track's vectors by the parts that are made of it."""
    found: dict[str, dict[str, np.ndarray]] = {part.name: {} for part in parts}
    for feats in sorted({part.feats for part in parts}):
        for utt, frames in read_frames(reference, feats, posteriors):
            for part in parts:
                if part.feats == feats:
                    found[part.name][utt] = part.vectors(frames)
    return {name: [vectors[utt] for utt in reference.genre] for name, vectors in found.items()}


def write_ensemble(path: Path, ensemble: Ensemble) -> None:
    """Write the npz: named arrays and JSON, the same bytes for the same system."""
    parts = [asdict(replace(part, arrays={})) for part in ensemble.members]
    arrays = {f"{part.name}/{key}": part.arrays[key] for part in ensemble.members for key in part.arrays}
    system = [ensemble.classes, ensemble.sharpness, parts]
    write_arrays(path, {"system": np.array(json.dumps(system)), **arrays})


def read_ensemble(path: str | Path) -> Ensemble:
    """Read the npz back, of which nothing is executed; UserError if it is none."""

    def build(values: dict[str, np.ndarray]) -> Ensemble:
        classes, sharpness, facts = json.loads(str(values.pop("system")))
        for fact in facts:
            own = [name for name in values if name.startswith(f"{fact['name']}/")]
            fact["arrays"] = {name.partition("/")[2]: values[name] for name in own}
            if fact["statistics"] != NETWORK:
                check_shapes(fact["arrays"], SHAPES, classes=len(classes))
        return Ensemble(tuple(classes), tuple(Part(**fact) for fact in facts), sharpness)

    return read_model(path, "a fused system", build)
