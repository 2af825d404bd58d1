"""The decision of a trained system about one track, by the functions, and with the bits, of the recipe."""

import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from steps import audio, compute_scattering, convert_audio
from steps.classifiers.model import POSTERIORS, read_ensemble
from steps.classify.parts import TRANSFORM, TrainedSystem
from steps.scattering import num_dims, wav
from steps.scoring import segment
from steps.scoring.svm import read_svm
from steps.systems import registry
from steps.systems.tracks import Tracks
from utils import cli
from utils.cli import UserError

RULES = ("vote", "mean")
MISFIT = (UserError, ValueError, KeyError, IndexError, TypeError, RuntimeError)
"""What is raised where the arrays of a system have other shapes than each other or the features."""
SIDE_BY_SIDE = 16
"""Tracks whose posteriors are computed together: recurrent weights are read once for all of them."""
MAX_BYTES = 1 << 30
"""Of their frames, most of them not in memory (:mod:`steps.mapped`)."""

Frames = Mapping[str, NDArray[np.float32]]
"""What is computed of a track: matrices by the kind of features."""
Decide = Callable[[Frames, Mapping[str, NDArray]], tuple[int, NDArray[np.float64]]]
"""The class and the probabilities (C,) from frames and the posteriors (num_frames, C) of networks."""


class Decision(NamedTuple):
    """What a system says of a track.

    ``probabilities`` (C,) of a network are the shares of frames that vote for each class, or their mean
    posteriors; of what has none (SVMs, the published systems) the softmax of its scores. ``posteriors``
    (num_frames, C), ``frame_shift`` seconds apart, are there where a network has a part in it.
    """

    genre: int
    probabilities: NDArray[np.float64]
    posteriors: NDArray[np.float32] | None
    frame_shift: float


class Classifier:
    """A trained system, ready for recordings of any format.

    A network's frames decide by ``rule``: ``vote`` (the majority, as Seg_acc) or ``mean`` (posterior).
    Networks take ``num_threads`` of the CPU, whose number changes no bit.
    """

    def __init__(
        self, system: TrainedSystem, rule: str = "vote", use_gpu: str = "no", num_threads: int = 1
    ) -> None:
        self.classes = system.classes
        options = read_options(convert_audio.get_parser(), system.parts["audio.conf"], 3)
        self.conversion = convert_audio.conversion(options)
        self.sample_rate, self.frame_shift = self.conversion.sample_rate, 0.0
        self.features: Callable[[wav.Samples], Frames]
        self.networks: dict[str, Callable[[Sequence[NDArray]], list[NDArray]]] = {}
        self.decide: Decide
        if system.kind in registry.NAMES:
            self.features, self.decide = open_published(system, use_gpu)
            return
        scales = {}
        for name in system.parts:
            if name.startswith("scattering"):
                kind = name.replace("scattering", "feats").removesuffix(".conf")
                scales[kind] = read_options(compute_scattering.get_parser(), system.parts[name], 2)
        chosen = compute_scattering.transform(scales["feats"])
        self.sample_rate, self.frame_shift = chosen.sample_rate, chosen.frame_shift
        device = compute_scattering.choose_device(use_gpu)
        features_of = compute_scattering.features_of
        self.features = lambda signal: {kind: features_of(signal, scales[kind], device) for kind in scales}
        for name in system.networks:
            self.networks[name] = open_network(system, name, num_dims(chosen), use_gpu, num_threads)
        if system.kind == "network":
            self.decide = by_frames(rule)
        else:
            self.decide = open_best(system) if system.kind == "best" else open_svm(system)

    def classify(self, recordings: Iterable[Path]) -> Iterator[Decision | str]:
        """Yield for each recording, in their order, the decision, or why there is none.

        The first one comes alone; then networks take some side by side, which changes no bit.
        """
        waiting: list[Frames | str] = []
        size, most = 0, 1
        for recording in recordings:
            frames = self._read(recording)
            waiting.append(frames)
            size += 0 if isinstance(frames, str) else sum(matrix.nbytes for matrix in frames.values())
            if len(waiting) >= most or size > MAX_BYTES:
                yield from self._conclude(waiting)
                waiting, size = [], 0
                most = SIDE_BY_SIDE if self.networks else 1
        yield from self._conclude(waiting)

    def _read(self, recording: Path) -> Frames | str:
        """Convert a recording into a WAV for a while; return its frames, or what is wrong with it."""
        with tempfile.TemporaryDirectory(prefix="classify-") as folder:
            path = Path(folder) / "track.wav"
            try:
                audio.convert_track(str(recording), path, self.conversion)
                with wav.open_wav(str(path), self.sample_rate, str(path)) as signal:
                    return self.features(signal)
            except (UserError, OSError) as error:
                return str(error)
            except MISFIT as error:
                return f"the parts of the system do not fit each other: {error}"

    def _conclude(self, tracks: Sequence[Frames | str]) -> Iterator[Decision | str]:
        usable = [frames["feats"] for frames in tracks if not isinstance(frames, str) and self.networks]
        posts = {name: iter(run(usable)) for name, run in self.networks.items()}
        for frames in tracks:
            if isinstance(frames, str):
                yield frames
                continue
            own = {name: next(each) for name, each in posts.items()}
            try:
                genre, probabilities = self.decide(frames, own)
                if not np.isfinite(probabilities).all():
                    raise ValueError("a probability is not finite")
            except MISFIT as error:
                yield f"the parts of the system do not fit each other: {error}"
            else:
                yield Decision(genre, probabilities, next(iter(own.values()), None), self.frame_shift)


