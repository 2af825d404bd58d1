"""The five published systems: their mathematics on made signals and made features."""

import mmap
import tracemalloc
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from steps import archive, mapped
from steps.arrays import check_shapes, read_model, write_arrays
from steps.systems import hol2008, lee2009, leo2012, registry, sig2014, son2008, spectra
from steps.systems.tracks import Tracks
from utils.cli import KaldiParser, UserError

RATE = spectra.SAMPLE_RATE


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


def options(name: str, *words: str) -> Namespace:
    return registry.parse(KaldiParser("", ""), ["--system", name, *words])


def make_tracks(features: dict[str, list[np.ndarray]], labels, classes=("a", "b", "c"), first=0) -> Tracks:
    """Return tracks u<first>, …; the features are those of all tracks from u000 on."""
    utts = [f"u{i:03d}" for i in range(first, first + len(labels))]
    sources = {
        kind: {utt: matrix.astype(np.float32) for utt, matrix in zip(utts, matrices[first:], strict=False)}
        for kind, matrices in features.items()
    }
    return Tracks(Path("train"), tuple(classes), dict(zip(utts, labels, strict=True)), utts, sources)


# Frames and filters


def test_frames_do_not_depend_on_blocks(monkeypatch):
    signal = noise(2.0)
    whole = np.concatenate(list(spectra.frame_blocks(signal, 512, 256, pre_emphasis=0.95)))
    assert whole.shape == (spectra.num_frames(len(signal), 512, 256), 512)
    monkeypatch.setattr(spectra, "BLOCK", 7)
    assert np.array_equal(
        np.concatenate(list(spectra.frame_blocks(signal, 512, 256, pre_emphasis=0.95))), whole
    )
    direct = 32768 * signal.astype(np.float64)
    direct[1:] -= 0.95 * direct[:-1].copy()
    assert np.allclose(whole[3], direct[768:1280], atol=0.05)


def test_lee2009_has_the_published_filters_and_dimensions():
    assert lee2009.MEL_FILTERS.shape == (257, 25)
    peaks = lee2009.MEL_FILTERS.argmax(axis=0) * RATE / 512
    assert peaks[0] == pytest.approx(100, abs=RATE / 512) and peaks[-1] == pytest.approx(8000, abs=RATE / 512)
    assert np.diff(lee2009.OCTAVE_EDGES).tolist() == [1, 2, 2, 5, 9, 19, 37, 74, 108]
    sizes = [part.stop - part.start for part in lee2009.part_slices().values()]
    assert sizes == [112, 104, 100, 316]
    features = lee2009.features(noise(7.0), Namespace(), {})["modulation"]
    assert features.shape == (1, 316) and np.isfinite(features).all()


def test_the_modulation_spectrum_of_a_tremolo_peaks_at_its_rate():
    rate = RATE / 256
    bin_wanted = 48  # 48 / 512 of the frame rate: 8.07 Hz
    tremolo = 1.0 + 0.8 * np.cos(2 * np.pi * bin_wanted / 512 * rate * np.arange(8 * RATE) / RATE)
    spectrum = lee2009.modulation_spectrum(lee2009.frame_features(noise(8.0) * tremolo))
    assert spectrum.shape == (256, 55)
    assert spectrum[5:, 0].argmax() + 5 == bin_wanted


# hol2008


def test_the_objective_of_the_factorisation_never_rises():
    v = torch.rand(4, 30, 50, generator=torch.Generator().manual_seed(1)) ** 3
    losses = []
    for iterations in range(1, 30):
        w, h = hol2008.factorise(v, 3, iterations)
        losses.append(hol2008.divergence(v, torch.bmm(w, h) + 1e-10))
    steps = torch.stack(losses).diff(dim=0)
    assert (steps <= 1e-3 * losses[0]).all() and (steps.sum(dim=0) < 0).all()


def test_mixture_likelihoods_are_those_of_scikit_learn():
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(0)
    rows = rng.standard_normal((300, 4)) + rng.integers(0, 2, (300, 1)) * 4
    mixture = GaussianMixture(3, covariance_type="diag", random_state=0).fit(rows)
    ours = hol2008.log_likelihoods(rows, mixture.weights_, mixture.means_, mixture.covariances_)
    assert np.allclose(ours, mixture.score_samples(rows), atol=1e-8)


# leo2012


def test_symmetric_divergence_of_known_gaussians():
    def gaussian(mean, variances):
        return np.concatenate([[mean], np.diag(variances)]).astype(float)[np.newaxis]

    a, b = gaussian([0, 0], [1, 1]), gaussian([3, 0], [4, 1])
    # KL(a|b) = 1/2 (1/4 + 9/4 - 1 + ln 4), KL(b|a) = 1/2 (4 + 9 - 1 - ln 4) in the first dimension
    expected = 0.5 * (0.5 * (1 / 4 + 9 / 4 - 1 + np.log(4)) + 0.5 * (4 + 9 - 1 - np.log(4)))
    assert leo2012.symmetric_divergence(a, b)[0, 0] == pytest.approx(expected)
    both = np.concatenate([a, b])
    matrix = leo2012.symmetric_divergence(both, both)
    assert np.allclose(matrix, matrix.T) and np.allclose(np.diag(matrix), 0.0)


