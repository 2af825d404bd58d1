"""Utterances for training: features through the feature transform, targets and frame weights beside them.

What Kaldi leaves out is counted and warned of as Kaldi does; a class outside the network's outputs, or a
feature or weight that is no number, is an error that names utterance and frame.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from steps import archive
from steps.nnet1.components import check_features
from steps.nnet1.net import Net
from utils import cli
from utils.cli import UserError


class Utterance(NamedTuple):
    """Features [frames, dim] after the transform, targets [frames, classes], weights [frames]."""

    key: str
    feats: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


@dataclass
class Counts:
    """What became of the utterances of an epoch."""

    done: int = 0
    no_targets: int = 0
    other_errors: int = 0

    def __str__(self) -> str:
        others = f"{self.no_targets} with no tgt_mats, {self.other_errors} with other errors."
        return f"Done {self.done} files, {others}"


@dataclass
class TrainingData:
    """One pass over features and targets (rspecifiers); iterate again for the next epoch.

    Lengths that differ by less than ``length_tolerance`` are cut to the shortest. ``input_dim`` is before the
    transform, ``reading`` the seconds of reading, ``tables`` the utterances on GPUs, see ``feeds``.
    """

    feats: str
    targets: str
    input_dim: int
    num_classes: int
    transform: Net | None = None
    frame_weights: str = ""
    length_tolerance: int = 5
    max_frames: int = 360000
    allow_pipes: bool = False
    counts: Counts = field(default_factory=Counts)
    reading: float = 0.0
    tables: dict[torch.device, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Utterance]:
        """Yield the utterances that can be trained on, and count all of them."""
        self.counts, self.reading = Counts(), 0.0
        pipes = {"allow_pipes": self.allow_pipes}
        targets, weights = archive.RandomReader(self.targets, "posterior", **pipes), None
        if self.frame_weights:
            weights = archive.RandomReader(self.frame_weights, "vector", **pipes)
        started = time.monotonic()
        for key, feats in archive.read_matrices(self.feats, **pipes):
            target = targets.get(key)
            weight = np.ones(len(feats), np.float32) if weights is None else weights.get(key)
            if target is None:
                cli.warn(f"{key}, missing targets")
                self.counts.no_targets += 1
            elif reason := self._unfit(feats, target, weight):
                cli.warn(f"{key}, {reason}")
                self.counts.other_errors += 1
            else:
                self.counts.done += 1
                self.reading += time.monotonic() - started
                yield self._utterance(key, feats, target, weight)
                started = time.monotonic()

    def _unfit(self, feats: np.ndarray, posterior: Any, weights: np.ndarray | None) -> str:
        """Say why an utterance is left out, if it is."""
        if weights is None:
            return "missing per-frame weights"
        lengths = {"features": len(feats), "targets": len(posterior.offsets) - 1}
        if self.frame_weights:
            lengths["weights"] = len(weights)
        shortest, longest = min(lengths.values()), max(lengths.values())
        if len(feats) > self.max_frames:
            return f"skipped: it is too long, {len(feats)} frames (--max-frames={self.max_frames})"
        if not shortest:
            return "skipped: it is empty"
        if longest - shortest < max(self.length_tolerance, 1):
            return ""
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        return f"skipped: length mismatch: {told} frames"

    def _utterance(self, key: str, feats: np.ndarray, posterior: Any, weights: Any) -> Utterance:
        """Check one and cut it to what all of it has."""
        check_features(key, feats, self.input_dim)
        dense = torch.from_numpy(dense_targets(key, posterior, self.num_classes))
        bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
        if len(bad):
            where = f"weight {weights[bad[0]]:g} of frame {bad[0]} (from 0)"
            raise UserError(f"{key}: {where}; expected a finite number of at least 0")
        size = min(len(feats), len(dense), len(weights))
        x, weight = (
            torch.from_numpy(np.ascontiguousarray(values[:size], dtype=np.float32))
            for values in (feats, weights)
        )
        if self.transform is not None:
            x = self.transform.feedforward(x.to(self.transform.device))
        return Utterance(key, x, dense[:size], weight)


def dense_targets(key: str, posterior: Any, num_classes: int) -> np.ndarray:
    """Posterior arrays as a matrix [frames, num_classes] float32; equal classes in a frame add up."""
    classes, weights = posterior.classes, posterior.weights
    frames = np.repeat(np.arange(len(posterior.offsets) - 1), np.diff(posterior.offsets))
    outside = np.flatnonzero((classes < 0) | (classes >= num_classes))
    if len(outside):
        where = f"target class {classes[outside[0]]} in frame {frames[outside[0]]} (from 0)"
        raise UserError(f"{key}: {where}, but the network has the classes 0 to {num_classes - 1}")
    if not np.isfinite(weights).all():
        raise UserError(f"{key}: a target weight is not a number")
    dense = np.zeros((len(posterior.offsets) - 1, num_classes), np.float32)
    np.add.at(dense, (frames, classes), weights)
    return dense
