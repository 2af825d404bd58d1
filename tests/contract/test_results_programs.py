"""Stages 7 to 9 on a made-up corpus: what they write, what they refuse, and that a rerun is the same."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures" / "scoring"))

import scoring_tree as toy

from local import (
    compare_results,
    majority_vote,
    make_report,
    make_tables,
    plot_figures,
    score_svm,
    segment_features,
    sweep_k,
    train_svm,
    write_results,
)
from steps import archive
from steps.scoring.predictions import read_predictions
from steps.scoring.svm import read_svm
from utils.cli import UserError

MODELS = ("dnn1", "lstm_512", "lstm_512_seed2")
SVM = ("--c-grid=0.01,0.1", "--folds=3")


def score(data: Path, exp: Path) -> None:
    """Run stages 7 and 8 of one model."""
    run(majority_vote, data / "test", f"scp:{exp}/post_test/post.scp", exp / "score_test")
    for kind, name in (("lstm", "LSeg_acc"), ("fusion", "FSeg_acc")):
        make_svm(
            data, exp / f"svm_{kind}", kind, name, exp / "post_train/post.scp", exp / "post_test/post.scp"
        )


def make_svm(data: Path, folder: Path, kind: str, name: str, *posts: Path) -> None:
    for number, part in enumerate(("train", "test")):
        feats = "" if kind == "lstm" else f"scp:{data}/{part}/feats.scp"
        post = f"scp:{posts[number]}" if posts else ""
        run(segment_features, "--type", kind, feats, post, f"ark,scp:{folder}/{part}.ark,{folder}/{part}.scp")
    run(
        train_svm,
        *SVM,
        "--type",
        kind,
        "--k=0.9",
        data / "train",
        f"scp:{folder}/train.scp",
        folder / "svm.npz",
    )
    run(score_svm, "--name", name, data / "test", folder / "svm.npz", f"scp:{folder}/test.scp", folder)


def run(program, *argv) -> None:
    assert program.main([str(word) for word in argv]) == 0


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Return a folder with data/toy and scored exp/toy_{dnn1,lstm_512,lstm_512_seed2,sc}."""
    root = tmp_path_factory.mktemp("toy")
    data = toy.make_data(root)
    for seed, model in enumerate(MODELS):
        score(data, toy.make_model(root, data, model, seed=seed, skill=1.0 + 0.5 * seed))
    make_svm(data, root / "exp/toy_sc/svm_sc", "sc", "ScSeg_acc")
    lstm = root / "exp/toy_lstm_512"
    shutil.copytree(lstm / "svm_lstm", lstm / "svm_lstm_crossfit")
    grid = ("--k-grid=0.5,0.9,0.99",)
    run(sweep_k, *SVM, *grid, data, root / "exp/toy_sc/svm_sc", lstm)
    experiments = [root / f"exp/toy_{model}" for model in (*MODELS, "sc")]
    run(write_results, "--conf-dir", root / "conf", data, *experiments)
    return root


@pytest.fixture(scope="module")
def summary(root) -> Path:
    """Return the summary folder, with tables."""
    experiments = [root / f"exp/toy_{model}" for model in ("dnn1", "lstm_512", "sc")]
    run(make_tables, root / "data/toy", root / "exp/toy_summary", *experiments)
    return root / "exp/toy_summary"


def test_votes_agree_with_a_count_by_hand(root):
    exp = root / "exp/toy_dnn1"
    labels = archive.read_table(root / "data/toy/test/utt2genre")
    frames = tracks = total = 0
    for utt, post in archive.read_matrices(f"scp:{exp}/post_test/post.scp"):
        truth = toy.CLASSES.index(labels[utt])
        hits = post.argmax(axis=1) == truth
        frames, total = frames + int(hits.sum()), total + len(hits)
        counts = np.bincount(post.argmax(axis=1), minlength=6)
        best = max(range(6), key=lambda c: (counts[c], post[:, c].astype(float).sum()))
        tracks += best == truth
    text = (exp / "results.txt").read_text()
    assert f"%Frame_acc {100 * frames / total:.2f} [ {frames} / {total} ] " in text
    assert f"%Seg_acc {100 * tracks / 37:.2f} [ {tracks} / 37 ] " in text


