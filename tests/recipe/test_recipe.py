"""The whole recipe on a tiny corpus: what it writes, what it skips, what it does again."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.workspace import compare, doing, make_workspace, results, run_recipe, set_options

pytestmark = pytest.mark.xdist_group("recipe")
MODELS = ("dnn1", "dnn2", "lstm_512", "lstm_1024", "lstm_512_512", "lstm_1024_1024")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished run and what it printed."""
    folder = make_workspace(tmp_path_factory.mktemp("recipe") / "copy")
    done = run_recipe(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done


def test_the_tables_end_the_output_with_the_papers_columns(finished):
    stdout = finished[1].stdout
    for text in ("Table 2", "Table 4", "Frame_acc", "Seg_acc", "LSeg_acc", "FSeg_acc", "75.92", "89.71"):
        assert text in stdout
    assert "Traceback" not in finished[1].stderr


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_greppable_results(finished, model):
    text = (finished[0] / "exp" / f"synth_{model}" / "results.txt").read_text()
    assert text.startswith("#")
    names = ("Frame_acc", "Seg_acc") + (("LSeg_acc", "FSeg_acc") if model.startswith("lstm") else ())
    for name in names:
        match = re.search(rf"^%{name} (\d+\.\d\d) \[ (\d+) / (\d+) \]", text, re.MULTILINE)
        assert match, f"no %{name} line in:\n{text}"
        assert float(match[1]) == pytest.approx(100 * int(match[2]) / int(match[3]), abs=0.005)


def test_every_stage_left_what_the_next_reads(finished):
    folder = finished[0]
    for name in (
        "wav.scp",
        "utt2genre",
        "utt2spk",
        "spk2utt",
        "genres.txt",
        "wav22k.scp",
        "utt2dur",
        "feats.scp",
        "utt2num_frames",
        "frame_shift",
    ):
        assert (folder / "data/synth/train" / name).stat().st_size > 0, name
    assert (folder / "exp/synth_report/index.html").stat().st_size > 10000
    assert (folder / "exp/synth_summary/results.txt").exists()


def test_a_second_run_does_nothing_and_changes_nothing(finished):
    folder, _ = finished
    before = results(folder)
    done = run_recipe(folder)
    assert doing(done) == []
    assert "Table 4" in done.stdout
    assert compare(before, results(folder)) == []


def test_one_stage_alone(finished):
    folder, _ = finished
    shutil.rmtree(folder / "exp/synth_lstm_512/score_test")
    done = run_recipe(folder, "--stage", "7", "--stop-stage", "7")
    assert doing(done) == ["exp/synth_lstm_512/.done/vote_test"]
    assert (folder / "exp/synth_lstm_512/score_test/accuracy.json").exists()


def test_a_changed_configuration_redoes_what_depends_on_it_alone(finished):
    folder, _ = finished
    conf = folder / "conf/synth/lstm_512.conf"
    saved = conf.read_text()
    set_options(conf, {"max-iters": "2"})
    try:
        done = run_recipe(folder, "--stop-stage", "8")
        stamps = doing(done)
        assert "exp/synth_lstm_512/.done/train" in stamps
        assert all("synth_lstm_512/" in stamp for stamp in stamps), stamps
    finally:
        conf.write_text(saved)
    assert run_recipe(folder).returncode == 0


def test_the_number_of_jobs_changes_no_result(finished, tmp_path):
    folder, _ = finished
    other = make_workspace(tmp_path / "other")
    options = ("--dnns", "dnn1", "--lstms", "", "--stop-stage", "7")
    done = run_recipe(other, "--nj", "3", *options)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in (
        "data/synth/cmvn/feature_transform.nnet",
        "exp/synth_dnn1/final.nnet",
        "exp/synth_dnn1/score_test/accuracy.json",
    ):
        assert (other / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--stagee", "1"), "stagee"),
        (("--stage",), "missing"),
        (("--stage", "x"), "--stage"),
        (("--stage", "4", "--stop-stage", "3"), "before"),
        (("--corpus", "gtzan"), "corpus-root"),
        (("--corpus", "nothing"), "nothing"),
        (("--corpus", "folder", "--corpus-root", "/nowhere/music"), "/nowhere/music"),
        (("--lstms", "lstm_9"), "lstm_9"),
        (("--k", "2"), "--k"),
        (("--use-gpu", "perhaps"), "perhaps"),
        (("--config", "none.conf"), "none.conf"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_made(tmp_path, options, message):
    folder = make_workspace(tmp_path / "copy")
    done = run_recipe(folder, *options)
    assert done.returncode == 2 and message in done.stderr
    assert not (folder / "exp").exists() and not (folder / "data").exists()


def test_help_says_how_to_use_it(finished):
    done = run_recipe(finished[0], "--help")
    assert done.returncode == 0 and "--stop-stage" in done.stdout