def read_options(parser: cli.KaldiParser, path: Path, num_arguments: int) -> Namespace:
    """Read a configuration of the system by the parser of the program that it is for."""
    try:
        return parser.parse_args(["--config", str(path), *["-"] * num_arguments])
    except SystemExit:
        raise UserError(f"{path}: not understood by this version of the recipe") from None


def softmax(scores: NDArray) -> NDArray[np.float64]:
    """Return scores as shares that add up to 1."""
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def by_frames(rule: str) -> Decide:
    """Return the decision by the majority of a network's frames, or by their mean posterior."""

    def decide(_: Frames, posts: Mapping[str, NDArray]) -> tuple[int, NDArray[np.float64]]:
        found = segment.vote(*posts.values())
        by_mean = int(found.mean_posterior.argmax()), found.mean_posterior
        return (found.majority, found.shares) if rule == "vote" else by_mean

    return decide


def open_svm(system: TrainedSystem) -> Decide:
    """Return the decision of an SVM on segment features."""
    svm = read_svm(system.parts["svm.npz"])
    if svm.classes != system.classes:
        raise UserError(f"{system.parts['svm.npz']}: its classes are not those of genres.txt")

    def decide(frames: Frames, posts: Mapping[str, NDArray]) -> tuple[int, NDArray[np.float64]]:
        parts = [segment.mean_frame(frames["feats"])] if svm.kind in ("sc", "fusion") else []
        if svm.kind in ("lstm", "fusion"):
            parts.append(segment.posterior_statistics(posts["final_test.nnet"], svm.k))
        vector = np.concatenate(parts).astype(np.float32)  # as archives hold it
        if len(vector) != svm.dim:
            raise UserError(f"the SVM takes {svm.dim} values, {svm.kind} has {len(vector)}")
        scores = svm.scores(vector[np.newaxis].astype(np.float64))[0]
        return int(scores.argmax()), softmax(scores)

    return decide


def open_best(system: TrainedSystem) -> Decide:
    """Return the decision of ``best``; its probabilities are calibrated."""
    ensemble = read_ensemble(system.parts["best.npz"])
    if ensemble.classes != system.classes:
        raise UserError(f"{system.parts['best.npz']}: its classes are not those of genres.txt")

    def decide(frames: Frames, posts: Mapping[str, NDArray]) -> tuple[int, NDArray[np.float64]]:
        of_networks = {file[len("network_") : -len(".nnet")]: post for file, post in posts.items()}
        every = {**frames, **{f"{POSTERIORS}{name}": post for name, post in of_networks.items()}}
        chances = np.exp(ensemble.classify(every))
        return int(chances.argmax()), chances / chances.sum()

    return decide


def open_published(system: TrainedSystem, use_gpu: str) -> tuple[Callable[[wav.Samples], Frames], Decide]:
    """Return the features and the decision of one of the systems of Table 4."""
    module = registry.load(system.kind)
    model = registry.read_arrays(system.parts["model.npz"])
    network = registry.read_arrays(system.parts["network.npz"]) if "network.npz" in system.parts else {}
    options = registry.read_options(system.kind, system.parts["system.conf"], use_gpu)
    scores_of, _note = next(iter(module.SCORES.values()))

    def features(signal: wav.Samples) -> Frames:
        found = module.features(signal, options, network)
        return {kind: matrix.astype(np.float32, copy=False) for kind, matrix in found.items()}

    def decide(frames: Frames, _: Mapping[str, NDArray]) -> tuple[int, NDArray[np.float64]]:
        kinds = {kind: {"track": matrix} for kind, matrix in frames.items()}
        track = Tracks(["track"], system.classes, np.array([-1]), ["track"], kinds)
        scores = scores_of(model, track)[0]
        return int(scores.argmax()), softmax(scores)

    return features, decide


def open_network(
    system: TrainedSystem, part: str, dims: int, use_gpu: str, num_threads: int
) -> Callable[[Sequence[NDArray]], list[NDArray]]:
    """Return what makes posteriors (num_frames, C) of the features (num_frames, dims) of some tracks."""
    from steps.nnet1.forward import Forward
    from steps.nnet1.model_file import read_network
    from steps.nnet1.options import open_device

    device = "cpu" if use_gpu == "no" else open_device(use_gpu)
    if TRANSFORM not in system.parts:
        raise UserError(f"{TRANSFORM} is missing, which {part} needs")
    transform, network = (read_network(str(system.parts[name])) for name in (TRANSFORM, part))
    chain = (dims, transform.input_dim, transform.output_dim, network.input_dim)
    if chain[0] != chain[1] or chain[2] != chain[3] or network.output_dim != len(system.classes):
        raise UserError(
            f"features, transform and network do not fit: {chain}, {network.output_dim} outputs for "
            f"{len(system.classes)} classes"
        )
    forward = Forward(network, transform, device, num_threads)
    return lambda tracks: [post for _, post in forward.all((str(n), feats) for n, feats in enumerate(tracks))]
