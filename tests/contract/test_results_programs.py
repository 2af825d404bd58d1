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
    make_report,
    make_tables,
    plot_figures,
    score_svm,
    write_results,
)
from local.report import figure2
from steps import archive
from steps.scoring.predictions import read_predictions
from steps.scoring.reference import read_reference
from steps.scoring.svm import read_svm
from utils.cli import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Return a folder with data/toy and scored exp/toy_{dnn1,lstm_512,lstm_512_seed2,sc}."""
    return toy.build(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def summary(root) -> Path:
    """Return the summary folder, with tables."""
    experiments = [root / f"exp/toy_{model}" for model in ("dnn1", "lstm_512", "sc")]
    toy.run(make_tables, root / "data/toy", root / "exp/toy_summary", *experiments)
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
    toy.score(data, exp)
    toy.run(write_results, "--conf-dir", root / "conf", data, exp)
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
    toy.run(score_svm, "", folder / "svm.npz", f"scp:{folder}/train.scp", tmp_path)
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
    toy.run(make_tables, "--num-seeds=2", root / "data/toy", tmp_path, root / "exp/toy_lstm_512")
    assert "±" in capsys.readouterr().out
    row = json.loads((tmp_path / "tables.json").read_text())["table2"][0]
    assert row["seeds"] == 2 and row["Seg_acc_sd"] > 0
    with pytest.raises(UserError, match="toy_lstm_512_seed3"):
        toy.run(make_tables, "--num-seeds=3", root / "data/toy", tmp_path, root / "exp/toy_lstm_512")


def test_figures_and_report(root, summary, tmp_path):
    experiments = [root / f"exp/toy_{model}" for model in ("dnn1", "lstm_512", "sc")]
    toy.run(plot_figures, root / "data/toy", summary / "figures", *experiments)
    toy.run(plot_figures, root / "data/toy", tmp_path, experiments[-1])
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
    toy.run(make_report, "--num-errors=2", root / "data/toy", summary, out, *experiments)
    html = (out / "index.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:image/png;base64,|#)""", html)
    assert "<script" not in html and html.count("data:image/png;base64,") == 3 + 3 + 2
    assert "Table 4." in html and "--proj-dim=8" in html


def test_figure2_of_a_long_set_shows_every_nth_frame_of_each_track(root, tmp_path, monkeypatch):
    folder = root / "exp/toy_lstm_512/post_test"
    posts = dict(archive.read_matrices(f"scp:{folder}/post.scp"))
    reference = read_reference(root / "data/toy/test")
    full = figure2.collect_scores(reference, f"scp:{folder}/post.scp")
    assert full.step == 1 and len(full.frames) == sum(map(len, posts.values()))
    monkeypatch.setattr(figure2, "MAX_FRAMES", len(full.frames) // 3)
    part = figure2.collect_scores(reference, f"scp:{folder}/post.scp")
    assert part.step == 4 and np.array_equal(part.frames[: part.lengths[0]], posts[part.utts[0]][::4])
    assert all(np.array_equal(part.tracks[name], full.tracks[name]) for name in figure2.PANELS[:3])
    figure2.draw_figure2(part, "title", tmp_path / "figure2")
    rows = (tmp_path / "figure2_frames.csv").read_text().splitlines()
    assert [row.split(",")[2] for row in rows[1:4]] == ["0", "4", "8"]
    assert len(rows) == 1 + sum(-(-len(post) // 4) for post in posts.values())


def test_compare_results(root, capsys):
    first, second = root / "exp/toy_lstm_512", root / "exp/toy_dnn1"
    toy.run(compare_results, "--measures=Seg_acc,FSeg_acc", first, second)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 4 and lines[2].split()[0] == "FSeg_acc" or lines[2].split()[0] == "Seg_acc"
    a, b = (read_predictions(path / "score_test/predictions_vote.tsv").right for path in (first, second))
    row = next(line for line in lines if line.startswith("Seg_acc") and "dnn1" in line).split()
    assert row[-4:-2] == [str(int((a & ~b).sum())), str(int((b & ~a).sum()))]


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
