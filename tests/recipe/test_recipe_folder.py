"""A folder of one's own with three classes, all stages: dimensions follow the classes, lists are inputs."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import soundfile

from steps import archive
from tests.workspace import doing, make_workspace, run_recipe, set_options
from utils import tables

pytestmark = pytest.mark.xdist_group("extra")
OPTIONS = ("--corpus", "folder", "--corpus-root", "music", "--conf", "conf/synth")
MODELS = ("--dnns", "", "--lstms", "lstm_512")
GENRES = ("Drum & Bass", "Jazz", "Ständchen")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished run and what it printed; a class folder is a link, a file is broken."""
    folder = make_workspace(tmp_path_factory.mktemp("folder") / "copy")
    for index, genre in enumerate(GENRES):
        place = folder / ("elsewhere" if index == 2 else "music") / genre
        for number in range(4):
            rng = np.random.default_rng([index, number])
            clock = np.arange(4 * 22050) / 22050
            sound = 0.2 * np.sin(2 * np.pi * 150 * (index + 1) * clock) + 0.05 * rng.standard_normal(
                len(clock)
            )
            path = place / f"Ann {number}" / f"{number} été.flac"
            path.parent.mkdir(parents=True)
            soundfile.write(path, sound, 22050, "PCM_16")
    (folder / "music" / GENRES[2]).symlink_to(folder / "elsewhere" / GENRES[2])
    broken = folder / "music/Jazz/Ann 0/broken.mp3"
    broken.write_bytes(b"not music")
    set_options(
        folder / "conf/prepare_folder.conf",
        {"artist-pattern": "^(?P<artist>[^/]+/[^/]+)/", "artist-tags": "false", "exclude": "conf/exclude"},
    )
    (folder / "conf/exclude").write_text("")
    set_options(folder / "conf/svm.conf", {"c-grid": "0.1", "folds": "2"})
    refused = run_recipe(folder, *OPTIONS, "--stop-stage", "1")
    assert refused.returncode == 1
    log = "".join(path.read_text() for path in folder.rglob("convert_audio.*.log"))
    utt = re.search(r"(\S*broken\S*): \S", log)[1]
    (folder / "conf/exclude").write_text(f"{utt} is no music\n")
    done = run_recipe(folder, *OPTIONS, *MODELS)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done


def test_dimensions_follow_the_number_of_classes(finished, monkeypatch):
    folder, done = finished
    monkeypatch.chdir(folder)
    assert (folder / "data/folder/train/genres.txt").read_text() == "drum_and_bass\njazz\nstandchen\n"
    network = "525-8-3"
    text = (folder / "exp/folder_lstm_512/results.txt").read_text()
    assert network in text
    assert "LSeg_acc: 12 dimensions" in text and "FSeg_acc: 537 dimensions" in text
    posts = archive.read_matrices(f"scp:{folder}/exp/folder_lstm_512/post_test/post.scp")
    assert {post.shape[1] for _, post in posts} == {3}
    assert network in done.stdout and "Traceback" not in done.stderr
    assert json.loads((folder / "exp/folder_summary/results.json").read_text())["accuracies"]


def test_a_changed_list_is_a_changed_input(finished):
    folder, _ = finished
    assert doing(run_recipe(folder, *OPTIONS, *MODELS, "--stop-stage", "0")) == []
    utt = next(iter(tables.read_table(folder / "data/folder/train/wav.scp")))
    with (folder / "conf/exclude").open("a") as file:
        file.write(f"{utt}\n")
    done = run_recipe(folder, *OPTIONS, *MODELS, "--stop-stage", "0")
    assert doing(done) == ["data/folder/.done/prepare"]
    assert utt not in tables.read_table(folder / "data/folder/train/wav.scp")


def test_a_changed_track_behind_a_link_is_a_changed_input(finished):
    folder, _ = finished
    path = next((folder / "elsewhere").rglob("*.flac"))
    path.write_bytes(path.read_bytes() + b"\0")
    done = run_recipe(folder, *OPTIONS, *MODELS, "--stop-stage", "0")
    assert doing(done) == ["data/folder/.done/prepare"]


def test_folds_that_disagree_with_the_preparation_are_refused(finished):
    folder, _ = finished
    table = tables.read_table(folder / "data/folder/train/utt2spk")
    tables.write_table(folder / "data/folder/utt2fold", {utt: str(1 + n % 3) for n, utt in enumerate(table)})
    done = run_recipe(folder, *OPTIONS, *MODELS, "--folds", "2", "--stage", "3")
    assert done.returncode == 1
    assert "data/folder/utt2fold has 3 folds by spk" in done.stderr and "but --folds 2" in done.stderr
    (folder / "data/folder/utt2fold").unlink()
