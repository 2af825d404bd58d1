"""A second test set: ISMIR2004 in miniature, whose evaluation stands beside its development, all stages."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from local.corpus.ismir04 import COUNTS, GENRES, SUBSETS
from tests.workspace import make_workspace, run_recipe, set_options

pytestmark = pytest.mark.xdist_group("extra")
PER_CLASS = {"train": 3, "test": 1, "evaluation": 2}
OPTIONS = ("--corpus", "ismir04", "--corpus-root", "archive", "--conf", "conf/synth")
MODELS = ("--dnns", "dnn1", "--lstms", "lstm_512")
LINE = r"^%(\w+) \d+\.\d\d \[ (\d+) / (\d+) \]"


def sound(genre: int, number: int) -> np.ndarray:
    """Return five seconds of a class's chord in noise, different for each number."""
    rng = np.random.default_rng([genre, number])
    clock = np.arange(5 * 22050) / 22050
    tones = sum(np.sin(2 * np.pi * 110 * (genre + 1) * (k + 1) * clock) / (k + 1) for k in range(4))
    return np.round(6000 * tones + 1500 * rng.standard_normal(len(clock))).astype(np.int16)


def make_archive(root: Path) -> None:
    """Write the archive as it unpacks; the first track of evaluation is the first of train, as FLAC."""
    for subset, split in SUBSETS.items():
        rows = []
        for index, genre in enumerate(GENRES):
            for number in range(PER_CLASS[subset]):
                twin = subset == "evaluation" and (index, number) == (0, 0)
                artist = f"{'artist' if subset == 'test' else genre}_{number}"
                name = f"{genre}/{artist}/{split}_{number}.{'flac' if twin else 'wav'}"
                path = root / "audio" / split / name
                path.parent.mkdir(parents=True, exist_ok=True)
                take = 0 if twin else 100 * list(SUBSETS).index(subset) + number
                soundfile.write(path, sound(index, take), 22050, "PCM_16")
                rows.append([genre, artist, "album", f"track_{genre}", number, name])
        table = root / "metadata" / split / "tracklist.csv"
        table.parent.mkdir(parents=True)
        with table.open("w", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished run and what it printed."""
    folder = make_workspace(tmp_path_factory.mktemp("extra") / "copy")
    make_archive(folder / "archive")
    missing = sum(map(sum, COUNTS.values())) - 6 * sum(PER_CLASS.values())
    set_options(folder / "conf/prepare_ismir04.conf", {"allow-missing": str(missing)})
    set_options(folder / "conf/synth/dnn1.conf", {"minibatch-size": "8"})
    set_options(folder / "conf/svm.conf", {"c-grid": "0.001,0.1", "folds": "2"})
    done = run_recipe(folder, *OPTIONS, *MODELS)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done


def accuracies(path: Path) -> dict[str, tuple[int, int]]:
    """Return right and all of every greppable line of a results.txt."""
    found = re.findall(LINE, path.read_text(), re.MULTILINE)
    return {name: (int(right), int(total)) for name, right, total in found}


@pytest.mark.parametrize("model", ["dnn1", "lstm_512"])
def test_results_have_both_sets_under_names_of_their_own(finished, model):
    exp = finished[0] / f"exp/ismir04_{model}"
    found = accuracies(exp / "results.txt")
    for name in ("Frame_acc", "Seg_acc", "LogSeg_acc", "LSeg_acc", "FSeg_acc"):
        frames = 27 if name == "Frame_acc" else 1
        assert found[name][1] == 6 * frames
        assert found[f"evaluation_{name}"][1] == 12 * frames
    record = json.loads((exp / "results.json").read_text())
    assert record["num_tracks"] == {"train": 18, "test": 6, "evaluation": 12}
    assert record["num_frames"]["evaluation"] == 12 * 27
    counts = {item["name"]: (item["correct"], item["total"]) for item in record["sets"]["evaluation"]}
    assert counts == {
        name.removeprefix("evaluation_"): value
        for name, value in found.items()
        if name.startswith("evaluation_")
    }


def test_the_same_svm_scores_both_sets(finished):
    folder = finished[0] / "exp/ismir04_lstm_512/svm_fusion"
    assert len((folder / "evaluation.scp").read_text().splitlines()) == 12
    rows = (folder / "score_evaluation/predictions_FSeg_acc.tsv").read_text().splitlines()
    assert len(rows) == 13 and not (folder / "score_evaluation/svm.npz").exists()


def test_tables_and_page_keep_the_sets_apart(finished):
    folder, done = finished
    summary = folder / "exp/ismir04_summary"
    title = "Test set evaluation, 12 tracks, not in the paper"
    assert done.stdout.index("Table 4.") < done.stdout.index(title)
    assert "The paper tests on 729 tracks, this is on 6." in done.stdout
    assert "Artist overlap: unknown: the archive replaced the artists of development" in done.stdout
    assert "12 of 12 evaluation tracks are by them" in done.stdout
    with (summary / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    rows = [row for row in table if row["set"] == "evaluation" and row["measure"] == "Seg_acc"]
    assert [row["experiment"] for row in rows] == ["ismir04_dnn1", "ismir04_lstm_512"]
    right, total = accuracies(folder / "exp/ismir04_dnn1/results.txt")["evaluation_Seg_acc"]
    assert (int(rows[0]["correct"]), int(rows[0]["total"])) == (right, total) and rows[0]["paper"] == ""
    assert {row["total"] for row in table if row["set"] == "test"} == {"6", str(6 * 27)}
    page = (folder / "exp/ismir04_report/index.html").read_text()
    assert '<section id="set-evaluation"><h2>Test set evaluation</h2>' in page
    assert 'href="#set-evaluation"' in page


def test_the_same_recording_under_another_name_is_reported(finished):
    text = (finished[0] / "data/ismir04/overlap.txt").read_text()
    assert "test: artists shared with train: unknown" in text
    assert "evaluation: recordings with the content of one in train: 1 of 12" in text
    assert "_evaluation_0 has the content of classical_0-classical_0_training_0 in train" in text


def test_without_the_second_set_nothing_of_the_first_changes(finished):
    folder, _ = finished
    names = [f"exp/ismir04_{model}/score_test/accuracy.json" for model in ("dnn1", "lstm_512")]
    names += [f"exp/ismir04_lstm_512/svm_fusion/{name}" for name in ("svm.npz", "score_test/accuracy.json")]
    before = {name: (folder / name).read_bytes() for name in names}
    done = run_recipe(folder, *OPTIONS, *MODELS, "--test-sets", "test", "--stage", "7")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Test set" not in done.stdout
    text = (folder / "exp/ismir04_dnn1/results.txt").read_text()
    assert "%Seg_acc" in text and "evaluation" not in text
    record = json.loads((folder / "exp/ismir04_dnn1/results.json").read_text())
    assert list(record["sets"]) == ["test"]
    assert before == {name: (folder / name).read_bytes() for name in names}


@pytest.mark.parametrize("names", ["train", "test test", "test train_cv", "test ../other", "evaluation test"])
def test_other_names_are_refused(finished, names):
    done = run_recipe(finished[0], *OPTIONS, "--test-sets", names)
    assert done.returncode == 2 and "--test-sets: expected test" in done.stderr
