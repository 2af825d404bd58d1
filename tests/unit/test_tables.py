"""The paper's numbers, the tables' layout, the page's escaping, and what the pictures are drawn from."""

from __future__ import annotations

import html.parser
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.report import page, paper, tables
from local.report.corpus import artist_overlap
from local.report.curves import read_iterations
from local.report.errors import confident_errors
from local.report.layout import BAR, percent, render
from local.report.runs import Run, Value
from steps import archive
from steps.scoring.measures import Measure
from steps.scoring.predictions import Predictions
from steps.scoring.provenance import hash_texts, read_topology
from steps.scoring.system import SystemResults
from utils.cli import UserError


def test_the_papers_tables_agree_with_themselves():
    rows = list(paper.TABLE1.values())
    assert sum(row.train for row in rows) == paper.TABLE1_TOTAL.train == 729
    assert sum(row.test for row in rows) == paper.TABLE1_TOTAL.test == paper.NUM_TEST
    assert sum(row.train_hours for row in rows) == pytest.approx(paper.TABLE1_TOTAL.train_hours, abs=0.006)
    assert sum(row.test_hours for row in rows) == pytest.approx(paper.TABLE1_TOTAL.test_hours, abs=0.006)
    best = max(model.fseg for model in paper.MODELS.values() if model.fseg)
    assert best - paper.MODELS["dnn1"].seg == pytest.approx(4.39)


def test_every_track_accuracy_of_the_paper_is_a_share_of_729_tracks():
    """Two of them (84.35, 86.14) only up to their last digit."""
    for model in paper.MODELS.values():
        for value in (model.seg, model.lseg, model.fseg):
            if value is not None:
                assert any(abs(100 * n / 729 - value) <= 0.0125 for n in range(730)), value


def _run(tmp_path, name, confusions, network=None, corpus="toy") -> Run:
    measures = {key: Measure(key, np.array(value)) for key, value in confusions.items()}
    record = {
        "corpus": corpus,
        "model": name,
        "network": network,
        "num_tracks": {"train": 4, "test": 4},
        "svms": {"ScSeg_acc": {"dim": 525}} if network is None else {},
        "seed": "777",
    }
    system = SystemResults(tmp_path / f"{corpus}_{name}", ("a", "b"), measures, {}, {})
    return Run(name, record, (system,))


def test_table2_has_ours_the_papers_and_the_extra_row(tmp_path):
    confusions = {
        "Frame_acc": [[30, 10], [10, 50]],
        "Seg_acc": [[2, 1], [0, 1]],
        "LogSeg_acc": [[3, 0], [0, 1]],
    }
    run = _run(tmp_path, "lstm_512", confusions, {"kind": "LSTM", "dims": [525, 64, 6]})
    lines = tables.table2([run])
    row = next(line for line in lines if line.startswith("LSTM (525-64-6)"))
    assert re.search(r"80\.00 .*75\.00 .*\| +83\.85 +87\.52 +525-512-6$", row)
    assert any("mean log posterior" in line and "100.00" in line for line in lines)


def test_table4_has_quoted_systems_and_the_extra_rows(tmp_path):
    seg = [[2, 1], [0, 1]]
    lstm = {"Seg_acc": seg, "LSeg_acc": seg, "FSeg_acc": seg}
    runs = [
        _run(tmp_path, "dnn1", lstm, {"kind": "DNN", "dims": [525, 32, 6]}),
        _run(tmp_path, "lstm_512", lstm, {"kind": "LSTM", "dims": [525, 512, 6]}),
        _run(tmp_path, "sc", {"ScSeg_acc": [[3, 0], [0, 1]]}),
    ]
    text = "\n".join(tables.table4(runs))
    for key, value in (("son2008", "84.77"), ("hol2008", "83.50"), ("sig2014", "73.40")):
        assert re.search(rf"{key} \(quoted\) .*\| +{value}", text)
    assert re.search(r"LSTM \(525-512-6\) .*\| +87\.52 +88\.07 +89\.71", text)
    assert re.search(r"SVM on f_sc \(525\) +100\.00", text)
    assert "baseline-DNN1 (525-32-6)" in text and "cf:" not in text


def test_caveats(tmp_path):
    dims = {"kind": "LSTM", "dims": [525, 512, 6]}
    seg = {"Seg_acc": [[2, 1], [0, 1]]}
    other = tables.caveats([_run(tmp_path, "lstm_512", seg, {"kind": "LSTM", "dims": [525, 64, 6]})])
    assert "another corpus" in other[0] and "other dimensions" in other[1]
    same = tables.caveats([_run(tmp_path, "lstm_512", seg, dims, corpus="ismir04")])
    assert len(same) == 1 and "729" in same[0] and "another corpus" not in same[0]


def test_seeds_are_averaged_and_counted(tmp_path):
    dims = {"kind": "LSTM", "dims": [525, 512, 6]}
    one = _run(tmp_path, "lstm_512", {"Seg_acc": [[2, 0], [0, 2]]}, dims)
    two = _run(tmp_path, "lstm_512_seed2", {"Seg_acc": [[1, 1], [1, 1]]}, dims)
    run = Run("lstm_512", one.record, (one.system, two.system))
    value = run.value("Seg_acc")
    assert (value.percent, value.num_seeds) == (75.0, 2)
    assert value.deviation == pytest.approx(35.3553, abs=1e-4)
    assert value.cell() == "75.00 ± 35.36"
    assert "2 seeds" in tables.table2([run])[0]
    assert run.value("LSeg_acc") is None


