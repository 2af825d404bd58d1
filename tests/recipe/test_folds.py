"""Cross-validation on the tiny corpus: folds divide artists, each track is tested once, results add up."""

from __future__ import annotations

import csv
import json
import re

import pytest

from tests.workspace import doing, run_recipe, set_options
from utils import tables

pytestmark = pytest.mark.xdist_group("folds")
OPTIONS = ("--folds", "2", "--fold-by", "spk", "--dnns", "dnn1", "--lstms", "")
MEASURES = ("Frame_acc", "Seg_acc", "LSeg_acc", "FSeg_acc")


@pytest.fixture(scope="module")
def finished(workspace):
    """Return the folder of a finished cross-validation and what it printed."""
    folder = workspace
    # One track is held out of the 13: less than a minibatch of frames, and no guide for the epochs.
    set_options(folder / "conf/synth/dnn1.conf", {"minibatch-size": "8", "keep-lr-iters": "3"})
    set_options(folder / "conf/svm.conf", {"c-grid": "0.001,0.1", "folds": "2"})
    done = run_recipe(folder, *OPTIONS)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done


def test_folds_divide_the_artists_and_hold_every_class_and_track(finished):
    data = finished[0] / "data"
    everyone = {}
    for part in ("train", "test"):
        everyone.update(tables.read_table(data / f"synth/{part}/utt2spk"))
    tested = []
    for fold in (1, 2):
        train, test = (
            tables.read_table(data / f"synth_fold{fold}/{part}/utt2spk") for part in ("train", "test")
        )
        assert not set(train.values()) & set(test.values())
        assert {**train, **test} == everyone
        for part in ("train", "test"):
            classes = tables.read_table(data / f"synth_fold{fold}/{part}/utt2genre").values()
            assert len(set(classes)) == 6
        tested += list(test)
    assert sorted(tested) == sorted(everyone)


def test_pooled_counts_are_the_sums_of_the_folds(finished):
    exp, model = finished[0] / "exp", "dnn1"

    def read(name: str) -> dict[str, tuple[int, int]]:
        text = (exp / name / "results.txt").read_text()
        found = re.findall(r"^%(\w+) \d+\.\d\d \[ (\d+) / (\d+) \]", text, re.MULTILINE)
        return {measure: (int(right), int(total)) for measure, right, total in found}

    folds = [read(f"synth_fold{fold}_{model}") for fold in (1, 2)]
    pooled = read(f"synth_folds_{model}")
    for name in MEASURES:
        assert pooled[name] == tuple(map(sum, zip(folds[0][name], folds[1][name], strict=True)))
    assert pooled["Seg_acc"][1] == 26
    summary = (exp / "synth_folds_summary/results.txt").read_text()
    right, total = pooled["FSeg_acc"]
    cells = rf"synth_folds_{model} +FSeg_acc +{100 * right / total:.2f} +\[ {right} / {total} \]"
    assert re.search(cells, summary)


def test_the_pooled_tables_end_the_output(finished):
    folder, done = finished
    tables = (folder / "exp/synth_folds_summary/tables.txt").read_text()
    assert done.stdout.endswith(tables)
    for text in ("2-fold cross-validation, no artist in two folds", "mean ± sd", "0 of 26 test tracks"):
        assert text in tables
    with (folder / "exp/synth_folds_summary/results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["experiment"] for row in rows} == {f"synth_folds_{x}" for x in ("dnn1", "sc")}
    assert "not of a cross-validation" in tables and "than synth (26)" in tables
    table = json.loads((folder / "data/synth_folds/tables.json").read_text())[0]
    assert table["columns"][2:4] == ["fold 1", "fold 2"]
    page = (folder / "exp/synth_folds_report/index.html").read_text()
    assert "2-fold cross-validation" in page and "Confusion matrices" in page


def test_one_stage_of_the_folds_and_one_fold_alone(finished):
    folder, _ = finished
    (folder / "exp/synth_fold2_dnn1/score_test/accuracy.json").unlink()
    done = run_recipe(folder, *OPTIONS, "--stage", "7", "--stop-stage", "7")
    assert doing(done) == ["exp/synth_fold2_dnn1/.done/vote_test"]
    (folder / "exp/synth_fold1_dnn1/score_test/accuracy.json").unlink()
    options = ("--conf", "conf/synth", "--dnns", "dnn1", "--lstms", "", "--stage", "7", "--stop-stage", "7")
    done = run_recipe(folder, "--corpus", "synth_fold1", *options)
    assert doing(done) == ["exp/synth_fold1_dnn1/.done/vote_test"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--folds", "1"), "--folds"),
        (("--folds", "many"), "--folds"),
        (("--folds", "2", "--fold-by", "album"), "album"),
        (("--corpus", "synth_fold1"), "from --stage 3"),
        (("--corpus", "synth_fold9", "--stage", "4"), "synth_fold9"),
        (("--folds", "2", "more"), "more"),
    ],
)
def test_wrong_options_are_refused(finished, options, message):
    done = run_recipe(finished[0], *options)
    assert done.returncode == 2 and message in done.stderr
