"""The paper's numbers, the tables' layout, and what tables and pictures are made from."""

import re

import numpy as np
import pytest

from local.report import paper, tables
from local.report.experiments import Run, Value
from local.report.results import overlap_line
from steps.scoring.scores import Measure, Predictions, Scores
from utils import tables as text_tables

SEG = [[2, 1], [0, 1]]
UTTS = ("u1", "u2", "u3", "u4")


def test_the_papers_tables_agree_with_themselves():
    *rows, total = paper.TABLE1.values()
    assert np.sum(rows, axis=0) == pytest.approx(total, abs=0.006)
    assert total[0] == total[2] == paper.NUM_TEST
    best = max(model.fseg for model in paper.LSTMS.values() if model.fseg)
    assert best - paper.MODELS["dnn1"].seg == pytest.approx(4.39)


def _scores(confusions) -> Scores:
    table = Predictions(("a", "b"), UTTS, np.zeros(4, int), np.zeros(4, int), np.zeros((4, 2)))
    measures = {key: Measure(key, np.array(value)) for key, value in confusions.items()}
    return Scores(("a", "b"), measures, {"Seg_acc": table})


def _run(tmp_path, name, confusions, *network) -> Run:
    return Run(name, tmp_path / f"toy_{name}", {}, network or None, (_scores(confusions),))


def test_table4_has_quoted_systems_and_the_extra_rows(tmp_path):
    lstm = {"Seg_acc": SEG, "LSeg_acc": SEG, "FSeg_acc": SEG}
    runs = [
        _run(tmp_path, "dnn1", lstm, "DNN", (525, 32, 6)),
        _run(tmp_path, "dnn2", {"Seg_acc": SEG}, "DNN", (525, 32, 32, 6)),
        _run(tmp_path, "lstm_512", lstm, "LSTM", (525, 512, 6)),
        _run(tmp_path, "sc", {"ScSeg_acc": [[3, 0], [0, 1]]}),
        _run(tmp_path, "hol2008", {"Seg_acc": [[3, 0], [0, 1]]}),
        _run(tmp_path, "best", {"Seg_acc": [[3, 0], [0, 1]]}),
    ]
    table = tables.table4(runs)
    text = "\n".join(table.lines())
    assert re.search(r"son2008 .*quoted +- .*\| +84\.77", text)
    assert re.search(r"hol2008 \(Holz[^)]*\) +100\.00 .*\| +83\.50", text)
    assert re.search(r"LSTM \(525-512-6\) .*\| +87\.52 +88\.07 +89\.71", text)
    assert [row[0] for row in table.rows[-2:]] == ["baseline-DNN1 (525-32-6)", "SVM on f_sc"]
    assert [row[0] for row in table.rows[:2]] == ["best", "LSTM (525-512-6)"] and "cf:" not in text
    assert all(row[1].startswith("100.00") for row in (table.rows[0], table.rows[-1]))
    first = table.paper_first()
    assert first.columns[:3] == ("model", "paper Seg", "paper LSeg") and first.paper == range(1, 5)
    assert first.rows[1][1:4] == ("87.52", "88.07", "89.71") and first.rows[1][5] == table.rows[1][1]


def test_seeds_are_averaged_and_counted(tmp_path):
    seeds = tuple(_scores({"Seg_acc": found}) for found in ([[2, 0], [0, 2]], [[1, 1], [1, 1]]))
    run = Run("lstm_512", tmp_path, {}, ("LSTM", (525, 512, 6)), seeds)
    value = run.value("Seg_acc")
    assert (value.percent, value.correct, value.total) == (75.0, 4, 4)
    assert value.deviation == pytest.approx(35.3553, abs=1e-4)
    assert value.cell() == "75.00 ± 35.36"
    assert "2 seeds" in tables.table2([run]).title
    assert run.value("LSeg_acc") is None
    assert Value(75.0, None, 3, 4, (30.06, 95.44), (30.06, 95.44), 70.0).cell() == "75.00 [30.1 95.4]"


@pytest.mark.parametrize(
    ("train", "test", "note", "expected"),
    [
        (
            "A A B",
            "A C C",
            "",
            "1 of the 2 artists of test are also among the 2 of train; 1 of 3 test tracks",
        ),
        ("u v", "x y", "", "unknown: every track stands as an artist of its own"),
        (
            "A B",
            "1 2",
            "test: artists shared with train: unknown: numbers\n",
            "Artist overlap: unknown: numbers",
        ),
    ],
)
def test_artist_overlap(tmp_path, train, test, note, expected):
    for part, artists in (("train", train), ("test", test)):
        table = {f"{part}{number}": artist for number, artist in enumerate(artists.split())}
        text_tables.write_table(tmp_path / part / "utt2spk", table)
    (tmp_path / "overlap.txt").write_text(note)
    assert expected in overlap_line(tmp_path)
