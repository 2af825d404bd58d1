"""Several runs at once, a run that was killed, and an exp/ that cannot be written."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.workspace import environment, make_workspace, run_in, run_recipe, set_options

pytestmark = pytest.mark.xdist_group("reliability")
ONE_MODEL = ("--dnns", "dnn1", "--lstms", "")
STAGE_0 = ("--stage", "0", "--stop-stage", "0", *ONE_MODEL)
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
    set_options(conf, {"max-iters": "100000", "min-iters": "100000"})
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


def none_works_in(folder) -> bool:
    """Wait until no process works in the folder."""
    deadline = time.monotonic() + 30
    while working_in(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    return working_in(folder) == []


def test_the_same_experiment_is_refused_and_another_one_is_not(workspace):
    with endless_training(workspace) as first:
        second = run_recipe(workspace, *STAGE_4)
        assert second.returncode == 75
        assert "exp/synth_dnn1/.done/train: process " in second.stderr and "on this host" in second.stderr
        assert "Traceback" not in second.stderr
        other = run_recipe(workspace, *STAGE_4, "--dnns", "dnn2")
        assert other.returncode == 0, other.stderr[-2000:]
        assert first.poll() is None
    assert none_works_in(workspace)


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
        assert none_works_in(workspace)
    again = run_recipe(workspace, *STAGE_4)
    assert again.returncode == 0, again.stderr[-2000:]
    assert [path.name for path in workspace.rglob(".*.tmp*")] == []
    shutil.rmtree(workspace / "exp/synth_dnn1")


def read_only(folder) -> list[str]:
    """Return what starts a command for which exp/ is read-only; root needs a mount for that."""
    (folder / "exp").mkdir(exist_ok=True)
    if os.geteuid() != 0:
        (folder / "exp").chmod(0o555)
        return []
    script = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(folder / "exp")]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("root without the right to mount cannot make exp/ read-only")
    return words


def test_a_read_only_exp_is_named_before_anything_is_made(tmp_path):
    folder = make_workspace(tmp_path / "copy")
    done = run_in(folder, *read_only(folder), "./run.sh", *STAGE_0)
    (folder / "exp").chmod(0o755)
    assert done.returncode == 1
    assert "/exp; is it writable" in done.stderr
    assert done.stderr.count("ERROR") == 1 and "Traceback" not in done.stderr
    assert not (folder / "data").exists() and not (folder / "corpora").exists()
