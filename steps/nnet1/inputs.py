"""Utterances for training: features through the feature transform, targets and frame weights beside them.

What Kaldi leaves out is counted and warned of as Kaldi does; a class outside the network's outputs, or a
feature that is no number, is an error that names utterance and frame.
"""

from collections import Counter
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

    feats: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


@dataclass
class TrainingData:
    """One pass over features and targets (rspecifiers); iterate again for the next epoch.

    Lengths that differ by less than ``length_tolerance`` are cut to the shortest. ``input_dim`` is before the
    transform, ``counts`` what became of the utterances, ``tables`` those on GPUs, see ``feeds``.
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
    counts: Counter[str] = field(default_factory=Counter)
    tables: dict[torch.device, Any] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Columns of the features behind the transform."""
        return self.transform.network.output_dim if self.transform else self.input_dim

    def counted(self) -> str:
        """Return Kaldi's line about the utterances."""
        done, missing, others = (self.counts[name] for name in ("done", "no targets", "unfit"))
        return f"Done {done} files, {missing} with no tgt_mats, {others} with other errors."

    def __iter__(self) -> Iterator[Utterance]:
        """Yield the utterances that can be trained on, and count all of them."""
        self.counts = Counter()
        pipes = {"allow_pipes": self.allow_pipes}
        targets, weights = archive.RandomReader(self.targets, "posterior", **pipes), None
        if self.frame_weights:
            weights = archive.RandomReader(self.frame_weights, "vector", **pipes)
        for key, feats in archive.read_matrices(self.feats, **pipes):
            target = targets.get(key)
            weight = np.ones(len(feats), np.float32) if weights is None else weights.get(key)
            if target is None:
                cli.warn(f"{key}, missing targets")
                self.counts["no targets"] += 1
            elif reason := self._unfit(feats, target, weight):
                cli.warn(f"{key}, {reason}")
                self.counts["unfit"] += 1
            else:
                self.counts["done"] += 1
                yield self._utterance(key, feats, target, weight)

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
        size = min(len(feats), len(dense), len(weights))
        x, weight = (
            torch.from_numpy(np.ascontiguousarray(values[:size], dtype=np.float32))
            for values in (feats, weights)
        )
        if self.transform is not None:
            x = self.transform.propagate(x)
        return Utterance(x, dense[:size], weight)


def dense_targets(key: str, posterior: Any, num_classes: int) -> np.ndarray:
    """Posterior arrays as a matrix [frames, num_classes] float32; equal classes in a frame add up."""
    classes, weights = posterior.classes, posterior.weights
    frames = np.repeat(np.arange(len(posterior.offsets) - 1), np.diff(posterior.offsets))
    outside = np.flatnonzero((classes < 0) | (classes >= num_classes))
    if len(outside):
        where = f"target class {classes[outside[0]]} in frame {frames[outside[0]]} (from 0)"
        raise UserError(f"{key}: {where}, but the network has the classes 0 to {num_classes - 1}")
    dense = np.zeros((len(posterior.offsets) - 1, num_classes), np.float32)
    np.add.at(dense, (frames, classes), weights)
    return dense
