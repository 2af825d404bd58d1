"""The decision of a trained system about one track, by the functions, and with the bits, of the recipe."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from steps import audio, compute_scattering, convert_audio
from steps.arrays import check_shapes, read_model
from steps.classifiers.model import POSTERIORS, Ensemble, read_ensemble
from steps.classify.parts import TRANSFORM, TrainedSystem
from steps.scattering import features, num_dims, wav
from steps.scoring import segment
from steps.scoring.svm import LinearSvm, read_svm
from steps.systems import registry
from steps.systems.tracks import Tracks
from utils.cli import KaldiParser, UserError, warn

MISFIT = (UserError, ValueError, KeyError, IndexError, TypeError, RuntimeError)
"""What is raised where the arrays of a system have other shapes than each other or the features."""
SIDE_BY_SIDE = 16
"""Tracks whose posteriors are computed together: recurrent weights are read once for all of them."""

Frames = Mapping[str, NDArray[np.float32]]
"""What is computed of a track: matrices by the kind of features, or posteriors (num_frames, C) by network."""
Verdict = tuple[int, NDArray[np.float64]]
"""The class and the probabilities (C,)."""
Decide = Callable[[Frames, Frames], Verdict]


class Decision(NamedTuple):
    """What a system says of a track.

    ``probabilities`` (C,) of a network are the shares of frames that vote for each class, or their mean
    posteriors; of what has none (SVMs, the published systems) the softmax of its scores. ``posteriors``
    (num_frames, C), ``frame_shift`` seconds apart, are of the network that has a part in it; else empty.
    """

    genre: int
    probabilities: NDArray[np.float64]
    posteriors: NDArray[np.float32]
    frame_shift: float


class Classifier:
    """A trained system, ready for recordings of any format.

    A network's frames decide by ``rule``: ``vote`` (the majority, as Seg_acc) or ``mean`` (posterior).
    Networks take ``num_threads`` of the CPU, whose number changes no bit.
    """

    def __init__(
        self,
        system: TrainedSystem,
        rule: str = "vote",
        use_gpu: str = "no",
        num_threads: int = 1,
        allow_truncated: bool = False,
    ) -> None:
        config = ["--config", str(system.parts["audio.conf"])]
        config += ["--allow-truncated", "true"] * allow_truncated
        options = convert_audio.get_parser().parse_args([*config, "-", "-", "-"])
        self.conversion = convert_audio.conversion(options)
        self.sample_rate, self.frame_shift = self.conversion.sample_rate, 0.0
        self.networks: dict[str, Callable[[Sequence[NDArray]], list[NDArray]]] = {}
        self.features: Callable[[wav.Samples], Frames]
        self.decide: Decide
        if system.kind in registry.NAMES:
            self.features, self.decide = open_published(system, use_gpu)
            return
        scales = {}
        for name, path in system.parts.items():
            if name.startswith("scattering"):
                kind = name.replace("scattering", "feats").removesuffix(".conf")
                options = compute_scattering.get_parser().parse_args(["--config", str(path), "-", "-"])
                scales[kind] = compute_scattering.feature_options(options, use_gpu)
        chosen = scales["feats"]["config"]
        self.sample_rate, self.frame_shift = chosen.sample_rate, chosen.frame_shift
        self.features = lambda signal: {kind: features(signal, **how) for kind, how in scales.items()}
        for name in system.networks:
            kind = name.removesuffix(".nnet").replace("network_", POSTERIORS)
            self.networks[kind] = open_network(system, name, num_dims(chosen), use_gpu, num_threads)
        if system.kind == "network":
            self.decide = partial(by_frames, rule)
            return
        (read, decide), part = MODELS[system.kind], system.parts[f"{system.kind}.npz"]
        model = read(part)
        if model.classes != system.classes:
            raise UserError(f"{part}: its classes are not those of genres.txt")
        self.decide = partial(decide, model)

    def classify(self, recordings: Iterable[Path], together: int = 1) -> Iterator[Decision | str]:
        """Yield for each recording, in their order, the decision, or why there is none.

        Networks take so many side by side, then more, which is faster and changes no bit.
        """
        left = iter(recordings)
        while some := [self._read(recording) for recording in islice(left, together)]:
            yield from self._conclude(some)
            together = min(2 * together, SIDE_BY_SIDE) if self.networks else 1

    def _read(self, recording: Path) -> Frames | str:
        """Convert a recording into a WAV for a while; return its frames, or what is wrong with it."""
        with tempfile.TemporaryDirectory(prefix="classify-") as folder:
            path = Path(folder) / "track.wav"
            try:
                for text in audio.convert_track(str(recording), path, self.conversion).warnings:
                    warn(f"{recording}: {text}")
                with wav.open_wav(str(path), self.sample_rate, str(path)) as signal:
                    return self.features(signal)
            except (OSError, *MISFIT) as error:
                return str(error)

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
                posteriors = next(iter(own.values()), np.empty((0, 0), np.float32))
                yield Decision(genre, probabilities, posteriors, self.frame_shift)


def by_scores(scores: NDArray) -> Verdict:
    """Return the class with the largest score, and as probabilities the softmax of the scores."""
    powers = np.exp(scores - scores.max())
    return int(scores.argmax()), powers / powers.sum()


def by_frames(rule: str, _: Frames, posts: Frames) -> Verdict:
    """Decide by the majority of a network's frames, or by their mean posterior."""
    found = segment.vote(*posts.values())
    by_mean = int(found.mean_posterior.argmax()), found.mean_posterior
    return (found.majority, found.shares) if rule == "vote" else by_mean


