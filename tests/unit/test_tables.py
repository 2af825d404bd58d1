"""The paper's numbers, the tables made beside them, and pooled folds, against numbers worked out by hand."""

import dataclasses
import re

import numpy as np
import pytest

from local.corpus.overlap import describe_artists
from local.pool_folds import pool_predictions, pool_records, pool_scores
from local.report import paper, tables
from local.report.experiments import Run
from steps.scoring.scores import Measure, Predictions, Scores
from utils import tables as text_tables
from utils.cli import UserError
from utils.provenance import git_commit, write_record

SEG = [[2, 1], [0, 1]]
UTTS = ("u1", "u2", "u3", "u4")


def test_the_papers_tables_agree_with_themselves():
    *rows, total = paper.TABLE1.values()
    assert np.sum(rows, axis=0) == pytest.approx(total, abs=0.006)
    assert total[0] == total[2] == paper.NUM_TEST
    best = max(row.get("FSeg_acc", 0) for row in paper.ACCURACIES.values())
    assert best - paper.ACCURACIES["dnn1"]["Seg_acc"] == pytest.approx(4.39)


def _scores(confusions) -> Scores:
    table = Predictions(("a", "b"), UTTS, np.zeros(4, int), np.zeros(4, int), np.zeros((4, 2)))
    return Scores({key: Measure(key, np.array(value), {}, table) for key, value in confusions.items()})


def _run(tmp_path, name, confusions, *network) -> Run:
    record = {"network": dict(zip(("kind", "dims"), network, strict=True))} if network else {}
    return Run(name, tmp_path / f"toy_{name}", record, (_scores(confusions),))


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
    assert re.search(r"son2008 .*quoted +84\.77 .*\| +- ", text)
    assert re.search(r"hol2008 \(Holz[^)]*\) +83\.50 .*\| +100\.00", text)
    assert re.search(r"LSTM \(525-512-6\) +87\.52 +88\.07 +89\.71 .*\| +75\.00", text)
    assert [row[0] for row in table.rows[-2:]] == ["baseline-DNN1 (525-32-6)", "SVM on f_sc"]
    assert [row[0] for row in table.rows[:2]] == ["best", "LSTM (525-512-6)"] and "cf:" not in text
    assert all(row[5].startswith("100.00") for row in (table.rows[0], table.rows[-1]))


def test_seeds_are_averaged_and_counted(tmp_path):
    seeds = tuple(_scores({"Seg_acc": found}) for found in ([[2, 0], [0, 2]], [[1, 1], [1, 1]]))
    run = Run("lstm_512", tmp_path, {"network": {"kind": "LSTM", "dims": [525, 512, 6]}}, seeds)
    assert run.cell("Seg_acc") == "75.00 ± 35.36" and run.cell("LSeg_acc") == "-"
    (row,) = tables.all_accuracies([run], "test").rows
    assert row[2:4] == ["100.00", "[ 4 / 4 ]"] and row[-2] == "75.00 ± 35.36"
    assert "2 seeds" in tables.table2([run]).title
    assert _run(tmp_path, "a", {"Seg_acc": SEG}).cell("Seg_acc") == "75.00 [30.1 95.4]"


@pytest.mark.parametrize(
    ("train", "test", "note", "expected"),
    [
        ("A A B", "A C C", "", "1 of 3 tracks of test (33.3 %)"),
        ("u v", "x y", "", "unknown: every track stands as an artist of its own"),
        ("A B", "1 2", "numbers", "Artist overlap: unknown: numbers"),
    ],
)
def test_artist_overlap(tmp_path, train, test, note, expected):
    for part, artists in (("train", train), ("test", test)):
        table = {f"{part}{number}": artist for number, artist in enumerate(artists.split())}
        text_tables.write_table(tmp_path / part / "utt2spk", table)
    if note:
        (tmp_path / "test/artists_unknown").write_text(note)
    assert expected in describe_artists(tmp_path, "test")


CLASSES = ("a", "b")


def votes(utts: str, ref: list[int], hyp: list[int], frames: list[int], right: list[int]) -> Predictions:
    """Return majority votes; the scores of a track are its frames, right and all, to tell the rows apart."""
    scores = np.array([right, frames], dtype=float).T
    return Predictions(CLASSES, tuple(utts.split()), np.array(ref), np.array(hyp), scores)


