"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.forkserver import ForkServer

REPO = Path(__file__).resolve().parents[1]

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


@pytest.fixture(scope="session")
def run_cli():
    """Run a program of the recipe in its environment and return the completed process (text)."""

    def run(*argv, cwd=REPO, check=False, env=None, **kwargs):
        words = [str(word) for word in argv]
        if words[0].endswith(".py"):
            words = [sys.executable, *words]
        environment = dict(os.environ, LC_ALL="C", OMP_NUM_THREADS="1", PYTHONPATH=str(REPO))
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        environment.update(env or {})
        done = subprocess.run(
            words, cwd=cwd, env=environment, capture_output=True, text=True, errors="replace", **kwargs
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{words} exited with {done.returncode}:\n{done.stderr}\n{done.stdout}")
        return done

    return run


@pytest.fixture(scope="session")
def fork_server():
    """Server that runs the recipe's Python programs at a tenth of the cost of a process."""
    server = ForkServer()
    yield server
    server.close()
