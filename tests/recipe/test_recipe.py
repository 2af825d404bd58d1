"""The whole recipe on a tiny corpus: what it writes, what it skips, what it does again."""

import re
import shutil

import pytest

from tests.workspace import TINY_MODELS, compare, doing, make_workspace, results, run_recipe

pytestmark = pytest.mark.xdist_group("recipe")


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return make_workspace(tmp_path_factory.mktemp("empty") / "copy")


def test_the_tables_end_the_output_with_the_papers_columns(whole_run):
    stdout = (whole_run / "stdout").read_text()
    for text in ("Table 2", "Table 4", "Frame_acc", "Seg_acc", "LSeg_acc", "FSeg_acc", "75.92", "89.71"):
        assert text in stdout
    assert "Traceback" not in (whole_run / "stderr").read_text()


@pytest.mark.parametrize("model", ("dnn1", "lstm_512"))
def test_every_model_has_greppable_results(workspace, model):
    text = (workspace / "exp" / f"synth_{model}" / "results.txt").read_text()
    assert text.startswith("#")
    for name in ("Frame_acc", "Seg_acc", "LSeg_acc", "FSeg_acc"):
        match = re.search(rf"^%{name} (\d+\.\d\d) \[ (\d+) / (\d+) \]", text, re.MULTILINE)
        assert match, f"no %{name} line in:\n{text}"
        assert float(match[1]) == pytest.approx(100 * int(match[2]) / int(match[3]), abs=0.005)


def test_a_second_run_does_nothing_and_changes_nothing(workspace):
    before = results(workspace)
    done = run_recipe(workspace, *TINY_MODELS)
    assert doing(done) == []
    assert "Table 4" in done.stdout
    assert compare(before, results(workspace)) == []


def test_one_stage_alone(workspace):
    shutil.rmtree(workspace / "exp/synth_lstm_512/score_test")
    done = run_recipe(workspace, *TINY_MODELS, "--stage", "7", "--stop-stage", "7")
    assert doing(done) == ["exp/synth_lstm_512/.done/vote_test"]
    assert (workspace / "exp/synth_lstm_512/score_test/accuracy.json").exists()


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
        (("--systems", "abc1999"), "abc1999"),
        (("--k", "2"), "--k"),
        (("--use-gpu", "perhaps"), "perhaps"),
        (("--config", "none.conf"), "none.conf"),
        (("--folds", "1"), "--folds"),
        (("--folds", "many"), "--folds"),
        (("--folds", "2", "--fold-by", "album"), "album"),
        (("--corpus", "synth_fold1"), "from --stage 3"),
        (("--corpus", "synth_fold9", "--stage", "4"), "synth_fold9"),
        (("--folds", "2", "more"), "more"),
        (("--test-sets", "train"), "--test-sets: expected test"),
        (("--test-sets", "test test"), "--test-sets: expected test"),
        (("--test-sets", "test ../other"), "--test-sets: expected test"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_made(empty, options, message):
    done = run_recipe(empty, *options)
    assert done.returncode == 2 and message in done.stderr
    assert not (empty / "exp").exists() and not (empty / "data").exists()