def test_fastmap_keeps_the_distances_of_euclidean_points():
    points = np.random.default_rng(0).standard_normal((40, 3))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    coordinates, pivots = leo2012.fastmap(distances, 40, seed=0)
    assert coordinates.shape == (40, 3) and pivots.shape == (3, 2)
    assert np.allclose(np.linalg.norm(coordinates[:, None] - coordinates, axis=2), distances, atol=1e-6)
    new = np.random.default_rng(1).standard_normal((5, 3))
    projected = leo2012.project(
        np.linalg.norm(new[:, None, None] - points[pivots], axis=3), coordinates, pivots
    )
    expected = np.linalg.norm(new[:, None] - points, axis=2)
    assert np.allclose(np.linalg.norm(projected[:, None] - coordinates, axis=2), expected, atol=1e-6)


# son2008


def test_weights_learnt_by_em_prefer_the_informative_distance():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    place = labels[:, None] * 3.0 + rng.standard_normal((60, 1))
    useful = np.abs(place - place.T)
    useless = rng.random((60, 60))
    useless = useless + useless.T - np.diag(np.diag(useless + useless.T))
    scaled = np.stack([m / np.median(m[np.triu_indices(60, 1)]) for m in (useless, useful)])
    order = rng.permutation(60)
    known = labels[order].copy()
    known[40:] = -1
    weights = son2008.learn_weights(scaled[:, order][:, :, order], known, 3, 1e-3, 2.0)
    assert weights.sum() == pytest.approx(2.0) and weights[1] > 3 * weights[0]


def test_least_squares_without_a_laplacian_ignores_unlabelled_tracks():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((12, 2))
    kernel = np.exp(-np.linalg.norm(points[:, None] - points, axis=2))
    labels = np.concatenate([rng.integers(0, 2, 8), np.full(4, -1)])
    alone = kernel[:, :8] @ son2008.least_squares(kernel[:8, :8], labels[:8], 2, 1e-2)
    assert np.allclose(kernel @ son2008.least_squares(kernel, labels, 2, 1e-2), alone)
    smooth = kernel @ son2008.least_squares(kernel, labels, 2, 1e-2, 10.0)
    assert np.abs(smooth - alone).max() > 1e-3


# sig2014


def test_activations_are_statistics_of_the_network_over_windows():
    rng = np.random.default_rng(0)
    network = sig2014.make_network(8, 3, 0.25).eval()
    arrays = {"mean": rng.random(513).astype(np.float32), "deviation": np.full(513, 2.0, np.float32)}
    arrays |= {name: value.numpy() for name, value in network.state_dict().items()}
    signal = noise(13.0)
    found = sig2014.features(signal, options("sig2014"), arrays)["activations"]
    (frames,) = spectra.frame_blocks(signal, 1024, 512)
    spectrum = (sig2014.magnitudes(frames) - arrays["mean"]) / 2.0
    first = network[:2](torch.from_numpy(spectrum)).detach().numpy()
    assert found.shape == (1 + (len(frames) - 200) // 100, 2 * 3 * 8)
    assert np.allclose(found[1, :8], first[100:300].mean(axis=0), rtol=1e-3, atol=1e-5)
    assert np.allclose(found[1, 24:32], first[100:300].std(axis=0), rtol=1e-2, atol=1e-4)
    assert sig2014.features(signal[:2000], options("sig2014"), arrays)["activations"].shape == (1, 48)


def test_the_stored_forest_decides_as_scikit_learns():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 30)
    windows = [rng.standard_normal((4, 6)) + label for label in labels]
    tracks = make_tracks({"activations": windows}, labels)
    chosen = options("sig2014", "--num-trees=20")
    model = sig2014.fit(tracks, chosen)
    check_shapes(model, sig2014.SHAPES, classes=len(tracks.classes))
    forest = RandomForestClassifier(20, random_state=777).fit(
        np.concatenate(windows).astype(np.float32), np.repeat(labels, 4)
    )
    new = rng.standard_normal((50, 6)).astype(np.float32)
    assert np.allclose(sig2014.forest_shares(model, new), forest.predict_proba(new))


# What all have in common


