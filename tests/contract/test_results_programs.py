"""Stages 7 to 9 on a made-up corpus: what they write, what they refuse, and that a rerun is the same."""

import csv
import dataclasses
import html.parser
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from local import compare_results, make_report, score_best, score_svm, train_best
from local.report import experiments
from local.report.experiments import load_runs, load_scores
from local.report.tables import EXTRA_TABLES
from steps import archive
from steps.classifiers.model import read_ensemble
from steps.scoring.reference import read_reference
from steps.scoring.scores import Predictions, read_predictions, write_scores
from tests.fixtures.scoring import scoring_tree as toy
from utils import atomic, tables
from utils.cli import UserError
from utils.provenance import training_record, write_record

pytestmark = pytest.mark.xdist_group("results")  # one process builds the tree
MODELS = ("dnn1", "lstm_512", "sc")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Return a folder with data/toy and scored exp/toy_{dnn1,lstm_512,lstm_512_seed2,sc}."""
    return toy.build(tmp_path_factory.mktemp("toy"))


def copied(root: Path, folder: Path) -> Path:
    shutil.copytree(root, folder)
    for scp in folder.rglob("*.scp"):
        scp.write_text(scp.read_text().replace(str(root), str(folder)))
    return folder


@pytest.fixture
def copy(root, tmp_path) -> Path:
    return copied(root, tmp_path / "copy")


def add_system(root: Path, name: str, wrong: int, **record: object) -> Path:
    """Write an experiment without a network, as other systems do; ``wrong`` tracks of test are wrong."""
    exp = root / f"exp/toy_{name}"
    labels = read_reference(root / "data/toy/test").genre
    ref = np.array(list(labels.values()))
    hyp = np.where(np.arange(len(ref)) < wrong, (ref + 1) % 6, ref)
    scores = np.full((len(ref), 6), 0.04)
    scores[np.arange(len(ref)), hyp] = 0.8
    table = Predictions(toy.CLASSES, tuple(labels), ref, hyp, scores, probabilities=True)
    write_scores(exp / "score_test", [table.measure("Seg_acc", notes="made up")])
    write_record(exp, {**training_record([], 5), **record})
    return exp


def test_posteriors_out_of_fold_can_be_the_frames_of_a_part_of_best(copy):
    data, exp = copy / "data/toy", copy / "exp/toy"
    shutil.copytree(f"{exp}_lstm_512/post_train", f"{exp}_lstm_512/post_train_crossfit")
    parts = "--parts=spread:post_lstm_512:0:mean+deviation+quantiles+changes"
    with pytest.raises(UserError, match="no features of any part"):
        train_best.main([parts, "--folds=2", str(data), str(exp)])
    train_best.main([parts, "--folds=2", "--networks=lstm_512", str(data), str(exp)])
    score_best.main([str(data), str(exp), "test"])
    (member, *_) = read_ensemble(f"{exp}_best/best.npz").members
    assert member.network == "lstm_512"
    assert member.arrays["weight"].shape[-1] == 6 * (1 + 1 + 3 + 1)
    predictions = read_predictions(Path(f"{exp}_best/score_test/predictions_Seg_acc.tsv"))
    assert predictions.right.mean() > 0.45  # the largest class has 0.38


def test_votes_agree_with_a_count_by_hand(root):
    exp = root / "exp/toy_dnn1"
    labels = tables.read_table(root / "data/toy/test/utt2genre")
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
    assert lines[0] == f"# git commit {toy.TRAINED_AT}"  # not what is checked out now
    assert re.fullmatch(r"# configuration sha256 [0-9a-f]{16} \(.*lstm_512\.conf\)", lines[1])
    assert lines[2] == "# seed 778" and re.fullmatch(r"# data sha256 [0-9a-f]{16} \(toy\)", lines[3])
    assert lines[4:6] == ["# tracks 37 train, 37 test", "# network LSTM (12-8-6)"]
    assert lines[6] == "# trained on cpu, 1 thread"
    assert re.fullmatch(r"# scored and written by git commit ([0-9a-f]{40}.*|unknown .*)", lines[7])
    assert re.match(r"# LSeg_acc: 24 dimensions, k 0\.9, C 0\.\d+ \(right in 3-fold artist-grouped", lines[8])
    found = [line.split()[0] for line in lines if line.startswith("%")]
    assert found == ["%Frame_acc", "%Seg_acc", "%LogSeg_acc", "%LSeg_acc", "%FSeg_acc"]
    pattern = r"%\w+ \d+\.\d\d \[ \d+ / \d+ \] Wilson95 \[ \d+\.\d\d \d+\.\d\d \] .*balanced \d+\.\d\d.*"
    assert all(re.fullmatch(pattern, line) for line in lines if line.startswith("%"))
    assert any(line.split() == list(toy.CLASSES) for line in lines)
    assert any(line.startswith("# calibration of Seg_acc: expected calibration error") for line in lines)
    assert not any(line.startswith("# calibration of LSeg_acc") for line in lines)


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ({"machines": ["a", "b"]}, "# trained on mixed, the last bits depend on who did what: a; b"),
        ({"commit": None}, "# git commit unknown (the training did not record it)"),
    ],
)
def test_only_the_training_says_what_trained(copy, record, line):
    exp = copy / "exp/toy_dnn1"
    content = json.loads((exp / "training.json").read_text())
    write_record(exp, {k: v for k, v in {**content, **record}.items() if v is not None})
    toy.write_results(copy / "data/toy", copy / "exp/toy", "dnn1")
    assert line in (exp / "results.txt").read_text().splitlines()


def test_tables(root):
    toy.write_results(root / "data/toy", root / "exp/toy", *MODELS)
    summary = root / "exp/toy_summary"
    text, shown = ((summary / name).read_text() for name in ("results.txt", "tables.txt"))
    titles = ("Table 1.", "Table 2.", "Table 4.", "another corpus", "Artist overlap: 0 of", "McNemar's exact")
    assert all(word in text for word in titles)
    assert "Table 2." in shown and "Table 4." in shown and "McNemar" not in shown
    assert f"toy_lstm_512: seed 778, commit {toy.TRAINED_AT}" in text
    measure = load_scores(root / "exp/toy_lstm_512").measures["FSeg_acc"]
    row = rf"^toy_lstm_512 +FSeg_acc +{measure.percent:.2f} +\[ {measure.correct} / 37 \] "
    assert re.search(row, text, re.MULTILINE)
    tests = experiments.test_families(load_runs(root / "exp/toy", MODELS))
    pairs = [(test["first"], test["second"]) for test in tests]
    lstm = "lstm_512 FSeg"
    assert pairs == [("lstm_512 Seg", "dnn1 Seg"), (lstm, "lstm_512 Seg"), (lstm, "sc ScSeg")]


def test_seeds(root, tmp_path):
    shutil.copytree(root, tmp_path / "copy")
    exp = tmp_path / "copy/exp/toy"
    toy.write_results(root / "data/toy", exp, "lstm_512", "sc", num_seeds=2)
    assert "±" in (exp.parent / "toy_summary/tables.txt").read_text()
    with pytest.raises(UserError, match="toy_lstm_512_seed3"):
        toy.write_results(root / "data/toy", exp, "lstm_512", num_seeds=3)


@pytest.fixture(scope="module")
def report(root, tmp_path_factory) -> Path:
    """Return a copy with two systems without networks, further tables and a page."""
    folder = copied(root, tmp_path_factory.mktemp("report") / "copy")
    add_system(folder, "lee2009", 9)
    best = add_system(folder, "best", 2)
    extra = {"title": "What each part adds", "text": "t", "columns": ["part", "%"], "rows": [["a", "1"]]}
    atomic.write_json(best / EXTRA_TABLES, [extra])
    atomic.write_json(
        folder / "data/toy" / EXTRA_TABLES, [{**extra, "title": "What this corpus was made to show"}]
    )
    (folder / "exp/toy_lstm_512/log").mkdir()
    (folder / "exp/toy_lstm_512/log/train.log").write_text("x")
    toy.run(make_report, folder / "data/toy", folder / "exp/toy", *MODELS, "lee2009", "best")
    return folder


def test_systems_without_a_network_are_shown_like_any_other(report):
    folder = report
    printed = (folder / "exp/toy_summary/tables.txt").read_text()
    assert re.search(r"^lee2009 \(Lee.*\) +86\.80 +- +- +- +\| +75\.68 ", printed, re.MULTILINE)
    assert re.search(r"^best [ -]+\| +94\.59 \[", printed, re.MULTILINE)
    assert "son2008 (Song & Zhang), quoted" in printed
    assert "What this corpus was made to show" in printed
    text = (folder / "exp/toy_best/results.txt").read_text()
    for word in ("# seed 5", "%Seg_acc 94.59 [ 35 / 37 ]", "# Seg_acc: made up", "What each part adds"):
        assert word in text
    assert "# calibration of Seg_acc: expected calibration error 14.59 points" in text  # 35 / 37 - 0.8
    tests = experiments.test_families(load_runs(folder / "exp/toy", [*MODELS, "lee2009", "best"]))
    families = {(test["family"], test["first"], test["second"]) for test in tests}
    assert ("systems of others against best", "lee2009 Seg", "best Seg") in families
    assert ("best against our other systems", "best Seg", "sc ScSeg") in families
    page = (folder / "exp/toy_report/index.html").read_text()
    assert page.index("Table 4.") < page.index("What each part adds") < page.index("Table 2.")
    assert page.index('id="corpus"') < page.index("What this corpus was made to show")


class Page(html.parser.HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_sweep_meets_the_tables_at_their_k(root):
    exp = root / "exp/toy_lstm_512"
    rows = list(csv.DictReader((exp / "sweep_k.tsv").open(), delimiter="\t"))
    assert [row["k"] for row in rows] == ["0.5", "0.9", "0.99"]
    found = load_scores(exp).measures
    for name, measure in (("lstm_correct", "LSeg_acc"), ("fusion_correct", "FSeg_acc")):
        assert int(rows[1][name]) == found[measure].correct


def test_figures_and_page(report):
    copy = report
    summary = copy / "exp/toy_summary"
    files = {path.name: path.read_bytes() for path in (summary / "figures").iterdir()}
    assert files.keys() == {"figure2.pdf", "figure2.png", "figure3.pdf", "figure3.png"}
    assert not any(b"Date" in data for name, data in files.items() if name.endswith(".pdf"))
    text = (copy / "exp/toy_report/index.html").read_text()
    page = Page(text)
    sources = [attrs["src"] for _, attrs in page.tags if "src" in attrs]
    links = [attrs["href"] for _, attrs in page.tags if "href" in attrs]
    assert len(sources) == 2 and all(s.startswith("data:image/png;base64,") for s in sources)
    targets = {name for tag, attrs in page.tags if tag == "section" for name in [attrs["id"]]}
    home = copy / "exp/toy_report"
    assert all(link[1:] in targets if link[0] == "#" else (home / link).is_file() for link in links)
    assert {"../toy_lstm_512/results.txt", "../toy_lstm_512/log/train.log"} <= set(links)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert all(attrs["alt"] for tag, attrs in page.tags if tag == "img")
    epochs = "\n".join(line.rpartition("\t")[0] for line in toy.ITERS.splitlines())  # without their seconds
    for text in ("Table 4.", "--seed=778", "confusion matrices", epochs):
        assert text in page.text


def test_page_shows_any_text_and_never_obeys_it(copy):
    hostile = """<script>alert(1)</script>"><img src=x onerror=y>&amp;{{ 7 * 7 }}' ü"""
    exp = add_system(copy, "odd", 2, configuration={hostile: hostile}, machines=[hostile])
    table = {"title": hostile, "text": hostile, "columns": [hostile], "rows": [[hostile]] * 20}
    atomic.write_json(exp / EXTRA_TABLES, [table])
    toy.run(make_report, copy / "data/toy", copy / "exp/toy", "odd")
    page = Page((copy / "exp/toy_report/index.html").read_text())
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    assert page.text.count(hostile) >= 20 + 5 and "6 more rows" in page.text


