"""Shrinkage LDA, calibration, choice of parts: against scikit-learn, by hand, and on made data."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from steps.classifiers import cross_fit, ensemble, machines, model
from steps.classifiers.ensemble import fit_confidence, fit_sharpness, track_losses
from steps.classifiers.machines import log_posteriors, log_softmax
from steps.classifiers.model import calibrate
from steps.classifiers.pieces import MOVEMENTS, movements, order, piece_vectors

NUM_CLASSES = 3
FITS = (fit_sharpness, fit_confidence)


def clouds(seed: int, tracks: int = 60, dim: int = 8, pieces: int = 1, gap: float = 2.0):
    """Return vectors of tracks of three classes, with an offset a track; their tracks and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(tracks) % NUM_CLASSES
    centres = gap * rng.normal(size=(NUM_CLASSES, dim))[labels] + rng.normal(size=(tracks, dim))
    owner = np.repeat(np.arange(tracks), pieces)
    return centres[owner] + 0.3 * rng.normal(size=(len(owner), dim)), owner, labels


def test_piece_statistics_by_hand():
    frames = np.array([[1.0, 10.0], [3.0, 0.0], [5.0, 2.0], [5.0, 4.0]])
    found = piece_vectors(frames, 2, "mean+extremes+deviation+changes")
    np.testing.assert_allclose(found, [[2, 5, 1, 0, 3, 10, 1, 5, 2, 10], [5, 3, 5, 2, 5, 4, 0, 1, 0, 2]])
    quantiles = piece_vectors(np.arange(22.0)[:, np.newaxis], 11, "quantiles+changes")
    np.testing.assert_allclose(quantiles, [[1, 5, 9, 1], [12, 16, 20, 1]])


def walk(rng, num_frames=150, dim=24):
    """Return frames that go round a circle of their space, with noise."""
    angle = np.cumsum(0.4 + 0.1 * rng.normal(size=num_frames))
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return circle @ np.eye(2, dim) + 0.5 * rng.normal(size=(num_frames, dim)) + 3.0


def test_order_changes_its_sign_when_time_runs_backwards_and_nothing_else_does():
    rng = np.random.default_rng(11)
    tracks = [walk(rng) for _ in range(40)]
    projection = movements(tracks)
    assert projection.shape == (24, MOVEMENTS)
    one = tracks[0] @ projection
    same = np.eye(MOVEMENTS)
    np.testing.assert_allclose(order(one[::-1], same), -order(one, same), atol=1e-12)
    np.testing.assert_allclose(order(7 * one + 1, same), order(one, same), atol=1e-9)
    labels = np.arange(40) % 2
    frames = [track[:: 1 - 2 * label] for track, label in zip(tracks, labels, strict=True)]
    for statistics, low, high in (("order", 19, 20), ("mean+extremes+deviation", 0, 16)):
        vectors = [piece_vectors(f, 0, statistics, {"projection": projection}) for f in frames]
        (machine,) = machines.fit("lda", vectors[:20], labels[:20], 2, [0.5])
        found = log_posteriors(machine, np.concatenate(vectors[20:]))
        right = int((found.argmax(axis=1) == labels[20:]).sum())
        assert low <= right <= high


@pytest.mark.parametrize(("tracks", "dim"), [(60, 8), (12, 40)])
@pytest.mark.parametrize("shrinkage", [0.05, 0.4, 1.0])
def test_lda_is_scikit_learns_on_standardised_vectors(tracks, dim, shrinkage):
    vectors, _, labels = clouds(1, tracks, dim)
    vectors = (vectors - vectors.mean(axis=0)) * np.logspace(-2, 3, dim)
    within = vectors - np.stack([vectors[labels == c].mean(axis=0) for c in range(NUM_CLASSES)])[labels]
    scale = within.std(axis=0)
    # scikit-learn divides by the deviation over all vectors before it shrinks; with the columns whitened to a
    # deviation of one within classes both mean the same covariance, which is given here.
    covariance = (within / scale).T @ (within / scale) / tracks
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / dim * np.eye(dim)

    class Given:
        def fit(self, _vectors):
            self.covariance_ = shrunk
            return self

    peer = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Given())
    peer.fit(vectors / scale, labels)
    expected = peer.predict_log_proba(vectors / scale)
    far = vectors + 1e4  # where scikit-learn loses digits
    (machine,) = machines.fit("lda", far[:, np.newaxis], labels, NUM_CLASSES, [shrinkage])
    found_posteriors = log_posteriors(machine, far)
    close = expected > -30  # scikit-learn's are logarithms of rounded posteriors
    np.testing.assert_allclose(found_posteriors[close], expected[close], atol=1e-5)


