"""Two runs at once, a run that was killed, and an exp/ that cannot be written."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest

from tests.workspace import environment, make_workspace, run_recipe

pytestmark = pytest.mark.xdist_group("reliability")
STAGE_0 = ("--stage", "0", "--stop-stage", "0", "--dnns", "dnn1", "--lstms", "")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Return a copy of the recipe with a tiny corpus."""
    return make_workspace(tmp_path_factory.mktemp("reliability") / "copy")


def start(folder) -> subprocess.Popen:
    """Start the recipe in a session of its own, and wait until it has the lock."""
    words = ["./run.sh", *STAGE_0]
    process = subprocess.Popen(
        words, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    lock = folder / "exp" / ".lock"
    deadline = time.monotonic() + 60
    while not lock.exists() or lock.read_text().strip() != str(process.pid):
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.01)
    return process


def working_in(folder) -> list[str]:
    """Return the command lines of the processes whose working directory is the folder."""
    found = []
    for process in os.listdir("/proc"):  # noqa: PTH208
        with contextlib.suppress(OSError):
            if process.isdigit() and os.readlink(f"/proc/{process}/cwd") == str(folder.resolve()):  # noqa: PTH115
                with open(f"/proc/{process}/cmdline") as file:  # noqa: PTH123
                    found.append(file.read().replace("\0", " "))
    return found


def test_a_second_run_is_refused_and_the_first_goes_on(workspace):
    first = start(workspace)
    second = run_recipe(workspace, *STAGE_0)
    assert second.returncode == 1
    assert f"another run (process {first.pid}) works on exp/" in second.stderr
    assert second.stderr.count("ERROR") == 1 and "Traceback" not in second.stderr
    assert first.wait(timeout=120) == 0, first.stderr.read()


@pytest.mark.parametrize("how", ["group", "script", "term"])
def test_a_killed_run_leaves_no_lock_and_no_job(workspace, how):
    shutil.rmtree(workspace / "corpora", ignore_errors=True)
    killed = start(workspace)
    with killed.stderr:
        while "Stage 0" not in killed.stderr.readline():
            assert killed.poll() is None
        time.sleep(1.0)
        if how == "group":
            os.killpg(killed.pid, signal.SIGKILL)
        else:
            killed.send_signal(signal.SIGTERM if how == "term" else signal.SIGKILL)
        assert killed.wait(timeout=60) != 0
    deadline = time.monotonic() + 30
    while working_in(workspace) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert working_in(workspace) == []
    again = run_recipe(workspace, *STAGE_0)
    assert again.returncode == 0, again.stderr[-2000:]
    left = [path.name for path in workspace.rglob(".*.tmp*")]
    assert left == []


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
    words = [*read_only(folder), "./run.sh", *STAGE_0]
    done = subprocess.run(
        words, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    (folder / "exp").chmod(0o755)
    assert done.returncode == 1
    assert "exp; is it writable" in done.stderr
    assert done.stderr.count("ERROR") == 1 and "Traceback" not in done.stderr
    assert not (folder / "data").exists() and not (folder / "corpora").exists()