def test_compare_results(root, capsys):
    first, second = root / "exp/toy_lstm_512", root / "exp/toy_dnn1"
    toy.run(compare_results, first, second)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 10 and lines[2].split()[0] == "Frame_acc"
    a, b = (read_predictions(path / "score_test/predictions_Seg_acc.tsv").right for path in (first, second))
    row = next(line for line in lines if line.startswith("Seg_acc") and "dnn1" in line).split()
    assert row[-3:-1] == [str(int((a & ~b).sum())), str(int((b & ~a).sum()))]


def test_what_does_not_belong_together_is_refused(copy):
    data, exp = copy / "data/toy", copy / "exp/toy_lstm_512"
    with pytest.raises(UserError, match="expected 24 values, got 36"):
        vectors = f"scp:{exp}/svm_fusion/test.scp"
        toy.run(score_svm, data / "test", exp / "svm_lstm/svm.npz", vectors, copy)
    with pytest.raises(UserError, match="nothing of the set test was scored"):
        toy.write_results(data, copy / "exp/toy", "none")
    table = load_scores(copy / "exp/toy_sc").tracks
    rest = {name: getattr(table, name)[1:] for name in ("utts", "ref", "hyp", "scores")}
    cut = dataclasses.replace(table, **rest)
    other = copy / "exp/toy_sc/svm_sc/score_test"
    write_scores(other, [cut.measure("ScSeg_acc")])
    with pytest.raises(UserError, match="toy_sc was not scored on the tracks of .*toy_dnn1"):
        toy.write_results(data, copy / "exp/toy", "dnn1", "sc")