def test_results_have_provenance_first_and_greppable_lines(root):
    lines = (root / "exp/toy_lstm_512/results.txt").read_text().splitlines()
    head = [line for line in lines if line.startswith("# ")][:7]
    assert re.fullmatch(r"# git commit ([0-9a-f]{40}( with local changes)?|unknown .*)", head[0])
    assert re.fullmatch(r"# configuration sha256 [0-9a-f]{16} \(.*lstm_512\.conf\)", head[1])
    assert head[2] == "# seed 777" and re.fullmatch(r"# data sha256 [0-9a-f]{16} \(toy\)", head[3])
    assert head[4] == "# tracks 37 train, 37 test" and head[5] == "# network LSTM (12-8-6)"
    found = [line.split()[0] for line in lines if line.startswith("%")]
    assert found == ["%Frame_acc", "%Seg_acc", "%LogSeg_acc", "%LSeg_acc", "%FSeg_acc", "%LSeg_cf_acc"]
    pattern = r"%\w+ \d+\.\d\d \[ \d+ / \d+ \] Wilson95 \[ \d+\.\d\d \d+\.\d\d \] .*balanced \d+\.\d\d.*"
    assert all(re.fullmatch(pattern, line) for line in lines if line.startswith("%"))
    assert any(
        re.search(r"svm LSeg_acc: 24 dimensions, k 0\.9, C 0\.\d+ .*3-fold artist-grouped", x) for x in lines
    )
    assert any(line.split() == ["", *toy.CLASSES][1:] for line in lines)


def test_rerun_overwrites_with_the_same_bytes(root):
    exp, data = root / "exp/toy_lstm_512", root / "data/toy"
    names = [
        "results.txt",
        "results.json",
        "score_test/accuracy.json",
        "svm_lstm/svm.npz",
        "svm_lstm/train.ark",
    ]
    before = {name: (exp / name).read_bytes() for name in names}
    score(data, exp)
    run(write_results, "--conf-dir", root / "conf", data, exp)
    assert {name: (exp / name).read_bytes() for name in names} == before


def test_svm_on_segment_features(root):
    exp = root / "exp/toy_lstm_512"
    svm = read_svm(exp / "svm_fusion/svm.npz")
    assert (svm.dim, svm.kind, svm.k, svm.num_train) == (toy.FEAT_DIM + 24, "fusion", 0.9, 37)
    predictions = read_predictions(exp / "svm_fusion/predictions.tsv")
    vectors = dict(archive.read_vectors(f"scp:{exp}/svm_fusion/test.scp"))
    assert predictions.utts == tuple(sorted(vectors))
    scores = svm.scores(np.stack([vectors[utt] for utt in predictions.utts]))
    assert np.array_equal(scores.argmax(axis=1), predictions.hyp)


def test_sweep_at_the_tables_k_gives_the_tables_accuracy(root):
    exp = root / "exp/toy_lstm_512"
    rows = [line.split("\t") for line in (exp / "sweep_k.tsv").read_text().splitlines()[1:]]
    at = next(row for row in rows if row[0] == "0.9")
    right = [
        int(read_predictions(exp / f"svm_{kind}/predictions.tsv").right.sum()) for kind in ("lstm", "fusion")
    ]
    assert [int(at[1]), int(at[2])] == right


def test_any_archive_can_be_scored_without_labels(root, tmp_path):
    folder = root / "exp/toy_lstm_512/svm_lstm"
    run(score_svm, "", folder / "svm.npz", f"scp:{folder}/train.scp", tmp_path)
    predictions = read_predictions(tmp_path / "predictions.tsv")
    assert len(predictions.utts) == 37 and set(predictions.ref) == {-1}
    assert not (tmp_path / "accuracy.json").exists()