def fold(frames: list[list[int]], by_vote: Predictions, cost: int) -> Scores:
    measures = {
        "Frame_acc": Measure("Frame_acc", np.array(frames), {"frames": by_vote.scores.tolist()}),
        "Seg_acc": by_vote.measure("Seg_acc", notes=f"C {cost}"),
    }
    return Scores(measures)


FIRST = fold([[10, 0], [4, 6]], votes("t1 t3 t5", [0, 1, 1], [0, 1, 0], [10, 6, 4], [10, 6, 0]), 1)
SECOND = fold([[5, 5], [0, 10]], votes("t2 t4", [0, 1], [0, 1], [10, 10], [5, 10]), 2)
"""16 of 20 frames and 2 of 3 tracks in the first fold, 15 of 20 and 2 of 2 in the second."""


def test_counts_are_sums_and_the_balance_is_that_of_the_sums():
    pooled = pool_scores([FIRST, SECOND])
    frame, seg = pooled.measures["Frame_acc"], pooled.measures["Seg_acc"]
    assert frame.confusion.tolist() == [[15, 5], [4, 16]]
    assert (frame.correct, frame.total) == (31, 40)
    assert frame.balanced == pytest.approx(100 * (15 / 20 + 16 / 20) / 2)
    assert seg.confusion.tolist() == [[2, 0], [1, 2]]
    assert seg.extra["notes"] == "fold 1: C 1; fold 2: C 2"
    assert seg.balanced == pytest.approx(100 * (1 + 2 / 3) / 2)


def test_intervals_are_of_the_pooled_trials():
    pooled = pool_scores([FIRST, SECOND])
    # Wilson, 4 of 5, z = 1.959964: centre (0.8 + 0.384146) / 1.768292, half 1.108394 sqrt(0.032 + 0.038415)
    assert pooled.measures["Seg_acc"].wilson == pytest.approx((37.5535, 96.3776), abs=1e-3)
    # R = 31/40; residuals x - R n of t1 ... t5: 2.25 -2.75 1.35 2.25 -3.1, squares 29.12; 5/4 * 29.12 / 1600,
    # root 0.150831, times t(0.975, 4) = 2.776445
    low, high = pooled.measures["Frame_acc"].by_track
    assert low == pytest.approx(77.5 - 41.8773, abs=1e-3)
    assert high == 100.0


def test_tracks_stand_in_c_order_with_their_own_rows():
    table = pool_scores([FIRST, SECOND]).tracks
    assert table.utts == ("t1", "t2", "t3", "t4", "t5")
    assert table.ref.tolist() == [0, 0, 1, 1, 1]
    assert table.hyp.tolist() == [0, 0, 1, 1, 0]
    assert table.scores.T.tolist() == [[10, 5, 6, 10, 0], [10, 10, 6, 10, 4]]


def test_folds_that_do_not_fit_are_refused():
    again = votes("t1", [0], [0], [3], [3])
    with pytest.raises(UserError, match="track 't1' was tested in two folds"):
        pool_predictions([FIRST.tracks, again])
    lacking = Scores({"Seg_acc": SECOND.measures["Seg_acc"]})
    with pytest.raises(UserError, match="accuracies: Frame_acc Seg_acc of a b; Seg_acc of a b;"):
        pool_scores([FIRST, lacking])
    other = dataclasses.replace(SECOND.tracks, classes=("a", "c")).measure("Seg_acc")
    renamed = Scores({**SECOND.measures, "Seg_acc": other})
    with pytest.raises(UserError, match="; Frame_acc Seg_acc of a c"):
        pool_scores([FIRST, renamed])


def test_records_say_who_took_part_and_must_agree(tmp_path):
    folders = [tmp_path / name for name in ("f1", "f2")]
    network = {"kind": "LSTM", "dims": [525, 8, 6]}
    record = {"configuration": {"a.conf": "x"}, "seed": 1, "network": network, "machines": ["cpu"]}
    for commit, folder in zip("ba", folders, strict=True):
        folder.mkdir()
        assert pool_records([folder]) == {}
        write_record(folder, {**record, "commit": commit})
    assert pool_records(folders) == {**record, "commit": "a, b"}
    write_record(folders[1], {**record, "seed": 2})
    with pytest.raises(UserError, match="f1: not the configuration, seed or network of all folds"):
        pool_records(folders)


def test_what_is_said_of_no_commit_is_one_part_of_a_list(tmp_path):
    assert git_commit(tmp_path).startswith("unknown") and "," not in git_commit(tmp_path)
