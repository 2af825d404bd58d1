"""The decision of a trained system about one track, by the functions, and with the bits, of the recipe."""

import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steps import audio, compute_scattering, convert_audio
from steps.classifiers.model import POSTERIORS, read_ensemble
from steps.classify.parts import NETWORK, TrainedSystem
from steps.scattering import paths, wav
from steps.scoring import segment
from steps.scoring.svm import read_svm
from steps.systems import registry
from steps.systems.tracks import Tracks
from utils import cli
from utils.cli import UserError

RULES = ("vote", "mean")
MISFIT = (UserError, ValueError, KeyError, IndexError, TypeError, RuntimeError)
"""What is raised where the arrays of a system have other shapes than each other or the features."""


@dataclass(frozen=True)
class Decision:
    """What a system says of a track.

    Attributes
    ----------
    genre : int
        Number of the class.
    probabilities : float64 array of shape (C,)
        Of a network: the shares of frames that vote for each class, or their mean posteriors. Of what has no
        probabilities (SVMs, the published systems): the softmax of its scores.
    posteriors : float32 array of shape (num_frames, C), or None
        Of every frame, where a network has a part in it.
    frame_shift : float
        Seconds between frames.
    """

    genre: int
    probabilities: NDArray[np.float64]
    posteriors: NDArray[np.float32] | None = None
    frame_shift: float = 0.0


Frames = Mapping[str, NDArray[np.float32]]
"""What is computed of a track: matrices by the kind of features."""
SIDE_BY_SIDE = 16
"""Tracks whose posteriors are computed together: recurrent weights are read once for all of them."""
MAX_BYTES = 1 << 30
"""Of their frames, most of them not in memory (:mod:`steps.mapped`)."""


@dataclass(frozen=True)
class Steps:
    """How a system decides: frames of a WAV at its sample rate, posteriors of several tracks, decision."""

    read: Callable[[Path], Frames]
    conclude: Callable[[Frames, Mapping[str, NDArray]], Decision]
    networks: Mapping[str, Callable[[Sequence[NDArray]], list[NDArray]]] = field(default_factory=dict)


class Classifier:
    """A trained system, ready for recordings of any format.

    A network's frames decide by ``rule``: ``vote`` (the majority, as Seg_acc) or ``mean`` (posterior).
    Features and networks take ``num_threads`` of the CPU, whose number changes no bit.
    """

    def __init__(
        self, system: TrainedSystem, rule: str = "vote", use_gpu: str = "no", num_threads: int = 1
    ) -> None:
        self.classes = system.classes
        audio_options = read_options(convert_audio.get_parser(), system.parts["audio.conf"], 3)
        self.conversion = convert_audio.conversion(audio_options)
        if system.kind == "best":
            self.steps = open_best(system, use_gpu, num_threads)
        elif system.kind in registry.NAMES:
            self.steps = open_published(system, self.conversion.sample_rate, use_gpu)
        else:
            self.steps = open_frames(system, rule, use_gpu, num_threads)

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
                most = SIDE_BY_SIDE if self.steps.networks else 1
        yield from self._conclude(waiting)

    def _read(self, recording: Path) -> Frames | str:
        """Convert a recording into a WAV for a while; return its frames, or what is wrong with it."""
        with tempfile.TemporaryDirectory(prefix="classify-") as folder:
            path = Path(folder) / "track.wav"
            try:
                audio.convert_track(str(recording), path, self.conversion)
                return self.steps.read(path)
            except (UserError, OSError) as error:
                return str(error)
            except MISFIT as error:
                return f"the parts of the system do not fit each other: {error}"

    def _conclude(self, tracks: Sequence[Frames | str]) -> Iterator[Decision | str]:
        usable = [frames for frames in tracks if not isinstance(frames, str)]
        posts = {
            name: iter(run([frames["feats"] for frames in usable]))
            for name, run in self.steps.networks.items()
        }
        for frames in tracks:
            if isinstance(frames, str):
                yield frames
                continue
            try:
                decision = self.steps.conclude(frames, {name: next(each) for name, each in posts.items()})
                if not np.isfinite(decision.probabilities).all():
                    raise ValueError("a probability is not finite")
                yield decision
            except MISFIT as error:
                yield f"the parts of the system do not fit each other: {error}"


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


def open_published(system: TrainedSystem, sample_rate: int, use_gpu: str) -> Steps:
    """Return the decision of one of the systems of Table 4."""
    module = registry.load(system.kind)
    model = registry.read_arrays(system.parts["model.npz"])
    network = registry.read_arrays(system.parts["network.npz"]) if "network.npz" in system.parts else {}
    options = registry.read_options(system.kind, system.parts["system.conf"], use_gpu)
    scores_of = next(iter(module.SCORES.values()))

    def read(path: Path) -> Frames:
        with wav.open_wav(str(path), sample_rate, str(path)) as signal:
            found = module.features(signal, options, network)
        return {kind: matrix.astype(np.float32, copy=False) for kind, matrix in found.items()}

    def conclude(frames: Frames, _: Mapping[str, NDArray]) -> Decision:
        kinds = {kind: {"track": matrix} for kind, matrix in frames.items()}
        track = Tracks(["track"], system.classes, np.array([-1]), ["track"], kinds)
        scores = scores_of(model, track)[0]
        return Decision(int(scores.argmax()), softmax(scores))

    return Steps(read, conclude)


