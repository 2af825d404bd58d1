"""Files appear whole or not at all, and what a killed process left is removed by the next."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.conftest import REPO
from utils import atomic

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


def test_sigterm_leaves_nothing(tmp_path):
    assert "Traceback" not in killed_while_writing(tmp_path, signal.SIGTERM)
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
