"""Pooling of folds, against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path
from statistics import stdev

import numpy as np
import pytest

from local.report.folds import FoldedRun, fold_rows, fold_table, overlap_line
from local.report.runs import Run
from steps import archive
from steps.scoring.measures import Measure, write_measures
from steps.scoring.pooling import is_pooled, load_pooled, pool_measures, pool_predictions, pool_systems
from steps.scoring.predictions import Predictions, write_predictions
from steps.scoring.system import SystemResults
from utils.cli import UserError

CLASSES = ("a", "b")


def votes(utts: str, ref: list[int], hyp: list[int], frames: list[int], right: list[int]) -> Predictions:
    """Return majority votes; every track's scores are its frames, for telling the rows apart."""
    return Predictions(
        classes=CLASSES,
        utts=tuple(utts.split()),
        ref=np.array(ref),
        hyp=np.array(hyp),
        scores=np.array([[count, 0.0] for count in frames]),
        counts={"frames": np.array(frames), "frames_correct": np.array(right)},
    )


def system(path: str, frames: list[list[int]], by_vote: Predictions, ties: int) -> SystemResults:
    """Return the results of one fold."""
    measures = {
        "Frame_acc": Measure("Frame_acc", np.array(frames), {"by_track": [1.0, 2.0]}),
        "Seg_acc": Measure("Seg_acc", by_vote.confusion, {"ties": ties}),
    }
    return SystemResults(Path(path), CLASSES, measures, {"Seg_acc": by_vote}, {})


FIRST = system("f1", [[10, 0], [4, 6]], votes("t1 t3 t5", [0, 1, 1], [0, 1, 0], [10, 6, 4], [10, 6, 0]), 1)
SECOND = system("f2", [[5, 5], [0, 10]], votes("t2 t4", [0, 1], [0, 1], [10, 10], [5, 10]), 2)
"""16 of 20 frames and 2 of 3 tracks in the first fold, 15 of 20 and 2 of 2 in the second."""


def test_counts_are_sums_and_the_balance_is_that_of_the_sums():
    pooled = pool_systems([FIRST, SECOND], Path("pooled"))
    frame, seg = pooled.measures["Frame_acc"], pooled.measures["Seg_acc"]
    assert frame.confusion.tolist() == [[15, 5], [4, 16]]
    assert (frame.correct, frame.total) == (31, 40)
    assert frame.balanced == pytest.approx(100 * (15 / 20 + 16 / 20) / 2)
    assert seg.confusion.tolist() == [[2, 0], [1, 2]]
    assert seg.extra == {"ties": 3}
    assert seg.balanced == pytest.approx(100 * (1 + 2 / 3) / 2)


def test_intervals_are_of_the_pooled_trials():
    pooled = pool_systems([FIRST, SECOND], Path("pooled"))
    # Wilson, 4 of 5, z = 1.959964: centre (0.8 + 0.384146) / 1.768292, half 1.108394 sqrt(0.032 + 0.038415)
    assert pooled.measures["Seg_acc"].wilson == pytest.approx((37.5535, 96.3776), abs=1e-3)
    # R = 31/40; residuals x - R n of t1 ... t5: 2.25 -2.75 1.35 2.25 -3.1, squares 29.12; 5/4 * 29.12 / 1600,
    # root 0.150831, times t(0.975, 4) = 2.776445
    low, high = pooled.measures["Frame_acc"].extra["by_track"]
    assert low == pytest.approx(77.5 - 41.8773, abs=1e-3)
    assert high == 100.0


def test_tracks_stand_in_c_order_with_their_own_rows():
    table = pool_systems([FIRST, SECOND], Path("pooled")).predictions["Seg_acc"]
    assert table.utts == ("t1", "t2", "t3", "t4", "t5")
    assert table.ref.tolist() == [0, 0, 1, 1, 1]
    assert table.hyp.tolist() == [0, 0, 1, 1, 0]
    assert table.counts["frames"].tolist() == table.scores[:, 0].tolist() == [10, 10, 6, 10, 4]
    assert table.counts["frames_correct"].tolist() == [10, 5, 6, 10, 0]


def test_the_order_of_the_folds_does_not_matter():
    one, other = (pool_systems(folds, Path("p")) for folds in ([FIRST, SECOND], [SECOND, FIRST]))
    assert one.predictions["Seg_acc"].utts == other.predictions["Seg_acc"].utts
    for name, measure in one.measures.items():
        assert measure.as_json() == other.measures[name].as_json()