def test_one_seed_shows_its_interval():
    value = Value(75.0, None, 1, 3, 4, (30.06, 95.44), (30.06, 95.44), 70.0)
    assert value.cell() == "75.00 [30.1 95.4]"


def test_layout_aligns_columns():
    lines = render(["name", BAR, "x"], [["a", "1.00"], ["longer", "10.00"]])
    assert lines == ["name    |      x", "----------------", "a       |   1.00", "longer  |  10.00"]
    assert (percent(None), percent(83.849)) == ("-", "83.85")


class _Checker(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30))
@settings(max_examples=60, deadline=None)
def test_page_shows_any_text_and_never_obeys_it(name):
    hostile = f'<script>alert(1)</script>"><img src=x onerror=y>&amp;{name}'
    body = page.table([hostile], [[hostile]], hostile) + page.listing(hostile, hostile)
    body += page.definitions([(hostile, hostile)]) + page.paragraph(hostile, "soft")
    checker = _Checker()
    checker.feed(page.page(hostile, hostile, [("a", hostile, page.section("a", hostile, body))], hostile))
    assert {tag for tag, _ in checker.tags}.isdisjoint({"script", "img"})
    assert not any(key.startswith("on") for _, attrs in checker.tags for key in attrs)
    assert checker.text.count(hostile) >= 10


def test_confident_errors_come_first_by_margin():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [0.99, 0.01]])
    predictions = Predictions(
        ("x", "y"), ("a", "b", "c", "d"), np.array([0, 0, 0, 1]), np.array([0, 1, 1, 0]), scores
    )
    errors = confident_errors(predictions, 2)
    assert [(error.utt, error.share, error.ref_share) for error in errors] == [
        ("d", 0.99, 0.01),
        ("b", 0.8, 0.2),
    ]


def test_artist_overlap(tmp_path):
    archive.write_table(tmp_path / "train" / "utt2spk", {"a1": "A", "a2": "A", "b1": "B"})
    archive.write_table(tmp_path / "test" / "utt2spk", {"a3": "A", "c1": "C", "c2": "C"})
    overlap = artist_overlap(tmp_path)
    assert (overlap.shared_artists, overlap.shared_tracks, overlap.test_tracks) == (1, 1, 3)
    assert "1 of the 2 artists of test" in overlap.line()
    archive.write_table(tmp_path / "train" / "utt2spk", {"a1": "a1", "a2": "a2"})
    archive.write_table(tmp_path / "test" / "utt2spk", {"b1": "b1", "b2": "b2"})
    assert "unknown" in artist_overlap(tmp_path).line()


def test_topology_from_options(tmp_path):
    lstm = read_topology(tmp_path, {"proj-dim": "64", "num-layers": "2"}, 525, 6)
    assert (lstm.kind, lstm.text) == ("LSTM", "525-64-64-6")
    dnn = read_topology(tmp_path, {"hid-dim": "32", "hid-layers": "1"}, 525, 6)
    assert (dnn.kind, dnn.text) == ("DNN", "525-32-6")
    assert read_topology(tmp_path, {}, 525, 6) is None


def test_topology_from_a_network(tmp_path):
    (tmp_path / "final.nnet").write_text(
        "<Nnet>\n<AffineTransform> 2 3\n<LearnRateCoef> 1 <BiasLearnRateCoef> 1 <MaxNorm> 0\n"
        " [\n  0 0 0\n  0 0 0 ]\n [ 0 0 ]\n<!EndOfComponent>\n<Sigmoid> 2 2\n<!EndOfComponent>\n"
        "<AffineTransform> 4 2\n<LearnRateCoef> 1 <BiasLearnRateCoef> 1 <MaxNorm> 0\n"
        " [\n  0 0\n  0 0\n  0 0\n  0 0 ]\n [ 0 0 0 0 ]\n<!EndOfComponent>\n"
        "<Softmax> 4 4\n<!EndOfComponent>\n</Nnet>\n"
    )
    topology = read_topology(tmp_path, {"proj-dim": "9"}, 525, 6)
    assert (topology.kind, topology.text) == ("DNN", "3-2-4")


def test_configuration_hash_depends_on_content_and_not_on_the_folder():
    first = hash_texts({"conf/a.conf": "--x=1\n"})
    assert first == hash_texts({"elsewhere/a.conf": "--x=1\n"})
    assert first != hash_texts({"conf/a.conf": "--x=2\n"})
    assert hash_texts({"a": "bc"}) != hash_texts({"ab": "c"})


def test_training_log(tmp_path):
    path = tmp_path / "iters.tsv"
    header = "iter\tlr\ttr_loss\ttr_acc\tcv_loss\tcv_acc\taccepted\tseconds\tnnet\n"
    path.write_text(
        header + "0\t2e-05\tnan\tnan\t1.8\t15\ttrue\t0.5\tinit\n1\t2e-05\t1.5\t45\t1.9\t40\tfalse\t2\tx\n"
    )
    first, second = read_iterations(path)
    assert np.isnan(first.tr_loss) and first.accepted and first.cv_acc == 15.0
    assert (second.number, second.tr_acc, second.accepted) == (1, 45.0, False)
    path.write_text(header + "0\t2e-05\tx\tnan\t1.8\t15\ttrue\t0.5\tinit\n")
    with pytest.raises(UserError, match=r"iters\.tsv:2"):
        read_iterations(path)
    path.write_text("iter\tlr\n")
    with pytest.raises(UserError, match="tr_loss"):
        read_iterations(path)
