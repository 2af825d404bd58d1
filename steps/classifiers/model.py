"""The fused system as a whole: training on all parts, classification of new tracks, and its npz file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
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

FORMAT = 2
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
    networks: TrackNetworks | None = field(default=None, compare=False)

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
        """Return the calibrated log posteriors (num_tracks, C) of every member.

        ``tracks`` has for every member its vectors, or log posteriors (num_tracks, C) that come from
        elsewhere.
        """
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
        """Return the log posteriors (C,) of one track.

        ``frames`` (num_frames, dim) are by their kind, ``part.feats`` of the members; ``posteriors``, mean
        log frame posteriors (C,), by network, for members without a part.
        """
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
    """Choose shrinkages, costs and parts on held-out training tracks, and train on all of them.

    ``tracks`` has the vectors of every part; what else it has, out-of-fold log posteriors (num_tracks, C),
    comes from elsewhere. ``grid`` are shrinkages, ``costs`` for classifiers other than LDAs; ``doubts``: see
    :func:`steps.classifiers.ensemble.choose_parts`.
    """
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
    """Return log posteriors (num_tracks, C) of the sum for tracks that took no part in its choices either.

    Parts and sharpness of each fold are chosen on the out-of-fold scores of the other folds.
    """
    found = np.zeros_like(next(iter(scores.values())))
    for train_tracks, held in folds:
        others = {name: score[train_tracks] for name, score in scores.items()}
        kept = choose_parts(others, labels[train_tracks], doubts)
        _, sharpness = fuse(others, kept, labels[train_tracks])
        found[held] = calibrate(np.sum([scores[name][held] for name in kept], axis=0), sharpness)
    return found


def write_ensemble(path: Path, ensemble: Ensemble) -> None:
    """Write the npz: named arrays without pickle, the same bytes for the same system."""
    arrays: dict[str, np.ndarray] = {
        "format": np.array(FORMAT),
        "classes": np.array(ensemble.classes),
        "sharpness": np.array(ensemble.sharpness),
        "names": np.array([member.name for member in ensemble.members]),
        "numbers": np.array([[member.sharpness, member.shrinkage] for member in ensemble.members]),
    }
    for member in ensemble.members:
        if member.part is not None:
            arrays[f"{member.name}.feats"] = np.array(member.part.feats)
            arrays[f"{member.name}.statistics"] = np.array(member.part.statistics)
            arrays[f"{member.name}.classifier"] = np.array(member.part.classifier)
            arrays[f"{member.name}.frames"] = np.array(member.part.frames)
            if member.part.projection is not None:
                arrays[f"{member.name}.projection"] = member.part.projection
            if member.part.networks is not None:
                found = member.part.networks.arrays.items()
                arrays |= {f"{member.name}.networks.{key}": array for key, array in found}
        if member.model is not None:
            arrays |= {f"{member.name}.{key}": array for key, array in vars(member.model).items()}
    write_arrays(path, arrays)


def _member(values: Mapping[str, np.ndarray], name: str, sharpness: float, shrinkage: float) -> Member:
    if f"{name}.feats" not in values:
        return Member(name, sharpness, shrinkage)
    feats, statistics = str(values[f"{name}.feats"]), str(values[f"{name}.statistics"])
    frames, classifier = float(values[f"{name}.frames"]), str(values[f"{name}.classifier"])
    part = Part(name, feats, frames, statistics, classifier, values.get(f"{name}.projection"))
    if statistics == NETWORK:
        from steps.classifiers.networks import TrackNetworks

        start = f"{name}.networks."
        arrays = {key.removeprefix(start): array for key, array in values.items() if key.startswith(start)}
        networks = TrackNetworks(feats, arrays)
        if {len(network.leave.bias) for network in networks.networks} != {values["classes"].size}:
            raise ValueError(f"the networks of part '{name}' do not fit {values['classes'].size} classes")
        return Member(name, sharpness, shrinkage, replace(part, networks=networks))
    kind = machines.Kernel if f"{name}.support" in values else lda.Linear
    model = kind(**{item.name: values[f"{name}.{item.name}"] for item in fields(kind)})
    columns = model.weight.shape[1:] if isinstance(model, machines.Kernel) else model.weight.shape[:1]
    if columns != model.bias.shape or model.bias.shape != values["classes"].shape:
        raise ValueError(f"the shapes of part '{name}' do not fit {values['classes'].size} classes")
    return Member(name, sharpness, shrinkage, part, model)


def read_ensemble(path: str | Path) -> Ensemble:
    """Read the npz back; nothing in it is executed.

    UserError if the file is missing or is not one of :func:`write_ensemble`.
    """

    def build(values: dict[str, np.ndarray]) -> Ensemble:
        if int(values["format"]) != FORMAT:
            raise ValueError(f"format {values['format']} instead of {FORMAT}")
        rows = zip(values["names"], values["numbers"], strict=True)
        members = tuple(_member(values, str(name), float(row[0]), float(row[1])) for name, row in rows)
        classes = tuple(str(name) for name in values["classes"])
        return Ensemble(classes, members, float(values["sharpness"]))

    return read_model(path, "a fused system", build)
