"""Results cannot be stale: what changes one is done again from the start, what does not is left alone."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.workspace import TINY_MODELS, doing, run_in, run_recipe, set_options

pytestmark = pytest.mark.xdist_group("validity")


def git(folder, *words: str) -> str:
    settings = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    command = ["git", *settings, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def finished(workspace):
    """Return the folder of a finished run, which is a git repository."""
    folder = workspace
    (folder / ".gitignore").write_text("/data\n/exp\n/corpora\n__pycache__\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "Begin")
    return folder


@pytest.fixture
def edit(finished):
    """Write a text behind a file of the recipe; put the file back behind the test."""
    saved = {}

    def write(name: str, text: str) -> None:
        path = finished / name
        saved.setdefault(path, path.read_text())
        path.write_text(path.read_text() + text)

    yield write
    for path, text in saved.items():
        path.write_text(text)


def test_a_user_is_told_in_plain_words(finished):
    done = run_recipe(finished, "--verbose", "false", *TINY_MODELS)
    assert done.returncode == 0
    assert ".done" not in done.stderr and "once.py" not in done.stderr and "--cmd" not in done.stderr
    assert re.search(r"Stage 5: .*\n(.*\n)*?  2 of 2 pieces of work are up to date", done.stderr), done.stderr
    log = (finished / "data/synth/log/run.log").read_text()
    assert "up to date: exp/synth_dnn1/.done/train" in log and "steps/make_scattering.sh --nj" in log


def test_what_only_runs_the_work_is_no_part_of_it(finished, edit):
    for name in ("utils/run.py", "utils/job_runner/frontend.py", "utils/once.py", "utils/plan.py"):
        edit(name, "\n# another message\n")
    assert doing(run_recipe(finished, *TINY_MODELS, "--nj", "5")) == []


def test_a_dry_run_tells_what_and_why_and_how_long_and_writes_nothing(finished, edit):
    edit("conf/synth/dnn1.conf", "# a note\n")

    def times() -> dict[Path, int]:  # byte code apart: Python writes it for files that were put back
        found = (path for path in finished.rglob("*") if "__pycache__" not in path.parts)
        return {path: path.stat().st_mtime_ns for path in found}

    before = times()
    done = run_recipe(finished, "--verbose", "false", "--dry-run", "true", *TINY_MODELS)
    assert done.returncode == 0, done.stderr
    assert before == times()
    assert re.search(
        r"exp/synth_dnn1 train: input conf/synth/dnn1\.conf changed; about \d+:\d+:\d+\n",
        done.stdout + done.stderr,
    )
    text = done.stdout + done.stderr
    assert "exp/synth_dnn1 vote_test: exp/synth_dnn1/post_test/post.scp is made before it" in text
    assert "data/synth/train" not in text  # which is up to date
    assert re.search(r"\d+ of \d+ pieces of work are to be done; about \d+:\d+:\d+ one after the other", text)


@pytest.mark.parametrize(
    "name",
    [
        "data/synth/test/utt2hash",
        "exp/synth_lstm_512/training.json",
        "data/synth/train/utt2dur",
        "exp/synth_lstm_512/iters.tsv",
    ],
)
def test_what_the_report_reads_is_its_input(finished, edit, name):
    edit(name, "\n")
    done = run_recipe(finished, "--dry-run", "true", "--stage", "10", *TINY_MODELS)
    assert f"exp/synth_summary report: input {name} changed" in done.stdout + done.stderr


def test_another_corpus_under_a_name_that_is_there_is_refused(finished, tmp_path):
    (tmp_path / "music").mkdir()
    options = ("--corpus", "folder", "--corpus-root", str(tmp_path / "music"), "--name", "synth")
    done = run_recipe(finished, *options, "--conf", "conf/synth", *TINY_MODELS)
    assert done.returncode == 2 and "give this corpus a name of its own (--name)" in done.stderr


def test_jobs_are_as_many_as_the_cores_that_are_allowed(finished):
    core = str(min(os.sched_getaffinity(0)))
    options = ["--verbose", "true", "--stage", "1", "--stop-stage", "1"]
    done = run_in(finished, "taskset", "-c", core, "./run.sh", *options, *TINY_MODELS)
    assert re.findall(r"convert_audio\.sh --nj (\d+)", done.stderr)[0] == "1"


def test_names_of_models_may_hold_seed(finished):
    shutil.copy(finished / "conf/synth/lstm_512.conf", finished / "conf/synth/lstm_seedling.conf")
    shutil.copy(finished / "conf/synth/lstm_512.conf", finished / "conf/synth/lstm_seed3.conf")
    lstms = ("--dnns", "", "--lstms", "lstm_seedling lstm_seed3", "--num-seeds", "2")
    doing(run_recipe(finished, "--stage", "5", "--stop-stage", "5", *lstms))
    networks = {
        name: (finished / f"exp/synth_{name}/final.nnet").read_bytes()
        for name in ("lstm_seedling", "lstm_seedling_seed2", "lstm_seed3", "lstm_seed3_seed2")
    }
    assert networks["lstm_seedling"] == networks["lstm_seed3"]
    assert networks["lstm_seedling_seed2"] == networks["lstm_seed3_seed2"]
    assert len(set(networks.values())) == 2


def trained_anew(folder, model: str) -> bytes:
    """Return the network that a training from nothing gives, in a folder of its own."""
    shutil.rmtree(folder / f"exp/fresh_{model}", ignore_errors=True)
    run_in(folder, "local/train_model.sh", "--conf", "conf/synth", "data/synth", "exp/fresh", model)
    return (folder / f"exp/fresh_{model}/final.nnet").read_bytes()


@pytest.mark.parametrize(
    ("model", "first", "then"),
    [
        ("dnn1", {}, {"max-iters": "1"}),
        ("lstm_512", {"learn-rate": "0.03"}, {"select": "best-cv"}),  # whose last epoch is not the best
    ],
)
def test_fewer_epochs_or_another_choice_give_the_network_of_a_fresh_training(
    finished, edit, model, first, then
):
    edit(f"conf/synth/{model}.conf", "")
    networks = []
    for options in (first, then):
        set_options(finished / f"conf/synth/{model}.conf", options)
        done = run_recipe(finished, "--stage", "4", "--stop-stage", "5", *TINY_MODELS)
        stamps = doing(done)  # the other model's, too, whose configuration was put back
        assert {Path(stamp).name for stamp in stamps} <= {"train"}
        networks.append((finished / f"exp/synth_{model}/final.nnet").read_bytes())
    assert f"exp/synth_{model}/.done/train" in stamps
    assert networks[0] != networks[1] == trained_anew(finished, model)


def test_edited_training_code_trains_from_the_start_and_the_results_name_its_commit(finished, edit):
    iters = finished / "exp/synth_dnn1/iters.tsv"
    first = iters.read_text().split("\n")[1:3]
    edit("steps/nnet1/affine.py", "\n# edited\n")
    git(finished, "commit", "-qam", "Edit training")
    done = run_recipe(finished, "--dnns", "dnn1", "--lstms", "")
    assert "exp/synth_dnn1/.done/train" in doing(done)
    again = iters.read_text().split("\n")[1:3]
    assert [line.split("\t")[:7] for line in again] == [line.split("\t")[:7] for line in first]
    log = (finished / "exp/synth_dnn1/log/train.log").read_text()
    assert re.search(r"ITERATION 0?1: TRAIN", log)
    commit = git(finished, "rev-parse", "HEAD")
    assert commit[:7] in (finished / "exp/synth_dnn1/results.txt").read_text().split("%")[0]
    used = (finished / "exp/synth_dnn1/results.txt").read_text().split("%")[0]  # not what lies in conf/ today
    assert "exp/synth_dnn1/svm_fusion/svm.conf data/synth/train/scattering.conf)" in used


def test_values_of_configurations_are_not_executed(finished, edit):
    """The last test here: stage 2 removes the features that it is to make again."""
    program = finished / "pwn"
    program.write_text("#!/bin/sh\ntouch pwned\n")
    program.chmod(0o755)
    edit("conf/scattering.conf", "--raw=./pwn\n--T=$(./pwn)\n")
    edit("conf/audio.conf", "--max-bad=$(./pwn)\n")
    edit("conf/prepare_synth.conf", "")
    for stage in ("1", "2"):
        done = run_recipe(finished, "--stage", stage, "--stop-stage", stage, *TINY_MODELS)
        assert done.returncode != 0
        assert not (finished / "pwned").exists()
