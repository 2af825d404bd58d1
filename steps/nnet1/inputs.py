"""Utterances for training: features through the feature transform, targets and frame weights beside them.

An utterance without targets or of another length is counted and warned about as Kaldi does; a class outside
the network's outputs, or a feature or weight that is no number, is an error that names utterance and frame.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from steps import archive
from steps.nnet1 import components as nn
from steps.nnet1.model_file import read_network
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
            reason = (
                f"length mismatch: {', '.join(f'{name} {size}' for name, size in lengths.items())} frames"
            )
        if reason:
            cli.warn(f"{key}, skipped: {reason}")
            self.counts.other_errors += 1
            return None
        nn.check_features(key, feats, self.input_dim)
        x = torch.from_numpy(np.ascontiguousarray(feats[:shortest], dtype=np.float32))
        dense = torch.from_numpy(dense_targets(key, posterior, self.num_classes)[:shortest])
        weight = torch.ones(shortest) if weights is None else _checked(key, weights)[:shortest]
        if self.transform is not None:
            x = self.transform.feedforward(x.to(self.transform.device))
        return Utterance(key, x, dense, weight)


def _checked(key: str, weights: np.ndarray) -> torch.Tensor:
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        where = f"weight {weights[bad[0]]:g} of frame {bad[0]} (from 0)"
        raise UserError(f"{key}: {where}; expected a finite number of at least 0")
    return torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32))


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


def open_transform(path: str | Path, *, framewise: bool) -> Net:
    """Read a feature transform; a ``framewise`` one must not look at other frames."""
    transform = Net(read_network(path))
    for component in transform.network.components:
        if framewise and isinstance(component, nn.Splice | nn.TimeShift):
            raise UserError(
                f"{path}: <{component.kind}> would mix the streams that this trainer interleaves; delay the "
                "targets with --targets-delay, or splice the features before"
            )
    return transform


def check_streams(network: nn.Network, num_stream: int, model: str | Path) -> None:
    """Refuse a network that was made for another number of streams."""
    for index, component in enumerate(network.components, start=1):
        if isinstance(component, nn.LstmProjectedStreams) and component.num_stream != num_stream:
            raise UserError(
                f"{model}: component {index} was made for <NumStream> {component.num_stream}; "
                f"use --num-stream={component.num_stream} instead of {num_stream}"
            )