@pytest.mark.parametrize("name", registry.NAMES)
def test_memory_does_not_grow_with_the_length_of_a_track(name, monkeypatch):
    sizes = ((mapped, "LARGEST", 1 << 16), (mapped, "ROWS", 256), (spectra, "BLOCK", 256))
    for module, size, value in (
        *sizes,
        (leo2012, "ROWS", 256),
        (son2008, "ROWS", 256),
        (hol2008, "TOGETHER", 32),
    ):
        monkeypatch.setattr(module, size, value)
    chosen = options(name, *(("--max-iters=2",) if name == "hol2008" else ()))
    arrays = {name: value.numpy() for name, value in sig2014.make_network(100, 3, 0.25).state_dict().items()}
    arrays |= {"mean": np.zeros(513, np.float32), "deviation": np.ones(513, np.float32)}
    peaks = []
    for signal in (noise(30.0), noise(300.0)):
        tracemalloc.start()
        found = registry.load(name).features(signal, chosen, arrays if name == "sig2014" else {})
        peaks.append(tracemalloc.get_traced_memory()[1])  # of NumPy's arrays, not of torch's and of files
        tracemalloc.stop()
        for matrix in found.values():
            assert matrix.nbytes <= 1 << 16 or isinstance(np.asarray(matrix).base, mmap.mmap)
    assert peaks[1] - peaks[0] < 1 << 19


def separable(name: str, rng: np.random.Generator, label: int) -> dict[str, np.ndarray]:
    signal = noise(7.0, int(rng.integers(1 << 30)), 0.05)
    tone = np.sin(2 * np.pi * (200 + 900 * label) * np.arange(len(signal)) / RATE)
    return registry.load(name).features((signal + 0.2 * tone).astype(np.float32), options(name), {})


@pytest.mark.parametrize("name", [name for name in registry.NAMES if name != "sig2014"])
def test_a_system_learns_classes_that_differ_by_timbre(tmp_path, name):
    rng = np.random.default_rng(0)
    labels = [0, 1, 2] * 6
    made = [separable(name, rng, label) for label in labels]
    system = registry.load(name)
    features = {kind: [item[kind] for item in made] for kind in system.KINDS}
    train, test = (make_tracks(features, labels[i : i + n], "abcd", i) for i, n in ((0, 12), (12, 6)))
    model = system.fit(train, options(name))
    check_shapes(model, system.SHAPES, classes=4)
    for cut in system.SHAPES.keys() & {key for key, array in model.items() if array.ndim}:
        with pytest.raises(ValueError, match="expected the shape"):
            check_shapes({**model, cut: model[cut][np.newaxis]}, system.SHAPES, classes=4)
    path = tmp_path / "model.npz"
    write_arrays(path, model)
    for scores_of, _ in system.SCORES.values():
        scores = scores_of(read_model(path, "a trained system", dict), test)
        assert scores.shape == (6, 4) and np.isfinite(scores).all()
        assert scores.argmax(axis=1).tolist() == labels[12:]
        assert (scores[:, 3] < scores.max(axis=1)).all()  # class d has no training track
    alone = [make_tracks(features, labels[i : i + 1], "abcd", i) for i in range(12, 18)]
    found = np.concatenate([system.scores(model, track) for track in alone])
    assert np.array_equal(found, system.scores(model, test))  # as classify.sh asks, with the same bits


def test_features_that_are_missing_unknown_or_not_finite_are_named(tmp_path):
    with archive.Writer(f"ark:{tmp_path}/x.ark") as writer:
        for utt, value in (("u000", 0), ("u001", np.nan)):
            writer.write(utt, np.full((1, 2), value, np.float32))
    for utts, message in (
        (["u000", "u001"], "x.ark: track 'u001'.*not finite"),
        (["u000", "u002"], "x.ark: utterance 'u00[12]'"),
        (["u000"], "x.ark: utterance 'u001'"),
    ):
        genre = dict.fromkeys(utts, 0)
        tracks = Tracks(Path("train"), ("a", "b"), genre, [], {"x": f"ark:{tmp_path}/x.ark"})
        with pytest.raises(UserError, match=message):
            tracks.stacked("x")


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_too_few_training_tracks_are_counted(labels):
    with pytest.raises(UserError, match=rf"train: .* got {labels.count(0)} of 'a'"):
        make_tracks({}, labels).require_spread()


@pytest.mark.parametrize("name", registry.NAMES)
@pytest.mark.parametrize("lonely", [np.zeros(3 * RATE, np.float32), noise(0.3), noise(0.0)])
def test_few_short_silent_empty_tracks_and_a_class_of_one_are_learnt(name, lonely):
    system, labels = registry.load(name), [0, 0, 0, 1]
    small = ("--num-units=4", "--max-epochs=2", "--num-trees=5") if name == "sig2014" else ()
    chosen, network = options(name, *small), {}
    signals = [noise(7.0), noise(0.3, 1), np.zeros(2 * RATE, np.float32), lonely]
    if name == "sig2014":
        frames = [system.features(signal, chosen, {})["frames"] for signal in signals]
        network = system.fit_network(make_tracks({"frames": frames}, labels), chosen)
    made = [system.features(signal, chosen, network) for signal in signals]
    tracks = make_tracks({kind: [item[kind] for item in made] for kind in system.KINDS}, labels)
    tracks.require_spread()
    model = system.fit(tracks, chosen)
    for scores_of, _ in system.SCORES.values():
        scores = scores_of(model, tracks)
        assert scores.shape == (4, 3) and np.isfinite(scores).all()