def open_best(system: TrainedSystem, use_gpu: str, num_threads: int) -> Steps:
    """Return the decision of ``best``; its probabilities are calibrated."""
    ensemble = read_ensemble(system.parts["best.npz"])
    if ensemble.classes != system.classes:
        raise UserError(f"{system.parts['best.npz']}: its classes are not those of genres.txt")
    device = compute_scattering.choose_device(use_gpu)
    scales = {}
    members = ensemble.members
    for feats in {"feats"} | {member.part.feats for member in members if member.part and not member.network}:
        name = f"scattering{feats.removeprefix('feats')}.conf"
        if name not in system.parts:
            raise UserError(f"{name} is missing, whose frames a part of the system reads")
        scales[feats] = read_options(compute_scattering.get_parser(), system.parts[name], 2)
        scales[feats].num_threads = num_threads
    chosen = compute_scattering.transform(scales["feats"])
    networks = {
        name: open_network(system, paths.num_dims(chosen), use_gpu, num_threads, f"network_{name}.nnet")
        for name in sorted({member.network for member in members if member.network})
    }

    def read(path: Path) -> Frames:
        with wav.open_wav(str(path), chosen.sample_rate, str(path)) as signal:
            features = compute_scattering.features_of
            return {feats: features(signal, options, device) for feats, options in scales.items()}

    def conclude(frames: Frames, posts: Mapping[str, NDArray]) -> Decision:
        means = {name: segment.vote(post).mean_log_posterior for name, post in posts.items()}
        of_networks = {f"{POSTERIORS}{name}": post for name, post in posts.items()}
        chances = np.exp(ensemble.classify({**frames, **of_networks}, means))
        first = next(iter(posts.values()), None)
        return Decision(int(chances.argmax()), chances / chances.sum(), first, chosen.frame_shift)

    return Steps(read, conclude, networks)


def open_network(
    system: TrainedSystem, dims: int, use_gpu: str, num_threads: int, part: str = NETWORK[1]
) -> Callable[[Sequence[NDArray]], list[NDArray]]:
    """Return what makes posteriors (num_frames, C) of the features (num_frames, dims) of some tracks."""
    from steps.nnet1.forward import Forward
    from steps.nnet1.model_file import read_network
    from steps.nnet1.options import open_device

    device = "cpu" if use_gpu == "no" else open_device(use_gpu)
    transform, network = (read_network(str(system.parts[name])) for name in (NETWORK[0], part))
    chain = (dims, transform.input_dim, transform.output_dim, network.input_dim)
    if chain[0] != chain[1] or chain[2] != chain[3] or network.output_dim != len(system.classes):
        raise UserError(
            f"features, transform and network do not fit: {chain}, {network.output_dim} outputs for "
            f"{len(system.classes)} classes"
        )
    forward = Forward(network, transform, device, num_threads)
    return lambda tracks: [post for _, post in forward.all((str(n), feats) for n, feats in enumerate(tracks))]


def open_frames(system: TrainedSystem, rule: str, use_gpu: str, num_threads: int) -> Steps:
    """Return the decision of a network, or of an SVM on segment features."""
    options = read_options(compute_scattering.get_parser(), system.parts["scattering.conf"], 2)
    options.num_threads = num_threads
    chosen = compute_scattering.transform(options)
    device = compute_scattering.choose_device(use_gpu)
    networks = (
        {"post": open_network(system, paths.num_dims(chosen), use_gpu, num_threads)}
        if NETWORK[0] in system.parts
        else {}
    )
    svm = read_svm(system.parts["svm.npz"]) if "svm.npz" in system.parts else None
    if svm and svm.classes != system.classes:
        raise UserError(f"{system.parts['svm.npz']}: its classes are not those of genres.txt")

    def read(path: Path) -> Frames:
        with wav.open_wav(str(path), chosen.sample_rate, str(path)) as signal:
            return {"feats": compute_scattering.features_of(signal, options, device)}

    def conclude(frames: Frames, posts: Mapping[str, NDArray]) -> Decision:
        post = posts.get("post")
        if svm is None and post is not None:
            counted = segment.vote(post)
            chances = counted.shares if rule == "vote" else counted.mean_posterior
            genre = counted.majority if rule == "vote" else int(chances.argmax())
            return Decision(genre, chances, post, chosen.frame_shift)
        if svm is None:
            raise UserError("the system has neither a network nor an SVM")
        parts = []
        if svm.kind in ("sc", "fusion"):
            parts.append(segment.mean_frame(frames["feats"]))
        if svm.kind in ("lstm", "fusion") and post is not None:
            parts.append(segment.posterior_statistics(post, svm.k))
        vector = np.concatenate(parts).astype(np.float32)  # as archives hold it
        if len(vector) != svm.dim:
            raise UserError(f"the SVM takes {svm.dim} values, {svm.kind} has {len(vector)}")
        scores = svm.scores(vector[np.newaxis].astype(np.float64))[0]
        return Decision(int(scores.argmax()), softmax(scores), post, chosen.frame_shift)

    return Steps(read, conclude, networks)