def test_absent_class_is_never_the_hypothesis_and_constant_columns_count_nothing():
    vectors, _, labels = clouds(3)
    vectors[:, 2] = 7.0
    (machine,) = machines.fit("lda", vectors[:, np.newaxis], labels, NUM_CLASSES + 1, [0.2])
    posteriors = log_posteriors(machine, vectors)
    assert np.isfinite(posteriors).all()
    assert (posteriors.argmax(axis=1) < NUM_CLASSES).all()
    assert np.abs(machine["weight"][:NUM_CLASSES, 2]).max() < 1e-9


@pytest.mark.parametrize("fit", FITS)
def test_sharpness_undoes_a_known_factor(fit):
    rng = np.random.default_rng(4)
    truth = log_softmax(2 * rng.normal(size=(4000, NUM_CLASSES)))
    labels = (np.exp(truth).cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    factor = fit(8 * truth, labels)
    assert factor == pytest.approx(1 / 8, rel=0.1)
    probabilities = np.exp(calibrate(8 * truth, factor))
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    for low in (0.4, 0.6, 0.8):
        inside = (sure >= low) & (sure < low + 0.2)
        assert right[inside].mean() == pytest.approx(sure[inside].mean(), abs=0.06)


def noisy(labels, strength, seed):
    rng = np.random.default_rng(seed)
    return log_softmax(strength * np.eye(NUM_CLASSES)[labels] + rng.normal(size=(len(labels), NUM_CLASSES)))


def test_parts_that_say_nothing_or_the_same_leave():
    labels = np.arange(300) % NUM_CLASSES
    scores = {"good": noisy(labels, 2, 5), "noise": noisy(labels, 0, 6), "other": noisy(labels, 2, 7)}
    assert ensemble.choose_parts(scores, labels, dict.fromkeys(scores, 0.0)) == ["good", "other"]
    scores = {"good": scores["good"], "same": scores["good"] + 1e-9}
    assert len(ensemble.choose_parts(scores, labels, dict.fromkeys(scores, 1.0))) == 1


def split(num_tracks: int, folds: int = 4):
    index = np.arange(num_tracks)
    return [(index[index // 3 % folds != fold], index[index // 3 % folds == fold]) for fold in range(folds)]


def make(seed: int, gap: float):
    """Return vectors of two parts of tracks, log posteriors of a third, and labels."""
    first, _, labels = clouds(seed, pieces=3, gap=gap)
    second, _, _ = clouds(seed + 1, pieces=3, gap=gap)
    tracks = {name: v.astype(np.float32).reshape(-1, 3, 8) for name, v in (("a", first), ("b", second))}
    return {**tracks, "net": noisy(labels, 2, seed)[:, np.newaxis]}, labels


LOYAL = {"a": -1.0, "b": -1.0, "net": -1.0}
PARTS = (
    model.Part("a", "feats", 6.0, "order", arrays={"projection": np.eye(8, 3)}),
    model.Part("b", "feats_slow", 0.0, "extremes"),
    model.Part("net", "post_lstm", 0.0, model.VOTE),
)


def test_fused_system_beats_its_parts_and_its_file_says_the_same(tmp_path):
    tracks, labels = make(8, 0.35)
    names = ("x", "y", "z")
    trained = ensemble.train(PARTS, tracks, labels, names, split(len(labels)), (0.1, 0.5), LOYAL)
    held = ensemble.cross_calibrated(trained.out_of_fold, labels, split(len(labels)), LOYAL)
    loss = track_losses(held, labels).mean()
    assert loss < min(track_losses(score, labels).mean() for score in trained.out_of_fold.values())
    path = tmp_path / "best.npz"
    model.write_ensemble(path, trained.ensemble)
    again = model.read_ensemble(path)
    found, expected = (system.fused(system.part_scores(tracks)) for system in (again, trained.ensemble))
    np.testing.assert_array_equal(found, expected)
    assert again == trained.ensemble
    np.testing.assert_array_equal(again.members[0].arrays["projection"], np.eye(8, 3))
    first = path.read_bytes()
    model.write_ensemble(path, again)
    assert path.read_bytes() == first


def test_held_out_tracks_have_no_part_in_their_own_scores():
    tracks, labels = make(9, 0.35)
    folds = split(len(labels))
    given = tracks["a"]
    before = ensemble.held_out(given, labels, NUM_CLASSES, folds, (0.3,))
    train_tracks, held = folds[0]
    vectors = given.copy()
    vectors[held] += 5.0
    other = labels.copy()
    other[held] = (other[held] + 1) % NUM_CLASSES
    moved = ensemble.held_out(vectors, other, NUM_CLASSES, folds[:1], (0.3,))
    (machine,) = machines.fit("lda", given[train_tracks], labels[train_tracks], NUM_CLASSES, [0.3])
    expected = model.mean_log_posteriors(machine, vectors[held])
    np.testing.assert_allclose(moved[0, held], expected)
    assert not np.allclose(moved[0, held], before[0, held])


@pytest.mark.parametrize("kind", machines.KINDS[1:])
def test_machines_tell_what_they_can_and_survive_their_file(kind, tmp_path):
    vectors, _, labels = clouds(15, 90, pieces=3)
    if kind == "rbf":  # rings: no plane tells them apart
        rings = 1.0 + 2 * np.repeat(labels, 3)[:, np.newaxis]
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) * rings
    vectors[:, 3] = 7.0
    given = {"a": vectors.astype(np.float32).reshape(90, 3, -1)}
    part = model.Part("a", "feats", 6.0, "mean", kind)
    costs = (0.01, 1.0, 100.0)
    trained = ensemble.train([part], given, labels, ("x", "y", "z", "none"), split(90), (), LOYAL, costs)
    assert (trained.out_of_fold["a"].argmax(axis=1) == labels).mean() > 0.9
    model.write_ensemble(tmp_path / "best.npz", trained.ensemble)
    again = model.read_ensemble(tmp_path / "best.npz")
    assert again == trained.ensemble and again.members[0].classifier == kind
    found, expected = (system.fused(system.part_scores(given)) for system in (again, trained.ensemble))
    np.testing.assert_array_equal(found, expected)
    assert found[:, 3].max() < np.log(0.01)


def beats(seed: int, tracks: int = 36, num_frames: int = 20):
    """Return tracks of three classes: a mean of its own, or one circle walked in either direction."""
    rng = np.random.default_rng(seed)
    labels = np.arange(tracks) % NUM_CLASSES
    frames = []
    for label in labels:
        angle = rng.uniform(0, 6) + np.arange(num_frames) * (1 if label == 1 else -1)
        circle = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1) @ np.eye(2, 6)
        track = 0.3 * rng.normal(size=(num_frames, 6)) + (np.eye(6)[5] if label == 0 else circle)
        frames.append(track.astype(np.float32))
    return frames, labels


@pytest.mark.parametrize(("options", "least"), [({"memory": 8}, 30), ({"attention": 1}, 20), ({}, 20)])
def test_cross_fitted_networks_learn_and_survive_their_file(options, least, tmp_path):
    frames, labels = beats(14)
    learn = partial(cross_fit.cross_fit, lambda: frames)
    given = cross_fit.NetworkOptions(hidden=16, streams=9, crop=16, learn_rate=0.02, **options)
    folds = split(len(labels), 3)
    found, held = learn(labels, NUM_CLASSES, folds, replace(given, max_updates=100))
    assert (held.argmax(axis=1) == labels).sum() >= least
    assert ((held.argmax(axis=1) == 0) == (labels == 0)).sum() >= 34
    other = labels.copy()
    other[folds[0][1]] = (other[folds[0][1]] + 1) % NUM_CLASSES  # seen by the others' networks alone
    _, moved = learn(other, NUM_CLASSES, folds[:1], replace(given, max_updates=20))
    _, kept = learn(labels, NUM_CLASSES, folds[:1], replace(given, max_updates=20))
    np.testing.assert_array_equal(moved, kept)

    part = model.Part("net", "feats", 0.0, model.NETWORK, sharpness=0.9, arrays=found)
    path = tmp_path / "best.npz"
    model.write_ensemble(path, model.Ensemble(("x", "y", "z"), (part,), 1.0))
    restored = model.read_ensemble(path)
    logits = []
    for number in range(len(folds)):
        network = cross_fit.TrackNetwork(6, NUM_CLASSES, given).eval()
        state = {name: torch.from_numpy(array[number]) for name, array in found.items() if "." in name}
        network.load_state_dict(state)
        white = torch.from_numpy((frames[1] @ found["weight"].T + found["bias"]).astype(np.float32))
        logits.append(network(white[None])[0].detach().double().numpy())
    expected = calibrate(log_softmax(np.stack(logits)).mean(axis=0, keepdims=True), 0.9)[0]
    np.testing.assert_allclose(restored.classify({"feats": frames[1]}), expected, atol=1e-4)