def test_a_track_in_two_folds_is_refused():
    again = votes("t1", [0], [0], [3], [3])
    with pytest.raises(UserError, match="second: track 't1' was also tested in first"):
        pool_predictions([FIRST.predictions["Seg_acc"], again], ["first", "second"])


def test_folds_with_other_measures_or_classes_are_refused():
    lacking = SystemResults(
        Path("f3"), CLASSES, {"Seg_acc": SECOND.measures["Seg_acc"]}, SECOND.predictions, {}
    )
    with pytest.raises(UserError, match="f3 and f1: only one of them has Frame_acc"):
        pool_systems([FIRST, lacking], Path("p"))
    renamed = SystemResults(Path("f4"), ("a", "c"), SECOND.measures, SECOND.predictions, {})
    with pytest.raises(UserError, match="f4: scored with the classes 'a c'"):
        pool_systems([FIRST, renamed], Path("p"))


def test_an_interval_by_track_needs_the_tracks():
    assert pool_measures([FIRST.measures["Frame_acc"]]).extra == {}


@pytest.fixture
def folded() -> FoldedRun:
    """Return a model with the two folds."""
    record = {"network": {"kind": "LSTM", "dims": [525, 8, 2]}, "svms": {}}
    folds = tuple(Run("lstm", record, (part,)) for part in (FIRST, SECOND))
    return FoldedRun(Run("lstm", record, (pool_systems([FIRST, SECOND], Path("pooled")),)), folds)


def test_mean_and_deviation_over_the_folds(folded):
    assert folded.by_fold("Frame_acc") == pytest.approx([80.0, 75.0])
    assert folded.spread("Frame_acc") == pytest.approx((77.5, 5 / 2**0.5))
    # 2 of 3 and 2 of 2: the mean over folds is not the pooled 80 %
    assert folded.spread("Seg_acc") == pytest.approx((250 / 3, stdev([200 / 3, 100])))
    row = next(line for line in fold_table([folded], ["Frame_acc", "Seg_acc"]) if " Seg_acc " in line)
    assert " ".join(row.split()) == "LSTM (525-8-2) Seg_acc 66.67 100.00 | 83.33 ± 23.57 80.00 [37.6 96.4]"


def test_rows_for_csv(folded):
    rows = {(row["fold"], row["measure"]): row for row in fold_rows([folded])}
    assert len(rows) == 6
    assert (rows["1", "Seg_acc"]["correct"], rows["1", "Seg_acc"]["total"]) == (2, 3)
    assert (rows["pooled", "Seg_acc"]["correct"], rows["pooled", "Seg_acc"]["total"]) == (4, 5)


def test_artist_overlap_is_counted_over_all_folds(tmp_path):
    tables = [
        ({"u1": "x", "u2": "y"}, {"u3": "x", "u4": "z"}),
        ({"u3": "x", "u4": "z"}, {"u1": "x", "u2": "y"}),
    ]
    for fold, parts in enumerate(tables, start=1):
        for name, table in zip(("train", "test"), parts, strict=True):
            (tmp_path / f"f{fold}" / name).mkdir(parents=True)
            archive.write_table(tmp_path / f"f{fold}" / name / "utt2spk", table)
    folders = [tmp_path / "f1", tmp_path / "f2"]
    assert "2 of 4 test tracks" in overlap_line(folders)
    (tmp_path / "f2/overlap.txt").write_text("test: artists shared with train: unknown: nobody says\n")
    assert overlap_line(folders).endswith("unknown: nobody says")


def test_pooled_results_are_read_back(tmp_path):
    pooled = pool_systems([FIRST, SECOND], tmp_path)
    assert not is_pooled(tmp_path)
    write_measures(tmp_path / "results.json", CLASSES, list(pooled.measures.values()))
    write_predictions(tmp_path / "predictions_Seg_acc.tsv", pooled.predictions["Seg_acc"])
    again = load_pooled(tmp_path)
    assert is_pooled(tmp_path) and list(again.measures) == ["Frame_acc", "Seg_acc"]
    assert again.measures["Seg_acc"].as_json() == pooled.measures["Seg_acc"].as_json()
    assert again.first_predictions().utts == ("t1", "t2", "t3", "t4", "t5")
    other = Measure("Seg_acc", np.array([[2, 0], [0, 3]]))
    write_measures(tmp_path / "results.json", CLASSES, [other])
    with pytest.raises(UserError, match="predictions_Seg_acc.tsv: does not agree"):
        load_pooled(tmp_path)
