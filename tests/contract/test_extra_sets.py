"""Test sets beside test: loaded, written and tabled apart from it, and refused where they do not fit."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fixtures" / "scoring"))

import scoring_tree as toy

from local import make_report, make_tables, write_results
from local.report.corpus import artist_overlap
from steps import archive
from steps.scoring.system import load_system
from utils.cli import UserError

EXPERIMENTS = ("toy_dnn1", "toy_lstm_512", "toy_sc")


@pytest.fixture
def root(tmp_path) -> Path:
    """Return a scored toy corpus whose test set is there a second time, as the set again."""
    toy.build(tmp_path)
    shutil.copytree(tmp_path / "data/toy/test", tmp_path / "data/toy/again")
    for name in EXPERIMENTS:
        exp = tmp_path / "exp" / name
        if (exp / "score_test").is_dir():
            shutil.copytree(exp / "score_test", exp / "score_again")
        for folder in exp.glob("svm_*"):
            (folder / "score_again").mkdir()
            for file in ("accuracy.json", "predictions.tsv"):
                shutil.copy(folder / file, folder / "score_again")
    return tmp_path


def write(root: Path, *options: str) -> list[Path]:
    experiments = [root / "exp" / name for name in EXPERIMENTS]
    toy.run(write_results, "--conf-dir", root / "conf", *options, root / "data/toy", *experiments)
    return experiments


def test_the_same_tracks_give_the_same_accuracies_under_both_names(root):
    exp = write(root, "--extra-sets=again")[1]
    lines = (exp / "results.txt").read_text().splitlines()
    first = [line for line in lines if line.startswith("%") and not line.startswith("%again_")]
    assert [line for line in lines if line.startswith("%again_")] == [f"%again_{x[1:]}" for x in first]
    record = json.loads((exp / "results.json").read_text())
    assert record["extra_sets"]["again"]["measures"] == record["measures"]
    assert record["num_tracks"] == {"train": 37, "test": 37}
    system = load_system(exp, "again")
    assert system.svms["LSeg_acc"].dim == 24 and set(system.measures) == set(load_system(exp).measures)


def test_without_further_sets_the_files_are_what_they_were(root):
    files = ("results.txt", "results.json")
    before = {name: (root / "exp/toy_lstm_512" / name).read_bytes() for name in files}
    write(root)
    write(root, "--extra-sets=")
    assert before == {name: (root / "exp/toy_lstm_512" / name).read_bytes() for name in files}
    toy.run(make_tables, root / "data/toy", root / "a", root / "exp/toy_lstm_512")
    names = {path.name for path in (root / "a").iterdir()}
    assert not any("again" in name for name in names)
    assert "extra_sets" not in json.loads((root / "a/tables.json").read_text())


def test_tables_of_two_seeds_and_page(root, capsys):
    exp = root / "exp/toy_lstm_512_seed2"
    shutil.copytree(exp / "score_test", exp / "score_again")
    for folder in exp.glob("svm_*"):
        shutil.copytree(folder, folder / "score_again")
    experiments = write(root, "--extra-sets=again")
    toy.run(write_results, "--conf-dir", root / "conf", "--extra-sets=again", root / "data/toy", exp)
    options = ("--num-seeds=2", "--extra-sets=again", root / "data/toy", root / "summary")
    toy.run(make_tables, *options, experiments[1])
    text = capsys.readouterr().out
    assert "Test set again, 37 tracks, not in the paper: every accuracy (%, mean ± standard deviation" in text
    content = json.loads((root / "summary/tables.json").read_text())
    again, first = content["extra_sets"]["again"]["accuracies"][0], content["table2"][0]
    assert (again["Seg_acc"], again["Seg_acc_sd"]) == (first["Seg_acc"], first["Seg_acc_sd"])
    assert again["seeds"] == 2 and first["Seg_acc_sd"] > 0
    (root / "summary/figures").mkdir()
    (root / "summary/figures/figure2.png").write_bytes(b"")
    toy.run(make_report, *options, root / "page", experiments[1])
    html = (root / "page/index.html").read_text()
    assert html.index('id="results"') < html.index('id="set-again"') < html.index('id="corpus"')


def test_what_does_not_fit_is_refused(root):
    with pytest.raises(UserError, match="toy_dnn1/results.json: has no results of the set again"):
        toy.run(make_tables, "--extra-sets=again", root / "data/toy", root / "a", root / "exp/toy_dnn1")
    shutil.rmtree(root / "exp/toy_dnn1/score_again")
    with pytest.raises(UserError, match="toy_dnn1: nothing of the set again was scored"):
        for folder in (root / "exp/toy_dnn1").glob("svm_*"):
            shutil.rmtree(folder / "score_again")
        write(root, "--extra-sets=again")
    labels = archive.read_table(root / "data/toy/again/utt2genre")
    rest = dict(list(labels.items())[1:])
    archive.write_table(root / "data/toy/again/utt2genre", rest)
    table = archive.read_table(root / "data/toy/again/feats.scp")
    archive.write_table(root / "data/toy/again/feats.scp", {utt: table[utt] for utt in rest})
    with pytest.raises(UserError, match=r"toy_lstm_512: 37 tracks were scored, .*/again has 36"):
        toy.run(write_results, "--extra-sets=again", root / "data/toy", root / "exp/toy_lstm_512")


def test_artist_overlap_names_the_set_and_believes_the_preparation(tmp_path):
    archive.write_table(tmp_path / "train/utt2spk", {"a1": "A", "b1": "B"})
    archive.write_table(tmp_path / "test/utt2spk", {"x1": "1", "x2": "2"})
    archive.write_table(tmp_path / "evaluation/utt2spk", {"a2": "A", "a3": "A", "c1": "C"})
    assert "2 of 3 evaluation tracks" in artist_overlap(tmp_path, "evaluation").line()
    assert set(artist_overlap(tmp_path).as_json()).isdisjoint({"reason", "test_set"})
    (tmp_path / "overlap.txt").write_text("test: artists shared with train: unknown: they are numbers\n")
    assert artist_overlap(tmp_path).line() == "Artist overlap: unknown: they are numbers"
    assert artist_overlap(tmp_path, "evaluation").reason == ""
