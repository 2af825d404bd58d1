"""Utterances for training: features through the feature transform, targets and frame weights beside them.

An utterance without targets or of another length is counted and warned about as Kaldi does; a class outside
the network's outputs, or a feature or weight that is no number, is an error that names utterance and frame.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from steps import archive
from steps.nnet1.checks import check_features, check_weights, dense_targets
from steps.nnet1.net import Net
from utils import cli


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
        return (
            f"Done {self.done} files, {self.no_targets} with no tgt_mats, "
            f"{self.other_errors} with other errors."
        )


@dataclass
class TrainingData:
    """One pass over features and targets (rspecifiers); iterate again for the next epoch.

    Features have ``input_dim`` columns before the transform. Features, targets and weights whose lengths
    differ by less than ``length_tolerance`` are cut to the shortest; utterances longer than ``max_frames``
    are left out. ``reading`` are the seconds of reading, ``tables`` the utterances on GPUs, see ``feeds``.
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
        source = self._read()
        while True:
            started = time.monotonic()
            item = next(source, None)
            self.reading += time.monotonic() - started
            if item is None:
                return
            utterance = self._prepare(*item)
            if utterance is not None:
                self.counts.done += 1
                yield utterance

    def _read(self) -> Iterator[tuple[str, np.ndarray, Any, np.ndarray | None]]:
        """Read features, targets and weights; an utterance that lacks some is counted."""
        pipes = {"allow_pipes": self.allow_pipes}
        targets, weights = archive.RandomReader(self.targets, "posterior", **pipes), None
        if self.frame_weights:
            weights = archive.RandomReader(self.frame_weights, "vector", **pipes)
        for key, feats in archive.read_matrices(self.feats, **pipes):
            target, weight = targets.get(key), None if weights is None else weights.get(key)
            if target is None:
                cli.warn(f"{key}, missing targets")
                self.counts.no_targets += 1
            elif weights is not None and weight is None:
                cli.warn(f"{key}, missing per-frame weights")
                self.counts.other_errors += 1
            else:
                yield key, feats, target, weight

    def _prepare(
        self, key: str, feats: np.ndarray, posterior: Any, weights: np.ndarray | None
    ) -> Utterance | None:
        """Check and cut one utterance; ``None`` if it is left out, which is counted."""
        lengths = {"features": len(feats), "targets": len(posterior.offsets) - 1}
        if weights is not None:
            lengths["weights"] = len(weights)
        shortest, longest = min(lengths.values()), max(lengths.values())
        reason = "" if shortest else "it is empty"
        if len(feats) > self.max_frames:
            reason = f"it is too long, {len(feats)} frames (--max-frames={self.max_frames})"
        elif shortest and longest - shortest >= max(self.length_tolerance, 1):
            parts = ", ".join(f"{name} {length}" for name, length in lengths.items())
            reason = f"length mismatch: {parts} frames"
        if reason:
            cli.warn(f"{key}, skipped: {reason}")
            self.counts.other_errors += 1
            return None
        check_features(key, feats, self.input_dim)
        x = torch.from_numpy(np.ascontiguousarray(feats[:shortest], dtype=np.float32))
        dense = torch.from_numpy(dense_targets(key, posterior, self.num_classes)[:shortest])
        weight = np.ones(shortest, np.float32) if weights is None else check_weights(key, weights)[:shortest]
        if self.transform is not None:
            x = self.transform.feedforward(x.to(self.transform.device))
        return Utterance(key, x, dense, torch.from_numpy(weight))
