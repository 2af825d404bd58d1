"""What a network with its SVMs says about one recording, with the functions that the recipe's stages use."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from steps import scattering
from steps.audio import convert_track
from steps.classify.system import System
from steps.nnet1.forward import Forward
from steps.nnet1.model_file import read_network
from steps.nnet1.net import Net
from steps.scattering.wav import open_wav
from steps.scoring import segment
from steps.scoring.svm import LinearSvm, read_svm
from steps.scoring.votes import vote
from utils.cli import UserError

RULES = ("vote", "mean", "lstm", "fusion")


@dataclass(frozen=True)
class Answer:
    """The index of a track's class, a probability for each, and the posteriors of its frames."""

    genre: int
    probabilities: np.ndarray
    posteriors: np.ndarray


class Classifier:
    """A network and the SVMs on its posteriors, read from a system's parts."""

    def __init__(self, system: System, rule: str = "", device: torch.device | str = "cpu") -> None:
        self.system, self.device = system, device
        have = [name for name in ("lstm", "fusion") if f"svm_{name}.npz" in system.parts]
        self.rule = rule or (have[-1] if have else "vote")
        self.svm: LinearSvm | None = None
        with tempfile.TemporaryDirectory() as folder:
            for name, data in system.parts.items():
                Path(folder, name).write_bytes(data)
            network = Net(read_network(f"{folder}/final_test.nnet"), device)
            transform = Net(read_network(f"{folder}/feature_transform.nnet"), device)
            if self.rule in ("lstm", "fusion"):
                if self.rule not in have:
                    raise UserError(f"the system has no SVM on f_{self.rule}; choose --rule vote or mean")
                self.svm = read_svm(f"{folder}/svm_{self.rule}.npz")
        classes, dims = len(system.classes), network.network.input_dim
        wanted = {"lstm": 4 * classes, "fusion": 4 * classes + dims}.get(self.rule)
        if network.network.output_dim != classes or transform.network.output_dim != dims:
            raise UserError(f"the system's network, transform and {classes} classes do not fit each other")
        if self.svm and (self.svm.classes != system.classes or self.svm.dim != wanted):
            raise UserError(f"the system's SVM on f_{self.rule} does not fit its network and classes")
        self.forward = Forward(network, transform)

    def answer(self, path: Path) -> Answer:
        """Classify one recording.

        Raises
        ------
        UserError
            If it cannot be read, or is shorter than a frame.
        """
        rate = self.system.audio.sample_rate
        with tempfile.TemporaryDirectory() as folder:
            convert_track(path, f"{folder}/x.wav", self.system.audio)
            with open_wav(f"{folder}/x.wav", rate, str(path)) as signal:
                feats = scattering.features(signal, self.system.scattering, device=self.device)
        feats = feats.astype(np.float32, copy=False)
        ((_, post),) = self.forward.all([(str(path), feats)])
        return Answer(*self.decide(feats, post), post)

    def decide(self, feats: np.ndarray, post: np.ndarray) -> tuple[int, np.ndarray]:
        """Return the class and the probabilities [classes]: of an SVM, the softmax of its scores."""
        if self.rule == "vote":
            counted = vote(post)
            return int(counted.majority), np.asarray(counted.shares)
        if self.svm is None:
            mean = post.astype(np.float64).mean(axis=0)
            return int(mean.argmax()), mean
        vector = segment.posterior_statistics(post, self.svm.k)
        if self.rule == "fusion":
            vector = segment.fusion(segment.mean_frame(feats), vector)
        scores = self.svm.scores(vector.astype(np.float32)[None])[0]
        odds = np.exp(scores - scores.max())
        return int(scores.argmax()), odds / odds.sum()
