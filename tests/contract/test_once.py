"""Stamps tell the truth: what is done is skipped, what changed is done again, and the log says why."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from tests.conftest import REPO
from utils.stamp import ROOT, closure

ONCE = "utils/once.py"


@pytest.fixture
def count(tmp_path, run_cli, repo):
    """Run `cat in > out; echo >> runs` under once.py; return (process, number of runs so far)."""
    (tmp_path / "in.txt").write_text("one\n")
    (tmp_path / "conf").write_text("--k=1\n")

    def run(*extra, words=("sh", "-c", "cat in.txt >out.txt; echo run >>runs")):
        files = ("--in", "in.txt", "--in=conf", "--out", "out.txt")
        done = run_cli(repo / ONCE, *files, *extra, ".done/x", "--", *words, cwd=tmp_path)
        runs = tmp_path / "runs"
        return done, len(runs.read_text().splitlines()) if runs.exists() else 0

    return run


@pytest.fixture
def why(tmp_path, run_cli, repo):
    """Run a command under once.py; return what it says."""

    def run(*words, options=(), **env):
        return run_cli(repo / ONCE, *options, "stamp", "--", *words, cwd=tmp_path, env=env, check=True).stderr

    return run


def test_a_second_run_does_nothing(count):
    assert count()[1] == 1
    done, runs = count()
    assert runs == 1 and "up to date" in done.stderr and done.returncode == 0


def test_a_touched_file_is_read_once_more(count, tmp_path):
    count()
    os.utime(tmp_path / "in.txt", ns=(0, 0))
    assert count()[1] == 1
    known = json.loads((tmp_path / ".done/x").read_text())["inputs"]["in.txt"]
    assert known[2] == 0 and "speed" in json.loads((tmp_path / ".done/x").read_text())


def test_what_was_made_from_other_data_is_no_input(count, run_cli, tmp_path, repo):
    use = [repo / ONCE, "--in", "out.txt", "--out", "end", ".done/end", "--", "cp", "out.txt", "end"]
    (tmp_path / "a.conf").write_text("--k=3\n")
    count("--in", "a.conf", words=("sh", "-c", "cat in.txt >out.txt"))
    (tmp_path / "a.conf").write_text("--k=4\n")
    for text, status in (("one", 0), ("two", 1), ("", 0), ("one", 0)):
        (tmp_path / "in.txt").write_text(f"{text}\n")
        if not text:
            (tmp_path / "in.txt").unlink()  # to have its space
        done = run_cli(*use, cwd=tmp_path)
        assert done.returncode == status
        assert status == 0 or "'out.txt' was made from another 'in.txt' than there is now; run" in done.stderr


def test_a_failed_command_leaves_no_stamp_and_passes_its_status_on(count, tmp_path):
    done, _ = count(words=("sh", "-c", "exit 3"))
    assert done.returncode == 3 and not (tmp_path / ".done" / "x").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: (d / "in.txt").write_text("two\n"), "input in.txt changed"),
        (lambda d: (d / "conf").write_text("--k=2\n"), "input conf changed"),
        (lambda d: (d / "out.txt").unlink(), "output out.txt is missing"),
        (lambda d: (d / "out.txt").write_text("three\n"), "output out.txt changed"),
        (lambda d: (d / ".done" / "x").write_text("{"), "not been done"),
    ],
)
def test_what_changed_is_done_again_and_named(count, tmp_path, change, reason):
    count()
    change(tmp_path)
    done, runs = count()
    assert runs == 2 and reason in done.stderr


def test_a_missing_input_and_a_missing_output_are_errors(count):
    done, runs = count("--in", "nothing.txt")
    assert done.returncode == 1 and runs == 0 and "nothing.txt" in done.stderr
    done, _ = count("--out", "never.txt")
    assert done.returncode == 1 and "never.txt" in done.stderr and "Traceback" not in done.stderr


def test_what_a_script_file_points_to_counts(tmp_path, why):
    (tmp_path / "a.ark").write_text("data")
    (tmp_path / "x.scp").write_text("utt a.ark:3\n")
    assert "not been done" in why("true", options=("--in", "x.scp"))
    assert "up to date" in why("true", options=("--in", "x.scp"))
    (tmp_path / "a.ark").write_text("DATA")
    assert "input a.ark changed" in why("true", options=("--in", "x.scp"))


@pytest.mark.parametrize(
    "options",
    [
        ("--nj=5", "--cmd", "slurm.py --mem 2G"),
        ("--num-jobs", "3", "--use-gpu=yes", "--kernels", "c", "--num-threads=4"),
        ("--key", "x", "--keep-networks=true", "--max-jobs-run", "2"),
    ],
)
def test_options_that_change_no_result_do_not_count(why, options):
    why("true", "--nj", "2", "--cmd", "run.py")
    assert "up to date" in why("true", *options)


def test_configurations_and_what_they_name_are_inputs(why, tmp_path):
    (tmp_path / "x.conf").write_text("--exclude=list  # tracks\n--k=1\n")
    (tmp_path / "list").write_text("a\n")
    for words in (("--config", "x.conf"), ("--svm-config=x.conf",)):
        why("true", *words)
        assert "up to date" in why("true", *words)
        (tmp_path / "list").write_text(f"{words}\n")
        assert "input list changed" in why("true", *words)
        (tmp_path / "x.conf").write_text(f"--exclude=list\n# {words[0]}\n")
        assert "input x.conf changed" in why("true", *words)


def test_the_key_stands_for_command_inputs_and_code(count, tmp_path):
    """It is in the environment and in place of the word ONCE_KEY, and outputs do not change it."""
    (tmp_path / "prog.py").write_text("pass\n")
    script = 'cat in.txt >out.txt; echo run >>runs; echo "$ONCE_KEY $1" >>keys; exit 1'

    def key(*words: str) -> str:
        done, _ = count(words=("sh", "-c", script, "sh", "ONCE_KEY", *words))
        assert done.returncode == 1
        found = (tmp_path / "keys").read_text().splitlines()[-1].split()
        assert len(found) == 2 and found[0] == found[1] and len(found[0]) == 32
        return found[0]

    first = key("--nj", "2")
    (tmp_path / "out.txt").unlink()
    assert key("--nj", "4") == first
    assert key("--k=2") != first
    (tmp_path / "in.txt").write_text("two\n")
    assert key() != first


def edited(path, function):
    """Return the value of a function while a line stands at the end of a file."""
    text = path.read_text()
    try:
        path.write_text(f"{text}# another line\n")
        return function()
    finally:
        path.write_text(text)


def test_code_behind_a_command_counts_and_what_runs_it_does_not(tmp_path):
    copy = tmp_path / "recipe"
    shutil.copytree(REPO / "utils", copy / "utils")
    shutil.copytree(REPO / "steps", copy / "steps")
    argv = [sys.executable, "utils/once.py", ".done/x", "--", "true", "steps/make_scattering.sh"]

    def says() -> str:
        env = {**os.environ, "PYTHONPATH": str(copy)}
        done = subprocess.run(argv, cwd=copy, env=env, capture_output=True, text=True, check=True)
        return done.stderr

    says()
    assert "up to date" in says()
    for name in ("utils/run.py", "utils/job_runner/frontend.py", "utils/once.py", "utils/parse_options.sh"):
        assert "up to date" in edited(copy / name, says), name
    for name in ("steps/make_scattering.sh", "steps/scattering/compiled.py", "utils/cli.py"):
        assert f"code {name} changed" in edited(copy / name, says), name
        says()


def test_code_behind_a_command_is_found():
    names = {str(path.relative_to(ROOT)) for path in closure([str(ROOT / "local" / "train_lstm.py")])}
    assert {"local/train_lstm.py", "utils/cli.py", "steps/nnet1/kernels/lstm.c"} <= names
    names = {str(path.relative_to(ROOT)) for path in closure([str(ROOT / "steps" / "make_scattering.sh")])}
    assert {"steps/compute_scattering.py", "utils/jobs.sh", "path.sh"} <= names
    assert not {"utils/run.py", "utils/once.py"} & names
    assert closure(["true", "/bin/sh"]) == []


def test_a_second_run_is_refused_or_waits(tmp_path, repo, run_cli):
    (tmp_path / "go").touch()
    argv = [sys.executable, str(repo / ONCE), "--out", "out", ".done/x", "--"]
    argv += ["sh", "-c", "touch begun; while [ -e go ]; do sleep 0.05; done; echo x >>out"]
    env = {**os.environ, "PYTHONPATH": str(repo)}
    first = subprocess.Popen(argv, cwd=tmp_path, env=env)
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    refused = run_cli(*argv, cwd=tmp_path)
    assert refused.returncode == 75 and f"process {first.pid}" in refused.stderr
    argv[2:2] = ["--wait", "true"]
    waiting = subprocess.Popen(argv, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
    assert f"waiting for process {first.pid}" in waiting.stderr.readline()
    (tmp_path / "go").unlink()
    assert first.wait(timeout=30) == 0 and waiting.wait(timeout=30) == 0
    assert "up to date" in waiting.stderr.read()
    waiting.stderr.close()
    assert (tmp_path / "out").read_text() == "x\n"