def test_tables(summary):
    text = (summary / "results.txt").read_text()
    shown = (summary / "tables.txt").read_text()
    for word in (
        "Table 1.",
        "Table 2.",
        "Table 4.",
        "another corpus",
        "Artist overlap: 0 of",
        "McNemar's test of",
    ):
        assert word in text
    assert "Table 2." in shown and "Table 4." in shown and "McNemar" not in shown
    content = json.loads((summary / "tables.json").read_text())
    assert len(content["mcnemar"]) == 10  # Seg of two models, LSeg and FSeg of the LSTM, f_sc: 5 systems
    assert content["table4"][1]["FSeg_acc_paper"] == 89.71
    assert content["table2"][0]["Frame_acc_total"] == content["table2"][1]["Frame_acc_total"]
    header = (summary / "table2.csv").read_text().splitlines()[0].split(",")
    assert header[:5] == ["model", "experiment", "seeds", "paper_model", "Frame_acc"]
    assert len((summary / "mcnemar.csv").read_text().splitlines()) == 11


def test_seeds(root, tmp_path, capsys):
    run(make_tables, "--num-seeds=2", root / "data/toy", tmp_path, root / "exp/toy_lstm_512")
    assert "±" in capsys.readouterr().out
    row = json.loads((tmp_path / "tables.json").read_text())["table2"][0]
    assert row["seeds"] == 2 and row["Seg_acc_sd"] > 0
    with pytest.raises(UserError, match="toy_lstm_512_seed3"):
        run(make_tables, "--num-seeds=3", root / "data/toy", tmp_path, root / "exp/toy_lstm_512")


def test_figures_and_report(root, summary, tmp_path):
    experiments = [root / f"exp/toy_{model}" for model in ("dnn1", "lstm_512", "sc")]
    run(plot_figures, root / "data/toy", summary / "figures", *experiments)
    run(plot_figures, root / "data/toy", tmp_path, experiments[-1])
    files = sorted((summary / "figures").iterdir())
    stems = {path.stem for path in files}
    assert {"figure2", "figure3", "training", "confusion_toy_dnn1", "confusion_toy_sc"} <= stems
    again = sorted(tmp_path.iterdir())
    assert [path.suffix for path in again] == [".csv", ".pdf", ".png"]
    assert all(path.read_bytes() == (summary / "figures" / path.name).read_bytes() for path in again)
    assert not any(b"Date" in path.read_bytes() for path in files if path.suffix == ".pdf")
    points = (summary / "figures/figure3.csv").read_text().splitlines()
    assert len(points) == 1 + 2 * 3
    frames = sum(int(n) for n in archive.read_table(root / "data/toy/test/utt2num_frames").values())
    assert len((summary / "figures/figure2_frames.csv").read_text().splitlines()) == 1 + frames
    out = root / "exp/toy_report"
    run(make_report, "--num-errors=2", root / "data/toy", summary, out, *experiments)
    html = (out / "index.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:image/png;base64,|#)""", html)
    assert "<script" not in html and html.count("data:image/png;base64,") == 3 + 3 + 2
    assert "Table 4." in html and "--proj-dim=8" in html


def test_compare_results(root, capsys):
    first, second = root / "exp/toy_lstm_512", root / "exp/toy_dnn1"
    run(compare_results, "--measures=Seg_acc,FSeg_acc", first, second)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 4 and lines[2].split()[0] == "FSeg_acc" or lines[2].split()[0] == "Seg_acc"
    a, b = (read_predictions(path / "score_test/predictions_vote.tsv").right for path in (first, second))
    row = next(line for line in lines if line.startswith("Seg_acc") and "dnn1" in line).split()
    assert row[-4:-2] == [str(int((a & ~b).sum())), str(int((b & ~a).sum()))]


def rewrite(path: Path, change) -> str:
    """Write a changed copy of an archive of matrices beside it and return its rspecifier."""
    changed = dict(archive.read_matrices(f"scp:{path}/post.scp"))
    change(changed)
    with archive.Writer(f"ark:{path}/changed.ark") as writer:
        for utt, value in changed.items():
            writer.write(utt, value)
    return f"ark:{path}/changed.ark"


