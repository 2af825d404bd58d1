"""Counts, intervals, tests and votes against values worked out by hand; the linear SVM."""

import dataclasses
import json
import re

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from local.report.experiments import compare
from steps.scoring import scores, significance, svm
from steps.scoring.scores import Predictions, read_predictions, read_scores, write_predictions, write_scores
from steps.scoring.segment import mean_frame, posterior_statistics, vote
from steps.scoring.significance import expected_calibration_error, reliability
from steps.scoring.svm import fit, make_folds, read_svm, train, write_svm
from utils.cli import UserError


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        (8, 10, 0.4901625, 0.9433178),  # z = 1.959964: (0.8 + z²/20 ± z sqrt(0.016 + z²/400)) / (1 + z²/10)
        (0, 10, 0.0, 0.2775328),  # z² / (10 + z²)
        (10, 10, 0.7224672, 1.0),
        (1, 2, 0.0945312, 0.9054688),
    ],
)
def test_wilson(correct, total, low, high):
    assert significance.wilson(correct, total) == pytest.approx((low, high), abs=1e-6)


def test_interval_by_track_by_hand():
    # R = 0.5, residuals ±4, variance = 2/1 * 32 / 400 = 0.16, t(0.975, 1) = 12.706: cut to [0, 1]
    assert significance.interval_by_track([9, 1], [10, 10]) == (0.0, 1.0)
    # four tracks of 100: residuals 10, -10, 10, -10; variance 4/3 * 400 / 160000; t(0.975, 3) = 3.18245
    low, high = significance.interval_by_track([60, 40, 60, 40], [100] * 4)
    half = 3.182446 * np.sqrt(4 / 3 * 400 / 160000)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)
    assert significance.interval_by_track([3], [4]) == (0.0, 1.0)
    assert significance.interval_by_track([3, 5], [3, 5]) == significance.wilson(2, 2)


def _right(pattern: str) -> np.ndarray:
    return np.array([letter == "1" for letter in pattern])


def test_mcnemar_exact_by_hand():
    # 1 against 7 discordant tracks: 2 * (C(8,0) + C(8,1)) / 2^8 = 18 / 256
    found = significance.mcnemar(_right("11111" + "1" + "0" * 7), _right("11111" + "0" + "1" * 7))
    assert found == (1, 7, pytest.approx(18 / 256))


def test_holm_by_hand():
    # sorted 0.01 0.02 0.03 0.6: times 4, 3, 2, 1 = 0.04, 0.06, 0.06, 0.6, then the running maximum
    assert significance.holm([0.03, 0.01, 0.6, 0.02]) == pytest.approx([0.06, 0.04, 0.6, 0.06])
    assert significance.holm([0.4, 0.3]) == pytest.approx([0.6, 0.6])
    assert significance.holm([]).shape == (0,)


