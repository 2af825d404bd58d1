"""GTZAN in miniature through all stages: ten classes, its own folds, every excerpt tested once."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from local.corpus import gtzan
from tests.workspace import make_workspace, run_recipe, set_options
from utils import tables

pytestmark = pytest.mark.xdist_group("gtzan")
OPTIONS = ("--corpus", "gtzan", "--corpus-root", "genres", "--conf", "conf/synth", "--folds", "2")
MODELS = ("--dnns", "", "--lstms", "lstm_512")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished run over 40 excerpts, and what it printed."""
    folder = make_workspace(tmp_path_factory.mktemp("gtzan") / "copy")
    clock = np.arange(4 * 22050) / 22050
    for index, genre in enumerate(gtzan.GENRES):
        (folder / "genres" / genre).mkdir(parents=True)
        for number in range(4):
            noise = np.random.default_rng([index, number]).standard_normal(len(clock))
            sound = 0.2 * np.sin(2 * np.pi * 110 * 2 ** (index / 2) * clock) + 0.02 * noise
            path = folder / "genres" / genre / f"{genre}.{number:05d}.au"
            soundfile.write(path, sound, 22050, "PCM_16", format="AU")
    set_options(folder / "conf/prepare_gtzan.conf", {"folds": "2", "allow-missing": "960"})
    set_options(folder / "conf/svm.conf", {"c-grid": "0.1", "folds": "2"})
    done = run_recipe(folder, *OPTIONS, *MODELS)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done


def test_every_excerpt_is_tested_once_in_a_fold_of_the_corpus(finished):
    folder, _ = finished
    folds = tables.read_table(folder / "data/gtzan/utt2fold")
    assert len(folds) == 40
    for fold in "12":
        tested = tables.read_table(folder / f"data/gtzan_fold{fold}/test/utt2genre")
        assert set(tested) == {utt for utt, its_fold in folds.items() if its_fold == fold}
        assert set(tested.values()) == set(gtzan.GENRES)


def test_dimensions_and_pooled_tables_are_those_of_ten_classes(finished):
    folder, done = finished
    text = (folder / "exp/gtzan_fold1_lstm_512/results.txt").read_text()
    assert "525-8-10" in text
    assert "LSeg_acc: 40 dimensions" in text and "FSeg_acc: 565 dimensions" in text
    assert "Traceback" not in done.stderr
    pooled = json.loads((folder / "exp/gtzan_folds_summary/results.json").read_text())
    rows = [(row["model"], row["total"]) for row in pooled["accuracies"] if row["measure"] == "Seg_acc"]
    assert rows == [("LSTM (525-8-10)", 40)]
    assert "than gtzan (40)" in done.stdout and "GTZAN does not name them" in done.stdout


def test_folds_that_are_not_the_corpus_own_are_refused(finished):
    folder, _ = finished
    options = [option if option != "2" else "5" for option in OPTIONS]
    done = run_recipe(folder, *options, *MODELS)
    assert done.returncode == 1
    assert "ERROR (make_folds.sh) data/gtzan/utt2fold has 2 folds by spk (conf/prepare" in done.stderr