FIRST = "classical-test0-000"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.pop(FIRST), f"'{FIRST}' of .* is missing: expected 37 utterances, got 36"),
        (lambda p: p.update(extra=p[FIRST]), "'extra' is not in"),
        (lambda p: p.update({FIRST: p[FIRST][:-1]}), f"'{FIRST}': expected \\d+ frames"),
        (lambda p: p.update({FIRST: p[FIRST] * np.float32("nan")}), "not finite"),
        (lambda p: p.update({FIRST: p[FIRST][:, :5]}), "expected posteriors of 6 classes, got 5"),
        (lambda p: p.update({FIRST: np.log(p[FIRST])}), "not a distribution"),
    ],
)
def test_posteriors_that_do_not_fit_are_refused(root, tmp_path, change, message):
    rspecifier = rewrite(root / "exp/toy_dnn1/post_test", change)
    with pytest.raises(UserError, match=message):
        run(majority_vote, root / "data/toy/test", rspecifier, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_features_and_posteriors_must_be_of_the_same_tracks(root, tmp_path):
    posts = root / "exp/toy_dnn1/post_test"
    feats = f"scp:{root}/data/toy/test/feats.scp"
    cases = {
        "is missing": lambda p: p.pop(FIRST),
        "'extra' of": lambda p: p.update(extra=p[FIRST]),
        "posteriors": lambda p: p.update({FIRST: p[FIRST][:-1]}),
    }
    for message, change in cases.items():
        with pytest.raises(UserError, match=message):
            run(segment_features, "--type=fusion", feats, rewrite(posts, change), f"ark:{tmp_path}/out.ark")
    assert not list(tmp_path.iterdir())


def test_vectors_of_another_type_are_refused(root, tmp_path):
    exp = root / "exp/toy_lstm_512"
    with pytest.raises(UserError, match="expected vectors of 24 values .* got 36"):
        run(
            score_svm,
            root / "data/toy/test",
            exp / "svm_lstm/svm.npz",
            f"scp:{exp}/svm_fusion/test.scp",
            tmp_path,
        )


def test_mixed_runs_are_refused(root, tmp_path):
    mixed = tmp_path / "toy_mixed"
    shutil.copytree(root / "exp/toy_lstm_512", mixed)
    shutil.copy(root / "exp/toy_dnn1/score_test/accuracy.json", mixed / "score_test")
    with pytest.raises(UserError, match="does not agree with accuracy.json"):
        run(write_results, root / "data/toy", mixed)
    with pytest.raises(UserError, match="nothing was scored"):
        run(write_results, root / "data/toy", tmp_path)


def test_programs_stand_alone_and_exit_like_kaldis(root, tmp_path, run_cli, repo):
    done = run_cli(
        repo / "local/majority_vote.py",
        root / "data/toy/test",
        f"scp:{root}/exp/toy_dnn1/post_test/post.scp",
        tmp_path / "out",
        cwd=tmp_path,
        env={"PYTHONPATH": ""},
    )
    assert done.returncode == 0 and done.stdout == "" and "LOG (majority_vote.py) %Seg_acc" in done.stderr
    wrong = run_cli(repo / "local/majority_vote.py", "--no-such=1", "a", "b", "c")
    assert wrong.returncode == 2 and "no-such" in wrong.stderr
    missing = run_cli(repo / "local/score_svm.py", "", tmp_path / "none.npz", "ark:x", tmp_path)
    assert missing.returncode == 1 and "Traceback" not in missing.stderr and "none.npz" in missing.stderr
    usage = run_cli(repo / "local/compare_results.sh", "only-one")
    assert usage.returncode == 2 and "Usage" in usage.stderr


def test_one_driver_does_stage_8_and_does_it_once(root, tmp_path, run_cli):
    exp = tmp_path / "toy_dnn1"
    for part in ("train", "test"):
        shutil.copytree(root / f"exp/toy_dnn1/post_{part}", exp / f"post_{part}")
    words = ("local/score_segments.sh", "--sweep", "false", root / "data/toy", root / "exp/toy_sc", exp)
    run_cli(*words, check=True)
    assert {path.name for path in exp.glob("svm_*")} == {"svm_lstm", "svm_fusion"}
    again = run_cli(*words, check=True)
    assert again.stderr.count("up to date") == 2
