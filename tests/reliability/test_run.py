"""Several runs at once, and a run that was killed."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.workspace import environment, run_recipe, set_options, until

pytestmark = pytest.mark.xdist_group("reliability")
ONE_MODEL = ("--dnns", "dnn1", "--lstms", "")
STAGE_4 = ("--stage", "4", "--stop-stage", "4", *ONE_MODEL)


@pytest.fixture(scope="module")
def workspace(workspace):
    """A copy of the recipe that is ready for training; its programs are no forks, which nobody could kill."""
    shutil.rmtree(workspace / "exp")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TESTS_PYTHON", raising=False)
        yield workspace


def start(folder, lock: str, *options: str) -> subprocess.Popen:
    """Start the recipe in a session of its own, and wait until it has a lock."""
    process = subprocess.Popen(
        ["./run.sh", *options],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (folder / lock).exists() or not (folder / lock).read_text():
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.01)
    return process


@contextlib.contextmanager
def endless_training(folder):
    """Start a training that does not end by itself; give the process, which is killed behind."""
    conf = folder / "conf/synth/dnn1.conf"
    saved = conf.read_text()
    set_options(conf, {"max-iters": "100000", "keep-lr-iters": "100000"})
    process = start(folder, "exp/synth_dnn1/.done/train.lock", *STAGE_4)
    try:
        with process.stderr:
            yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
        conf.write_text(saved)


def working_in(folder) -> list[str]:
    """Return the command lines of the processes whose working directory is the folder."""
    found = []
    for process in os.listdir("/proc"):  # noqa: PTH208
        with contextlib.suppress(OSError):
            if process.isdigit() and os.readlink(f"/proc/{process}/cwd") == str(folder.resolve()):  # noqa: PTH115
                with open(f"/proc/{process}/cmdline") as file:  # noqa: PTH123
                    found.append(file.read().replace("\0", " "))
    return found


def test_the_same_experiment_is_refused_and_another_one_is_not(workspace):
    with endless_training(workspace) as first:
        second = run_recipe(workspace, *STAGE_4)
        assert second.returncode == 75
        assert "exp/synth_dnn1/.done/train: process " in second.stderr and "on this host" in second.stderr
        assert "Traceback" not in second.stderr
        other = run_recipe(workspace, *STAGE_4, "--dnns", "dnn2")
        assert other.returncode == 0, other.stderr[-2000:]
        assert first.poll() is None
    until(lambda: not working_in(workspace))


@pytest.mark.parametrize("how", ["group", "script", "term"])
def test_a_killed_run_leaves_no_lock_and_no_job(workspace, how):
    with endless_training(workspace) as killed:
        while not (workspace / "exp/synth_dnn1/iters.tsv").exists():
            time.sleep(0.05)
        if how == "group":
            os.killpg(killed.pid, signal.SIGKILL)
        else:
            killed.send_signal(signal.SIGTERM if how == "term" else signal.SIGKILL)
        assert killed.wait(timeout=60) != 0
        until(lambda: not working_in(workspace))
    again = run_recipe(workspace, *STAGE_4)
    assert again.returncode == 0, again.stderr[-2000:]
    assert [path.name for path in workspace.rglob(".*.tmp*")] == []
    shutil.rmtree(workspace / "exp/synth_dnn1")
