"""The fused system as a whole: training on all parts, classification of new tracks, and its npz file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steps.arrays import read_model, write_arrays
from steps.classifiers import lda, machines
from steps.classifiers.calibration import calibrate, fit_sharpness
from steps.classifiers.ensemble import (
    LDA,
    Folds,
    Pieces,
    choose_parts,
    choose_shrinkage,
    fits,
    fuse,
    held_out,
)
from steps.classifiers.pieces import piece_vectors

if TYPE_CHECKING:
    from steps.classifiers.networks import TrackNetworks

FORMAT = 3
DESCRIPTION = ("name", "feats", "frames", "statistics", "classifier")
"""What says which part of a system one is."""
NETWORK = "network"
"""Of a part with networks, in place of statistics."""
POSTERIORS = "post_"
"""Before the name of a network of the recipe whose posteriors are a part's frames."""


@dataclass(frozen=True)
class Part:
    """An LDA on statistics of pieces of one kind of frames, or networks that see whole tracks of them."""

    name: str
    feats: str
    """Which frames: the name of their script file without ``.scp``, or posteriors, ``post_<network>``."""
    frames: float  # length of a piece; 0 stands for the whole track
    statistics: str
    """See :func:`steps.classifiers.pieces.piece_vectors`; ``network`` where there are networks."""
    classifier: str = LDA  # one of :data:`steps.classifiers.ensemble.CLASSIFIERS`
    projection: np.ndarray | None = field(default=None, compare=False)
    """Of the training frames, where the order of frames is among the statistics; (dim, dims)."""
    networks: "TrackNetworks | None" = field(default=None, compare=False)

    @property
    def network(self) -> str:
        """The network of the recipe whose posteriors are the frames; empty if they are features."""
        return self.feats.removeprefix(POSTERIORS) if self.feats.startswith(POSTERIORS) else ""

    def vectors(self, frames: np.ndarray) -> np.ndarray:
        """Return the vectors of a track's pieces, (pieces, dim); of networks log posteriors, (1, C)."""
        if self.networks is not None:
            return self.networks.log_posteriors(frames)[np.newaxis]
        return piece_vectors(frames, self.frames, self.statistics, self.projection)


@dataclass(frozen=True)
class Member:
    """A part as it was trained; without a model it takes log posteriors, of networks or from elsewhere."""

    name: str
    sharpness: float
    shrinkage: float = 0.0  # of an LDA; the cost of another classifier
    part: Part | None = None
    model: lda.Linear | machines.Kernel | None = None

    @property
    def network(self) -> str:
        """The network of the recipe whose posteriors it takes; empty if it takes features."""
        return self.part.network if self.part else self.name


