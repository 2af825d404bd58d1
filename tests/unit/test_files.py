"""Files appear whole or not at all; locks tell who holds them; what a killed process left is removed."""

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import REPO
from utils import atomic, cli, lock

WRITE = """
import sys, time
from utils import atomic, cli
def main(argv):
    with atomic.replacing("x") as file:
        file.write("half")
        file.flush()
        print("ready", flush=True)
        time.sleep(60)
cli.run(main)
"""


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "sub" / "x"
    with atomic.replacing(path) as file:
        file.write("é\n")
        assert not path.exists()
    assert path.read_bytes() == b"\xc3\xa9\n"
    with pytest.raises(ZeroDivisionError), atomic.replacing(path, "wb") as file:
        file.write(b"other")
        _ = 1 / 0
    assert path.read_bytes() == b"\xc3\xa9\n"
    assert names(path.parent) == ["x"]


def killed_while_writing(folder, number: int) -> str:
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", WRITE], cwd=folder, env=environment, **pipes) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        return process.stderr.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(tmp_path, number):
    assert "Traceback" not in killed_while_writing(tmp_path, number)
    assert names(tmp_path) == []


def test_what_sigkill_leaves_is_removed_by_the_next_writer_of_the_same_file(tmp_path):
    killed_while_writing(tmp_path, signal.SIGKILL)
    (left,) = names(tmp_path)
    assert left.startswith(".x.tmp")
    here = socket.gethostname()
    others = [f".x.tmp.{here}.{os.getppid()}", f".xy.tmp.{here}.999999999", ".x.tmp.another-host.999999999"]
    for name in others:  # of a process that lives, of another file, of a machine that may know the process
        (tmp_path / name).write_text("living")
    with atomic.replacing(tmp_path / "x") as file:
        file.write("whole")
    assert names(tmp_path) == sorted([*others, "x"])


@contextmanager
def other_run(path: Path, command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command under a lock; it runs when the block begins, and is stopped when the block ends."""
    program = "import subprocess, sys\nfrom utils import lock\nwith lock.held(sys.argv[1], 'x'):\n"
    program += "    subprocess.run(['bash', '-c', sys.argv[2]], close_fds=False)"
    words = [sys.executable, "-c", program, str(path), f"echo runs; {command}"]
    pipes = {"env": {**os.environ, "PYTHONPATH": str(REPO)}, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, start_new_session=True, **pipes) as run:
        assert run.stdout.readline() == "runs\n"
        yield run
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)


def assert_refused(path: Path, message: str) -> None:
    with pytest.raises(cli.UserError, match=message), lock.held(path, "x"):
        pass


def test_second_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with other_run(path, "sleep 100") as first:
        assert_refused(path, f"x: process {first.pid} on this host is at work on it")
        path.write_text("1 far-away\n")  # a process of another host is not looked up here
        assert_refused(path, "x: process 1 on far-away is at work on it")


def test_it_is_free_again_and_leaves_nothing(tmp_path: Path, capfd) -> None:
    path = tmp_path / "x.lock"
    with other_run(path, "sleep 1"), lock.held(path, "x", wait=True):
        assert path.exists()
    assert "x: waiting for process" in capfd.readouterr().err
    with pytest.raises(RuntimeError), lock.held(path, "x"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ends", [True, False])
def test_jobs_of_a_killed_holder_are_waited_for(tmp_path: Path, monkeypatch, capfd, ends: bool) -> None:
    path = tmp_path / "x.lock"
    with other_run(path, f"sleep {1.5 if ends else 100}; touch {tmp_path}/made; exit 0") as first:
        first.kill()
        first.wait()
        if ends:
            with lock.held(path, "x"):
                assert (tmp_path / "made").exists()
        else:
            monkeypatch.setattr(lock, "ENDING_SECONDS", 0.3)
            assert_refused(path, "jobs of a run that was killed still work on it")
    assert "waiting for the jobs of a run that was killed" in capfd.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_file_system_without_locks(tmp_path: Path, monkeypatch, capfd, number: int) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    assert_refused(
        tmp_path / "x.lock",
        "has no locks .* --without-locks true, or set WITHOUT_LOCKS=true",
    )
    monkeypatch.setenv("WITHOUT_LOCKS", "true")
    with lock.held(tmp_path / "x.lock", "x"):
        pass
    assert "going on without" in capfd.readouterr().err
