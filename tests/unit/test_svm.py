"""The linear SVM: what it learns, how C is chosen, and its file."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from steps.scoring import svm_training
from steps.scoring.svm import read_svm, write_svm
from steps.scoring.svm_training import SvmOptions, fit, make_folds, train

CLASSES = ("a", "b", "c")
OPTIONS = SvmOptions(grid=(0.01, 0.1, 1.0))


def blobs(n=60, dim=5, seed=0, spread=0.5):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    vectors = 2.0 * np.eye(3, dim)[labels] + spread * rng.normal(size=(n, dim))
    artists = [f"artist{labels[i]}-{i // 6}" for i in range(n)]
    return vectors * 100.0 + 7.0, labels, artists


def test_it_learns_and_standardises():
    vectors, labels, artists = blobs()
    svm = train(vectors, labels, artists, CLASSES, OPTIONS)
    assert (svm.scores(vectors).argmax(axis=1) == labels).mean() > 0.95
    assert svm.mean == pytest.approx(vectors.mean(axis=0)) and svm.scale == pytest.approx(vectors.std(axis=0))
    assert svm.grouped and svm.folds == 5 and svm.num_train == 60


def test_fewer_vectors_than_dimensions_give_liblinears_own_weights():
    rng = np.random.default_rng(5)
    vectors, labels = rng.normal(size=(20, 50)), np.arange(20) % 3
    options = SvmOptions(tolerance=1e-8, max_iter=10_000)
    ours = fit(vectors, labels, 3, 0.1, options)
    machine = LinearSVC(C=0.1, dual=False, tol=1e-8, max_iter=10_000)
    machine.fit((vectors - ours.mean) / ours.scale, labels)
    assert ours.weight == pytest.approx(machine.coef_, abs=1e-5)
    assert ours.bias == pytest.approx(machine.intercept_, abs=1e-5)


def test_a_class_absent_from_a_fold_is_never_guessed():
    vectors, labels, _ = blobs()
    seen = labels != 1
    scores = fit(vectors[seen], labels[seen], 3, 1.0, OPTIONS).scores(vectors)
    assert not (scores.argmax(axis=1) == 1).any()


def test_c_is_the_best_on_held_out_tracks_and_of_equal_ones_the_better_balanced(monkeypatch):
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    guesses = {0.1: [0] * 8, 1.0: [0, 0, 1, 1, 1, 1, 0, 0], 10.0: [0, 0, 0, 0, 1, 1, 0, 0]}

    def fake_fit(_vectors, _labels, _num_classes, cost, _options):
        class Fake:
            def scores(self, held):
                return np.eye(2)[np.array(guesses[cost])[held[:, 0].astype(int)]]

        return Fake()

    monkeypatch.setattr(svm_training, "fit", fake_fit)
    vectors = np.arange(8.0)[:, None]
    folds = [(np.arange(4), np.arange(4, 8)), (np.arange(4, 8), np.arange(4))]
    options = SvmOptions(grid=(0.1, 1.0, 10.0))
    cost, correct = svm_training.choose_cost(vectors, labels, 2, folds, options)
    assert cost == 10.0 and correct.tolist() == [4, 4, 6]
    guesses[1.0] = [0, 1, 1, 1, 1, 1, 1, 0]
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    guesses[0.1] = guesses[10.0] = [0] * 8
    guesses[1.0] = [0, 0, 1, 1, 0, 1, 1, 0]  # as often right, but both classes
    assert svm_training.choose_cost(vectors, labels, 2, folds, options)[0] == 1.0


def test_folds_keep_artists_apart_and_cover_everything():
    _, labels, artists = blobs()
    folds, grouped = make_folds(labels, artists, CLASSES, OPTIONS)
    assert grouped
    assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(60))
    for learn, held in folds:
        assert not {artists[i] for i in learn} & {artists[i] for i in held}


def test_few_artists_are_said(capsys):
    labels = np.repeat([0, 1, 2], 10)
    artists = [f"x{i}" for i in range(20)] + ["y0", "y1"] * 5
    assert make_folds(labels, artists, CLASSES, OPTIONS)[1]
    assert "class 'c' has 2 artists, fewer than 5 folds" in capsys.readouterr().err
    artists[20:] = ["y0"] * 10
    folds, grouped = make_folds(labels, artists, CLASSES, OPTIONS)
    assert not grouped and len(folds) == 5
    err = capsys.readouterr().err
    assert "WARNING" in err and "class 'c' has one artist" in err


def test_npz_has_no_pickle_and_is_the_same_every_time(tmp_path):
    vectors, labels, artists = blobs()
    for name in ("one.npz", "two.npz"):
        svm = train(vectors, labels, artists, CLASSES, OPTIONS, kind="lstm", k=0.9)
        write_svm(tmp_path / name, svm)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)
    back = read_svm(tmp_path / "one.npz")
    assert np.array_equal(back.scores(vectors), svm.scores(vectors))
    assert (back.classes, back.cost, back.kind, back.k) == (CLASSES, svm.cost, "lstm", 0.9)