@dataclass(frozen=True)
class Ensemble:
    """Members whose calibrated log posteriors are added, and the sharpness of the sum."""

    classes: tuple[str, ...]
    members: tuple[Member, ...]
    sharpness: float

    def part_scores(self, tracks: Mapping[str, Pieces | np.ndarray]) -> dict[str, np.ndarray]:
        """Return calibrated log posteriors (num_tracks, C) of every member, of vectors or given ones."""
        found = {}
        for member in self.members:
            given = tracks[member.name]
            if isinstance(given, Pieces):
                model = member.model
                alone = [one.log_posteriors(model) for one in given.alone()] if model else [given.vectors]
                scores = np.concatenate(alone)
            else:
                scores = given
            found[member.name] = calibrate(scores, member.sharpness)
        return found

    def log_posteriors(self, tracks: Mapping[str, Pieces | np.ndarray]) -> np.ndarray:
        """Return the log posteriors (num_tracks, C) of the sum; see :meth:`part_scores`."""
        return calibrate(np.sum(list(self.part_scores(tracks).values()), axis=0), self.sharpness)

    def classify(self, frames: Mapping[str, np.ndarray], posteriors: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return log posteriors (C,) of a track: frames by kind, mean log posteriors by network."""
        tracks: dict[str, Pieces | np.ndarray] = {}
        for member in self.members:
            if member.part is None:
                tracks[member.name] = posteriors[member.name][np.newaxis]
            else:
                vectors = member.part.vectors(frames[member.part.feats])
                tracks[member.name] = Pieces(vectors, np.array([len(vectors)]))
        return self.log_posteriors(tracks)[0]


@dataclass(frozen=True)
class Trained:
    """What training gives: the system, and the out-of-fold scores behind its choices."""

    ensemble: Ensemble
    out_of_fold: dict[str, np.ndarray]  # calibrated log posteriors (num_tracks, C) of every part, kept or not
    candidates: tuple[Member, ...]  # every part, kept or not


def train(
    parts: Sequence[Part],
    tracks: Mapping[str, Pieces | np.ndarray],
    labels: np.ndarray,
    classes: Sequence[str],
    folds: Folds,
    grid: Sequence[float],
    doubts: Mapping[str, float],
    costs: Sequence[float] = (0.01, 0.1, 1.0, 10.0),
) -> Trained:
    """Choose settings and parts on held-out tracks, train on all; arrays are out-of-fold log posteriors."""
    by_name = {part.name: part for part in parts}
    members, scores = {}, {}
    for name, given in tracks.items():
        if not isinstance(given, Pieces):
            sharpness = fit_sharpness(given, labels)
            members[name] = Member(name, sharpness, part=by_name.get(name))
            scores[name] = calibrate(given, sharpness)
            continue
        classifier = by_name[name].classifier
        values = grid if classifier == LDA else costs
        found = held_out(given, labels, len(classes), folds, values, classifier)
        best, sharpness = choose_shrinkage(found, labels)
        (model,) = fits(given, labels, len(classes), values[best : best + 1], classifier)
        members[name] = Member(name, sharpness, values[best], by_name[name], model)
        scores[name] = calibrate(found[best], sharpness)
    kept = choose_parts(scores, labels, doubts)
    _, sharpness = fuse(scores, kept, labels)
    system = Ensemble(tuple(classes), tuple(members[name] for name in kept), sharpness)
    return Trained(system, scores, tuple(members.values()))


def cross_calibrated(
    scores: Mapping[str, np.ndarray], labels: np.ndarray, folds: Folds, doubts: Mapping[str, float]
) -> np.ndarray:
    """Return log posteriors (num_tracks, C) of the sum, its parts and sharpness chosen on the other folds."""
    found = np.zeros_like(next(iter(scores.values())))
    for train_tracks, held in folds:
        others = {name: score[train_tracks] for name, score in scores.items()}
        kept = choose_parts(others, labels[train_tracks], doubts)
        _, sharpness = fuse(others, kept, labels[train_tracks])
        found[held] = calibrate(np.sum([scores[name][held] for name in kept], axis=0), sharpness)
    return found


def write_ensemble(path: Path, ensemble: Ensemble) -> None:
    """Write the npz: named arrays and JSON, the same bytes for the same system."""
    members: list[list] = []
    arrays: dict[str, np.ndarray] = {}
    for member in ensemble.members:
        part = member.part
        about = {name: getattr(part, name) for name in DESCRIPTION} if part else None
        members.append([member.name, member.sharpness, member.shrinkage, about])
        own = dict(vars(member.model)) if member.model else {}
        if part and part.networks:
            own |= part.networks.arrays
        if part and part.projection is not None:
            own["projection"] = part.projection
        arrays |= {f"{member.name}/{name}": array for name, array in own.items()}
    system = [FORMAT, ensemble.classes, ensemble.sharpness, members]
    write_arrays(path, {"system": np.array(json.dumps(system)), **arrays})


def _member(
    own: dict[str, np.ndarray],
    num_classes: int,
    name: str,
    sharpness: float,
    shrinkage: float,
    facts: dict | None,
) -> Member:
    if facts is None:
        return Member(name, sharpness, shrinkage)
    part = Part(**facts, projection=own.pop("projection", None))
    if part.statistics == NETWORK:
        from steps.classifiers.networks import TrackNetworks

        networks = TrackNetworks(part.feats, own)
        if {len(network.leave.bias) for network in networks.networks} != {num_classes}:
            raise ValueError(f"the networks of part '{name}' do not fit {num_classes} classes")
        return Member(name, sharpness, shrinkage, replace(part, networks=networks))
    model = machines.Kernel(**own) if "support" in own else lda.Linear(**own)
    columns = model.weight.shape[1] if isinstance(model, machines.Kernel) else model.weight.shape[0]
    if model.weight.ndim != 2 or (columns,) != model.bias.shape or columns != num_classes:
        raise ValueError(f"the shapes of part '{name}' do not fit {num_classes} classes")
    return Member(name, sharpness, shrinkage, part, model)


def read_ensemble(path: str | Path) -> Ensemble:
    """Read the npz back, of which nothing is executed; UserError if it is none."""

    def build(values: dict[str, np.ndarray]) -> Ensemble:
        number, classes, sharpness, members = json.loads(str(values.pop("system")))
        if number != FORMAT:
            raise ValueError(f"format {number} instead of {FORMAT}")
        arrays: dict[str, dict[str, np.ndarray]] = {}
        for name, array in values.items():
            owner, _, key = name.partition("/")
            arrays.setdefault(owner, {})[key] = array
        found = (_member(arrays.get(facts[0], {}), len(classes), *facts) for facts in members)
        return Ensemble(tuple(classes), tuple(found), sharpness)

    return read_model(path, "a fused system", build)
