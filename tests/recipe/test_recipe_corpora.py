"""Corpora of one's own in miniature: GTZAN in folds, ISMIR2004 with a second test set, a folder of music."""

import csv
import json
import re
from pathlib import Path

import pytest
import soundfile

from local import prepare_gtzan as gtzan
from local.prepare_ismir04 import GENRES, SUBSETS
from steps import archive
from tests.workspace import doing, make_workspace, run_recipe, set_options, write_track
from utils import tables

MEASURES = ("Frame_acc", "Seg_acc", "LogSeg_acc", "LSeg_acc", "FSeg_acc")
MODELS = ("--conf", "conf/synth", "--dnns", "dnn1", "--lstms", "")


def prepared(folder: Path) -> Path:
    """Return a copy of the recipe whose training suits few frames."""
    make_workspace(folder)
    # Of few tracks less than a minibatch of frames is held out, and no guide for the epochs.
    set_options(folder / "conf/synth/dnn1.conf", {"minibatch-size": "8", "keep-lr-iters": "3"})
    set_options(folder / "conf/svm.conf", {"c-grid": "0.001,0.1", "folds": "2"})
    return folder


def run(folder: Path, *options: str):
    done = run_recipe(folder, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def accuracies(path: Path) -> dict[str, tuple[int, int]]:
    """Return right and all of every greppable line of a results.txt."""
    found = re.findall(r"^%(\w+) \d+\.\d\d \[ (\d+) / (\d+) \]", path.read_text(), re.MULTILINE)
    return {name: (int(right), int(total)) for name, right, total in found}


@pytest.mark.xdist_group("gtzan")
class TestFolds:
    """Ten classes, all stages: folds of the corpus's own, each excerpt is tested once, results add up."""

    OPTIONS = ("--corpus", "gtzan", "--corpus-root", "genres", "--folds", "2", *MODELS)

    @pytest.fixture(scope="class")
    def finished(self, tmp_path_factory):
        """Return the folder of a finished cross-validation over 40 excerpts, and what it printed."""
        folder = prepared(tmp_path_factory.mktemp("gtzan") / "copy")
        for index, genre in enumerate(gtzan.GENRES):
            for number in range(4):
                write_track(folder / f"genres/{genre}/{genre}.{number:05d}.au", index, number, 1)
        set_options(folder / "conf/prepare_gtzan.conf", {"test-percent": "50", "allow-missing": "960"})
        return folder, run(folder, *self.OPTIONS)

    def test_every_excerpt_is_tested_once_in_a_fold_of_the_corpus(self, finished):
        data = finished[0] / "data"
        folds = tables.read_table(data / "gtzan_fold.utt2fold")
        assert len(folds) == 40
        for fold in "12":
            train, test = (
                tables.read_table(data / f"gtzan_fold{fold}/{x}/utt2genre") for x in ("train", "test")
            )
            assert set(test) == {utt for utt, its_fold in folds.items() if its_fold == fold}
            assert set(train) == set(folds) - set(test) and set(test.values()) == set(gtzan.GENRES)

    def test_dimensions_follow_the_number_of_classes(self, finished, monkeypatch):
        monkeypatch.chdir(finished[0])
        text = Path("exp/gtzan_folds_dnn1/results.txt").read_text()
        for words in ("DNN (525-16-10)", "LSeg_acc: 40 dimensions", "FSeg_acc: 565 dimensions"):
            assert words in text.replace("fold 1: ", "")
        posts = archive.read_matrices("scp:exp/gtzan_fold1_dnn1/post_test/post.scp")
        assert {post.shape[1] for _, post in posts} == {10}

    def test_pooled_counts_are_the_sums_of_the_folds(self, finished):
        exp = finished[0] / "exp"
        pooled = accuracies(exp / "gtzan_folds_dnn1/results.txt")
        for place, name in (("", "Frame_acc"), ("", "Seg_acc"), ("svm_lstm/", "LSeg_acc")):
            paths = (exp / f"gtzan_fold{fold}_dnn1/{place}score_test/accuracy.json" for fold in (1, 2))
            found = [
                m for path in paths for m in json.loads(path.read_text())["measures"] if m["name"] == name
            ]
            correct = sum(m["correct"] for m in found)
            assert pooled[name] == (correct, sum(sum(map(sum, m["confusion"])) for m in found))
        right, total = pooled["FSeg_acc"]
        assert total == 40
        cells = rf"gtzan_folds_dnn1 +FSeg_acc +{100 * right / total:.2f} +\[ {right} / {total} \]"
        assert re.search(cells, (exp / "gtzan_folds_summary/results.txt").read_text())

    def test_the_pooled_tables_end_the_output(self, finished):
        folder, done = finished
        shown = (folder / "exp/gtzan_folds_summary/tables.txt").read_text()
        assert done.stdout.endswith(shown) and "Traceback" not in done.stderr
        for text in ("not of a cross-validation", "than gtzan (40)"):
            assert text in shown
        text = (folder / "exp/gtzan_folds_summary/results.txt").read_text()
        assert set(re.findall(r"^# (\w+): seed", text, re.MULTILINE)) == {
            "gtzan_folds_dnn1",
            "gtzan_folds_sc",
        }
        table = json.loads((folder / "data/gtzan_folds/tables.json").read_text())[0]
        assert [row[0] for row in table["rows"]] == ["gtzan_fold1", "gtzan_fold2"]
        page = (folder / "exp/gtzan_folds_report/index.html").read_text()
        assert "2-fold cross-validation" in page and "confusion matrices" in page

    def test_one_stage_of_the_folds_and_one_fold_alone(self, finished):
        folder, stage_7 = finished[0], (*MODELS, "--stage", "7", "--stop-stage", "7")
        (folder / "exp/gtzan_fold2_dnn1/score_test/accuracy.json").unlink()
        done = run(folder, *self.OPTIONS, *stage_7)
        assert doing(done) == ["exp/gtzan_fold2_dnn1/.done/vote_test"]
        (folder / "exp/gtzan_fold1_dnn1/score_test/accuracy.json").unlink()
        done = run(folder, "--corpus", "gtzan_fold1", *stage_7)
        assert doing(done) == ["exp/gtzan_fold1_dnn1/.done/vote_test"]


@pytest.mark.xdist_group("ismir04")
class TestSecondTestSet:
    """ISMIR2004, whose evaluation stands beside its development, all stages."""

    OPTIONS = ("--corpus", "ismir04", "--corpus-root", "archive", *MODELS)
    PER_CLASS = {"train": 3, "test": 1, "evaluation": 2}

    @pytest.fixture(scope="class")
    def finished(self, tmp_path_factory):
        """Return the folder of a finished run and what it printed; a track of evaluation is one of train."""
        folder = prepared(tmp_path_factory.mktemp("ismir04") / "copy")
        for subset, split in SUBSETS.items():
            rows = []
            for index, genre in enumerate(GENRES):
                for number in range(self.PER_CLASS[subset]):
                    twin = subset == "evaluation" and (index, number) == (0, 0)
                    artist = f"{'artist' if subset == 'test' else genre}_{number}"
                    name = f"{genre}/{artist}/{split}_{number}.{'flac' if twin else 'wav'}"
                    take = 0 if twin else 100 * list(SUBSETS).index(subset) + number
                    write_track(folder / "archive/audio" / split / name, index, take, 5)
                    rows.append([genre, artist, "album", f"track_{genre}", number, name])
            table = folder / "archive/metadata" / split / "tracklist.csv"
            table.parent.mkdir(parents=True)
            with table.open("w", newline="") as file:
                csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
        return folder, run(folder, *self.OPTIONS)

    def test_results_have_both_sets_under_names_of_their_own(self, finished):
        exp = finished[0] / "exp/ismir04_dnn1"
        found = accuracies(exp / "results.txt")
        for name in MEASURES:
            frames = 27 if name == "Frame_acc" else 1
            assert found[name][1] == 6 * frames and found[f"evaluation_{name}"][1] == 12 * frames
        assert "# tracks 18 train, 6 test, 12 evaluation" in (exp / "results.txt").read_text()

    def test_tables_and_page_keep_the_sets_apart(self, finished):
        folder, done = finished
        title = "Test set evaluation, 12 tracks: every accuracy"
        assert done.stdout.index("Table 4.") < done.stdout.index(title)
        assert "The paper tests on 729 tracks, this is on 6." in done.stdout
        assert "Artist overlap: unknown: the archive replaced the artists of development" in done.stdout
        assert "12 of 12 tracks of evaluation (100.0 %) are by artists of train" in done.stdout
        right, total = accuracies(folder / "exp/ismir04_dnn1/results.txt")["evaluation_Seg_acc"]
        row = rf"^ismir04_dnn1 +Seg_acc +[0-9.]+ +\[ {right} / {total} \]"
        shown = (folder / "exp/ismir04_summary/results.txt").read_text()
        assert total == 12 and re.search(row, shown[shown.index("Test set evaluation") :], re.MULTILINE)
        page = (folder / "exp/ismir04_report/index.html").read_text()
        assert '<section id="set-evaluation"><h2>Test set evaluation</h2>' in page
        assert 'href="#set-evaluation"' in page

    def test_the_same_recording_under_another_name_is_reported(self, finished):
        text = (finished[0] / "exp/ismir04_summary/tables.txt").read_text()
        assert "1 of 12 recordings have the content of one in train" in text
        assert "_evaluation_0 that of classical_0-classical_0_training_0." in text

    def test_without_the_second_set_nothing_of_the_first_changes(self, finished):
        exp = finished[0] / "exp/ismir04_dnn1"
        names = ("score_test/accuracy.json", "svm_fusion/svm.npz", "svm_fusion/score_test/accuracy.json")
        before = {name: (exp / name).read_bytes() for name in names}
        done = run(finished[0], *self.OPTIONS, "--test-sets", "test", "--stage", "7")
        assert "Test set" not in done.stdout
        text = (exp / "results.txt").read_text()
        assert "%Seg_acc" in text and "evaluation" not in text
        assert before == {name: (exp / name).read_bytes() for name in names}


@pytest.mark.xdist_group("folder")
class TestFolder:
    """Names in any script, a class behind a link, a broken file: the first stages."""

    OPTIONS = ("--corpus", "folder", "--corpus-root", "music", *MODELS)

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory):
        """Return the folder of a run up to the scattering, from which a broken file was excluded."""
        folder = make_workspace(tmp_path_factory.mktemp("folder") / "copy")
        for index, genre in enumerate(("Drum & Bass", "Jazz", "Ständchen")):
            place = folder / ("elsewhere" if index == 2 else "music") / genre
            for number in range(4):
                write_track(place / f"Ann {number}" / f"{number} été.flac", index, number, 1)
        (folder / "music/Ständchen").symlink_to(folder / "elsewhere/Ständchen")
        (folder / "music/Jazz/Ann 0/broken.mp3").write_bytes(b"not music")
        options = {
            "artist-pattern": "^(?P<artist>[^/]+/[^/]+)/",
            "artist-tags": "false",
            "exclude": "conf/exclude",
        }
        set_options(folder / "conf/prepare_folder.conf", options)
        (folder / "conf/exclude").write_text("")
        assert run_recipe(folder, *self.OPTIONS, "--stop-stage", "1").returncode == 1
        log = "".join(path.read_text() for path in folder.rglob("convert_audio.*.log"))
        broken = re.search(r"(\S*broken\S*): \S", log)[1]
        (folder / "conf/exclude").write_text(f"{broken} is no music\n")
        run(folder, *self.OPTIONS, "--stop-stage", "2")
        return folder

    def test_tracks_are_divided_by_artist_where_the_corpus_has_no_folds(self, folder):
        run(folder, *self.OPTIONS, "--folds", "2", "--stage", "3", "--stop-stage", "3")
        tested = []
        for fold in (1, 2):
            train, test = (
                tables.read_table(folder / f"data/folder_fold{fold}/{part}/utt2spk")
                for part in ("train", "test")
            )
            assert not set(train.values()) & set(test.values())
            assert (folder / f"data/folder_fold{fold}/train_tr/labels.scp").exists()
            tested += test
        parts = [tables.read_table(folder / f"data/folder/{part}/utt2spk") for part in ("train", "test")]
        assert sorted(tested) == sorted([*parts[0], *parts[1]])

    def again(self, folder: Path) -> list[str]:
        return doing(run(folder, *self.OPTIONS, "--stop-stage", "0"))

    def test_what_changed_is_a_changed_input(self, folder):
        """A list that an option names, and a track behind a link."""
        assert (folder / "data/folder/train/genres.txt").read_text() == "drum_and_bass\njazz\nstandchen\n"
        assert self.again(folder) == []
        utt = next(iter(tables.read_table(folder / "data/folder/train/wav.scp")))
        with (folder / "conf/exclude").open("a") as file:
            file.write(f"{utt}\n")
        assert self.again(folder) == ["data/folder/.done/prepare"]
        assert utt not in tables.read_table(folder / "data/folder/train/wav.scp")
        path = next((folder / "elsewhere").rglob("*.flac"))
        write_track(path, 2, 99, 1)
        assert self.again(folder) == ["data/folder/.done/prepare"]
        assert soundfile.info(path).samplerate == 22050
