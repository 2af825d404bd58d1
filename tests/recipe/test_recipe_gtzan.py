"""GTZAN in miniature up to its training data: ten classes, its own folds, every excerpt tested once."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from local.corpus import gtzan
from tests.workspace import make_workspace, run_recipe, set_options
from utils import tables

pytestmark = pytest.mark.xdist_group("gtzan")
OPTIONS = ("--corpus", "gtzan", "--corpus-root", "genres", "--conf", "conf/synth", "--stop-stage", "3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of a run over 40 excerpts."""
    folder = make_workspace(tmp_path_factory.mktemp("gtzan") / "copy")
    for index, genre in enumerate(gtzan.GENRES):
        (folder / "genres" / genre).mkdir(parents=True)
        for number in range(4):
            sound = 0.1 * np.random.default_rng([index, number]).standard_normal(22050)
            path = folder / "genres" / genre / f"{genre}.{number:05d}.au"
            soundfile.write(path, sound, 22050, "PCM_16", format="AU")
    set_options(folder / "conf/prepare_gtzan.conf", {"folds": "2", "allow-missing": "960"})
    done = run_recipe(folder, *OPTIONS, "--folds", "2")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_every_excerpt_is_tested_once_in_a_fold_of_the_corpus(folder):
    folds = tables.read_table(folder / "data/gtzan/utt2fold")
    assert len(folds) == 40
    for fold in "12":
        tested = tables.read_table(folder / f"data/gtzan_fold{fold}/test/utt2genre")
        assert set(tested) == {utt for utt, its_fold in folds.items() if its_fold == fold}
        assert set(tested.values()) == set(gtzan.GENRES)
        assert (folder / f"data/gtzan_fold{fold}/train_tr/labels.scp").exists()


def test_folds_that_are_not_the_corpus_own_are_refused(folder):
    done = run_recipe(folder, *OPTIONS, "--folds", "5")
    assert done.returncode == 1
    assert "ERROR (make_folds.sh) data/gtzan/utt2fold has 2 folds by spk (conf/prepare" in done.stderr
