"""Fixtures that every test may use."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.contract import forkserver
from tests.workspace import make_workspace, run_recipe

REPO = Path(__file__).resolve().parents[1]
SERVERS = "TESTS_FORK_SERVERS"

# Triton's kernels run in its interpreter where there is no GPU; it looks when it is first imported.
if shutil.which("nvidia-smi") is None:
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="session")
def repo() -> Path:
    """Root of the recipe."""
    return REPO


@pytest.fixture(scope="session")
def shared() -> Path:
    """Full reference data, where they are; the excerpts in tests/fixtures check the same things."""
    path = REPO.parent / "shared"
    if not (path / "reference").is_dir():
        pytest.skip("no full reference data beside the checkout")
    return path


def pytest_configure(config):
    """Start the servers that fork, once for all processes of the tests: those of xdist inherit the name."""
    if SERVERS not in os.environ:
        folder = tempfile.mkdtemp()  # a socket's path may be of 107 bytes only
        os.environ[SERVERS] = folder
        servers = [forkserver.start(Path(folder) / name, ours=name == "ours") for name in ("ours", "copies")]

        def stop():
            for server in servers:
                server.communicate()
            shutil.rmtree(folder)
            del os.environ[SERVERS]

        config.add_cleanup(stop)


@pytest.fixture(scope="session")
def fork_server():
    """Client of a process that runs the recipe's Python programs at a tenth of the cost of a new one."""
    return forkserver.ForkServer(Path(os.environ[SERVERS]) / "ours")


@pytest.fixture(scope="session")
def forked_programs():
    """Let runs of the recipe in copies of it fork their programs, too."""
    folder = Path(os.environ[SERVERS]) / "copies"
    os.environ.update(FORK_SERVER=str(folder / "socket"), TESTS_PYTHON=str(folder / "python3"))


@pytest.fixture(scope="session")
def run_cli(fork_server):
    """Run a program of the recipe, Python by forking, also below a script; return the completed process."""

    def run(*argv, cwd=REPO, check=False, env=None):
        words = [str(word) for word in argv]
        variables = {"LC_ALL": "C", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPO), **(env or {})}
        if words[0].endswith(".py"):
            found = fork_server.run(words, cwd, seconds=300, extra_mib=0, env=variables)
            done = subprocess.CompletedProcess(words, found.status, found.stdout, found.stderr)
        else:
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            forks = {"FORK_SERVER": str(fork_server.path), "RECIPE_PYTHON": str(fork_server.shim)}
            variables = {**os.environ, "PATH": path, **forks, **variables}
            done = subprocess.run(
                words, cwd=cwd, env=variables, capture_output=True, text=True, errors="replace", check=False
            )
        if check and done.returncode != 0:
            raise AssertionError(f"{words} exited with {done.returncode}:\n{done.stderr}\n{done.stdout}")
        return done

    return run


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory, forked_programs) -> Path:  # noqa: ARG001
    """A run of all models on the tiny corpus, once for all processes, in ``copy``; ``stdout``, ``stderr``."""
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "whole_run"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "stdout").exists():
            shutil.rmtree(folder / "copy", ignore_errors=True)
            done = run_recipe(make_workspace(folder / "copy"))
            assert done.returncode == 0, done.stderr[-3000:]
            (folder / "stderr").write_text(done.stderr)
            (folder / "stdout").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def workspace(whole_run, tmp_path_factory) -> Path:
    """A copy of the recipe's folder behind a whole run, which the module's tests may change."""
    return shutil.copytree(whole_run / "copy", tmp_path_factory.mktemp("workspace") / "copy", symlinks=True)
