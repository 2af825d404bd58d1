"""Job runners in a folder of their own, the cluster's with a fake scheduler."""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.workspace import until

REPO = Path(__file__).resolve().parents[2]
FAKE = REPO / "tests/fixtures/cluster/fake_scheduler.py"
PROGRAMS = (
    *("sbatch", "squeue", "scancel", "scontrol"),
    *("qsub", "qstat", "qdel", "qacct"),
)


@dataclass
class Runner:
    """One of the runners, its working folder, and its scheduler's folder."""

    name: str
    folder: Path
    fake: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        return [sys.executable, str(REPO / "utils" / self.name)]

    def start(self, *argv: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.words, *argv],
            cwd=self.folder,
            env={**os.environ, **self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*argv, **variables)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @staticmethod
    def wait_for(path: Path) -> None:
        until(path.exists)

    def log(self, name: str) -> list[str]:
        return (self.folder / "log" / name).read_text().splitlines()


def make_runner(name: str, tmp_path: Path) -> Runner:
    programs, fake, folder = tmp_path / "bin", tmp_path / "fake", tmp_path / "work"
    for path in (programs, fake, folder):
        path.mkdir()
    for program in PROGRAMS:
        wrapper = programs / program
        words = shlex.join([sys.executable, "-I", "-S", str(FAKE)])
        wrapper.write_text(f'#!/bin/sh\nFAKE_NAME={program} exec {words} "$@"\n')
        wrapper.chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "FAKE": str(fake),
        "RUNNER_POLL_SECONDS": "0.2",
        "RUNNER_LATE_SECONDS": "2",
        "LC_ALL": "C",
    }
    for variable in ("RECIPE_PID", "JOB_STATUS"):
        environment[variable] = ""
    return Runner(name, folder, fake, environment)


@pytest.fixture(params=["run.py", "slurm.py", "sge.py"])
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Runner:
    return make_runner(request.param, tmp_path)


def of(name: str):
    """Return the fixture of one of the runners."""
    return pytest.fixture(lambda tmp_path: make_runner(name, tmp_path))


local_runner, slurm_runner, sge_runner = map(of, ("run.py", "slurm.py", "sge.py"))
