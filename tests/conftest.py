"""Fixtures that every test may use."""

import fcntl
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from tests.contract import forkserver
from tests.workspace import TINY_MODELS, make_workspace, run_recipe

REPO = Path(__file__).resolve().parents[1]
SERVERS = "TESTS_FORK_SERVERS"

# Triton's kernels run in its interpreter where there is no GPU; it looks when it is first imported.
if shutil.which("nvidia-smi") is None:
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="session")
def repo() -> Path:
    return REPO


@pytest.fixture(scope="session")
def shared() -> Path:
    """Full reference data, where they are; the excerpts in tests/fixtures check the same things."""
    path = REPO.parent / "shared"
    if not (path / "reference").is_dir():
        pytest.skip("no full reference data beside the checkout")
    return path


def pytest_configure(config):
    """Start the servers that fork, once for all processes of the tests: those of xdist inherit the names."""
    if SERVERS in os.environ:
        return
    folder = Path(tempfile.mkdtemp())  # a socket's path may be of 107 bytes only
    servers = [forkserver.start(folder / name, ours=name == "ours") for name in ("ours", "copies")]
    copies = {"FORK_SERVER": str(folder / "copies/socket"), "TESTS_PYTHON": str(folder / "copies/python3")}
    os.environ.update(copies, **{SERVERS: str(folder)})  # runs of the recipe in copies of it fork, too

    def stop():
        for server in servers:
            os.killpg(server.pid, signal.SIGKILL)
            server.communicate()
        shutil.rmtree(folder)
        for name in (SERVERS, *copies):
            del os.environ[name]

    config.add_cleanup(stop)


def pytest_collection_modifyitems(items):
    """Begin with the longest: what others wait for, then what runs the recipe, then the rest."""
    order = ("recipe/test_recipe.py", "recipe/", "reliability/")
    items.sort(key=lambda item: next((n for n, part in enumerate(order) if part in item.nodeid), len(order)))


@pytest.fixture(scope="session")
def run_cli():
    """Run a program of the recipe at a tenth of the cost of a new process; see forkserver.Programs."""
    return forkserver.Programs(Path(os.environ[SERVERS]) / "ours").run


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory) -> Path:
    """A run of two models on the tiny corpus, once for all processes: ``copy``, ``stdout``, ``stderr``."""
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "whole_run"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "stdout").exists():
            shutil.rmtree(folder / "copy", ignore_errors=True)
            done = run_recipe(make_workspace(folder / "copy"), *TINY_MODELS)
            assert done.returncode == 0, done.stderr[-3000:]
            (folder / "stderr").write_text(done.stderr)
            (folder / "stdout").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def workspace(whole_run, tmp_path_factory) -> Path:
    """A copy of the recipe's folder behind a whole run, which the module's tests may change."""
    return shutil.copytree(whole_run / "copy", tmp_path_factory.mktemp("workspace") / "copy", symlinks=True)