def test_confusion_and_balanced_accuracy_by_hand():
    confusion = scores.confusion_matrix(np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 2, 1, 0]), 3)
    assert confusion.tolist() == [[3, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert scores.balanced_accuracy(confusion) == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_line_begins_as_the_contract_says():
    measure = scores.Measure("Frame_acc", np.array([[220394, 42451], [0, 0]]))
    assert measure.line().startswith("%Frame_acc 83.85 [ 220394 / 262845 ] ")
    assert "balanced 83.85" in measure.line()


def test_scores_survive_their_files(tmp_path):
    table = _predictions([0, 1, 1, 1])
    seg = table.measure("Seg_acc", notes="how")
    frames = scores.Measure("Frame_acc", np.array([[3, 1], [0, 2]]))
    write_scores(tmp_path, [frames, seg])
    back = read_scores(tmp_path)
    assert back.classes == ("x", "y") and list(back.measures) == ["Frame_acc", "Seg_acc"]
    assert back.measures["Seg_acc"].line() == seg.line() and not back.measures["Frame_acc"].tracks
    assert json.loads((tmp_path / "accuracy.json").read_text())["measures"][0]["correct"] == 5
    write_scores(tmp_path / "b", [dataclasses.replace(table, ref=table.hyp).measure("LSeg_acc")])
    with pytest.raises(UserError, match="not of the tracks and classes of the others"):
        read_scores(tmp_path, tmp_path / "b")


def test_calibration_by_hand():
    # (0.2, 0.3]: 0.3 wrong; (0.7, 0.8]: 0.75, 0.8, one right; (0.9, 1]: 1.0 right
    bins = reliability(np.array([0.3, 0.75, 0.8, 1.0]), np.array([False, True, False, True]))
    assert bins[:, (0, 2, 4)].tolist() == [[0.2, 1, 0.0], [0.7, 2, 0.5], [0.9, 1, 1.0]]
    assert bins[1, 3] == pytest.approx(0.775)
    assert expected_calibration_error(bins) == pytest.approx((0.3 + 2 * 0.275 + 0.0) / 4)
    assert reliability(np.array([0.0]), np.array([True]))[0, 0] == 0.0


def test_majority_vote():
    post = np.array([[0.6, 0.4, 0.0], [0.1, 0.9, 0.0], [0.2, 0.8, 0.0]])
    result = vote(post)
    assert (result.majority, result.counts.tolist()) == (1, [1, 2, 0])
    assert result.mean_posterior == pytest.approx([0.3, 0.7, 0.0])


def test_tied_vote_goes_to_the_larger_summed_posterior():
    post = np.array([[0.5, 0.4, 0.1], [0.1, 0.8, 0.1]])
    assert vote(post).majority == 1
    # class 2 has the second largest sum but no vote: it may not win a tie of the others
    post = np.array([[0.5, 0.01, 0.49], [0.01, 0.5, 0.49]])
    assert vote(post).majority in (0, 1)


def test_mean_log_posterior_can_overrule_the_vote():
    post = np.array([[0.55, 0.45], [0.55, 0.45], [0.001, 0.999]])
    result = vote(post)
    assert result.majority == 0 and result.mean_log_posterior.argmax() == 1
    expected = (2 * np.log(0.55) + np.log(0.001)) / 3
    assert result.mean_log_posterior[0] == pytest.approx(expected)
    assert np.isfinite(vote(np.array([[0.0, 1.0]])).mean_log_posterior).all()


def test_segment_features_by_hand():
    post = np.array([[0.9, 0.1], [0.95, 0.05], [0.25, 0.75], [0.4, 0.6]], dtype=np.float64)
    expected = [0.95, 0.75, 0.25, 0.05, 0.625, 0.375, 0.25, 0.0]  # 0.9 itself is not above 0.9
    assert posterior_statistics(post, 0.9) == pytest.approx(expected)
    assert posterior_statistics(post, 0.5)[-2:] == pytest.approx([0.5, 0.5])
    feats = np.array([[1.0, -2.0, 0.0], [3.0, 4.0, 0.5]], dtype=np.float32)
    assert mean_frame(feats).tolist() == [2.0, 1.0, 0.25]


def _predictions(hyp, utts=("a", "b", "c", "d")) -> Predictions:
    scores = np.zeros((len(utts), 2))
    return Predictions(("x", "y"), tuple(utts), np.array([0, 0, 1, 1]), np.array(hyp), scores)


def test_predictions_survive_their_file(tmp_path):
    predictions = _predictions([0, 1, 1, 1])
    write_predictions(tmp_path / "p.tsv", predictions)
    lines = (tmp_path / "p.tsv").read_text().splitlines()
    assert lines[:2] == ["utt\tref\thyp\tscore:x\tscore:y", "a\tx\tx\t0.0\t0.0"]
    back = read_predictions(tmp_path / "p.tsv")
    assert back.utts == predictions.utts and back.classes == ("x", "y")
    assert back.measure("").confusion.tolist() == [[1, 1], [0, 2]] and not back.probabilities
    write_predictions(tmp_path / "p.tsv", dataclasses.replace(predictions, probabilities=True))
    assert read_predictions(tmp_path / "p.tsv").probabilities


def test_pairs_are_corrected_as_one_family():
    a, b, c = (_predictions(hyp).measure("Seg_acc") for hyp in ([0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1]))
    pairs = compare("all", [("A", "B"), ("A", "C"), ("B", "C"), ("A", "D")], {"A": a, "B": b, "C": c})
    assert [pair["p_value"] for pair in pairs] == [0.5, 1.0, 0.5]
    assert [pair["p_holm"] for pair in pairs] == [1.0, 1.0, 1.0]
    assert [pairs[0][name] for name in ("first_correct", "second_correct", "only_first")] == [4, 2, 2]


CLASSES = ("a", "b", "c")
GRID = (0.01, 0.1, 1.0)


def blobs(n=60, dim=5, seed=0, spread=0.5):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    vectors = 2.0 * np.eye(3, dim)[labels] + spread * rng.normal(size=(n, dim))
    artists = [f"artist{labels[i]}-{i // 6}" for i in range(n)]
    return vectors * 100.0 + 7.0, labels, artists


def test_it_learns_and_standardises():
    vectors, labels, artists = blobs()
    svm = train(vectors, labels, artists, CLASSES, GRID)
    assert (svm.scores(vectors).argmax(axis=1) == labels).mean() > 0.95
    assert svm.mean == pytest.approx(vectors.mean(axis=0)) and svm.scale == pytest.approx(vectors.std(axis=0))
    assert re.search(r"5-fold artist-grouped .* \d+ / 60\)", svm.notes)


def test_fewer_vectors_than_dimensions_give_liblinears_own_weights():
    rng = np.random.default_rng(5)
    vectors, labels = rng.normal(size=(20, 50)), np.arange(20) % 3
    ours = fit(vectors, labels, 3, 0.1, tolerance=1e-8, max_iter=10_000)
    machine = LinearSVC(C=0.1, dual=False, tol=1e-8, max_iter=10_000)
    machine.fit((vectors - ours.mean) / ours.scale, labels)
    assert ours.weight == pytest.approx(machine.coef_, abs=1e-5)
    assert ours.bias == pytest.approx(machine.intercept_, abs=1e-5)


def test_a_class_absent_from_a_fold_is_never_guessed():
    vectors, labels, _ = blobs()
    seen = labels != 1
    scores = fit(vectors[seen], labels[seen], 3, 1.0).scores(vectors)
    assert not (scores.argmax(axis=1) == 1).any()


def test_c_is_the_best_on_held_out_tracks_and_of_equal_ones_the_better_balanced(monkeypatch):
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    guesses = {0.1: [0] * 8, 1.0: [0, 0, 1, 1, 1, 1, 0, 0], 10.0: [0, 0, 0, 0, 1, 1, 0, 0]}

    def fake_fit(_vectors, _labels, _num_classes, cost):
        class Fake:
            def scores(self, held):
                return np.eye(2)[np.array(guesses[cost])[held[:, 0].astype(int)]]

        return Fake()

    monkeypatch.setattr(svm, "fit", fake_fit)
    vectors = np.arange(8.0)[:, None]
    folds = [(np.arange(4), np.arange(4, 8)), (np.arange(4, 8), np.arange(4))]
    grid = (0.1, 1.0, 10.0)
    cost, correct = svm.choose_cost(vectors, labels, 2, folds, grid)
    assert cost == 10.0 and correct.tolist() == [4, 4, 6]
    guesses[1.0] = [0, 1, 1, 1, 1, 1, 1, 0]
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    guesses[0.1] = guesses[10.0] = [0] * 8
    guesses[1.0] = [0, 0, 1, 1, 0, 1, 1, 0]  # as often right, but both classes
    assert svm.choose_cost(vectors, labels, 2, folds, grid)[0] == 1.0


def test_folds_keep_artists_apart_and_cover_everything():
    _, labels, artists = blobs()
    folds, grouped = make_folds(labels, artists, CLASSES, 5, 777)
    assert grouped
    assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(60))
    for learn, held in folds:
        assert not {artists[i] for i in learn} & {artists[i] for i in held}


def test_few_artists_are_said(capsys):
    labels = np.repeat([0, 1, 2], 10)
    artists = [f"x{i}" for i in range(20)] + ["y0", "y1"] * 5
    assert make_folds(labels, artists, CLASSES, 5, 777)[1]
    assert "class 'c' has 2 artists for 5 folds: some held-out parts lack it" in capsys.readouterr().err
    artists[20:] = ["y0"] * 10
    folds, grouped = make_folds(labels, artists, CLASSES, 5, 777)
    assert not grouped and len(folds) == 5
    assert "class 'c' has 1 artist for 5 folds: cross-validation does not keep" in capsys.readouterr().err


def test_npz_has_no_pickle_and_is_the_same_every_time(tmp_path):
    vectors, labels, artists = blobs()
    for name in ("one.npz", "two.npz"):
        machine = train(vectors, labels, artists, CLASSES, GRID, kind="lstm", k=0.9)
        write_svm(tmp_path / name, machine)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)
    back = read_svm(tmp_path / "one.npz")
    assert np.array_equal(back.scores(vectors), machine.scores(vectors))
    assert (back.classes, back.cost, back.kind, back.k) == (CLASSES, machine.cost, "lstm", 0.9)