def by_svm(svm: LinearSvm, frames: Frames, posts: Frames) -> Verdict:
    """Decide by an SVM on segment features."""
    parts = [segment.mean_frame(frames["feats"])] if svm.kind in ("sc", "fusion") else []
    if svm.kind in ("lstm", "fusion"):
        parts.append(segment.posterior_statistics(posts["final_test"], svm.k))
    vector = np.concatenate(parts).astype(np.float32)  # as archives hold it
    return by_scores(svm.scores(vector[np.newaxis].astype(np.float64))[0])


def by_ensemble(ensemble: Ensemble, frames: Frames, posts: Frames) -> Verdict:
    """Decide as ``best``, whose probabilities are calibrated."""
    chances = np.exp(ensemble.classify({**frames, **posts}))
    return int(chances.argmax()), chances / chances.sum()


MODELS: dict[str, tuple[Callable, Callable]] = {
    "svm": (read_svm, by_svm),
    "best": (read_ensemble, by_ensemble),
}
"""How the model of a kind of system is read, and how it decides."""


def open_published(system: TrainedSystem, use_gpu: str) -> tuple[Callable[[wav.Samples], Frames], Decide]:
    """Return the features and the decision of one of the systems of Table 4."""
    module = registry.load(system.kind)
    model = read_model(system.parts["model.npz"], "a trained system", dict)
    network = read_model(path, "a network", dict) if (path := system.parts.get("network.npz")) else {}
    try:
        check_shapes({**model, **network}, module.SHAPES, classes=len(system.classes))
    except ValueError as error:
        raise UserError(f"the parts of the system do not fit each other: {error}") from error
    words = ["--system", system.kind, "--config", str(system.parts["system.conf"]), "--use-gpu", use_gpu]
    options = registry.parse(KaldiParser("", ""), words)
    scores_of, _note = next(iter(module.SCORES.values()))

    def features(signal: wav.Samples) -> Frames:
        found = module.features(signal, options, network)
        return {kind: matrix.astype(np.float32, copy=False) for kind, matrix in found.items()}

    def decide(frames: Frames, _: Frames) -> Verdict:
        kinds = {kind: {"track": matrix} for kind, matrix in frames.items()}
        track = Tracks(Path(), system.classes, {"track": -1}, ["track"], kinds)
        return by_scores(scores_of(model, track)[0])

    return features, decide


def open_network(
    system: TrainedSystem, part: str, dims: int, use_gpu: str, num_threads: int
) -> Callable[[Sequence[NDArray]], list[NDArray]]:
    """Return what makes posteriors (num_frames, C) of the features (num_frames, dims) of some tracks."""
    from steps.nnet1.components import Network
    from steps.nnet1.forward import Forward
    from steps.nnet1.model_file import read_network
    from steps.nnet1.options import open_device

    device = "cpu" if use_gpu == "no" else open_device(use_gpu)
    transform, network = (read_network(system.parts[name]) for name in (TRANSFORM, part))
    chain = Network([*transform.components, *network.components])
    if (got := (chain.input_dim, chain.output_dim)) != (expected := (dims, len(system.classes))):
        raise UserError(f"{part}: expected {expected} inputs and outputs, features and classes, got {got}")
    forward = Forward(network, transform, device, num_threads)
    return lambda tracks: [post for _, post in forward.all((str(n), feats) for n, feats in enumerate(tracks))]
