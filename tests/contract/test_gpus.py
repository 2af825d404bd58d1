"""One job a GPU: on this machine, and on a node of a cluster whose scheduler only counts them."""

import errno
import os

import pytest

from utils import cli
from utils.job_runner import task

SHOW = ["echo", "$CUDA_VISIBLE_DEVICES", ">", "gpu.JOB", ";"]
ALONE = ["mkdir", "held.$CUDA_VISIBLE_DEVICES", "||", "exit", "1;", *SHOW]
HOLD = [*ALONE, "sleep", "0.3;", "rmdir", "held.$CUDA_VISIBLE_DEVICES"]


def used(runner, jobs: int) -> list[str]:
    return [(runner.folder / f"gpu.{job}").read_text().strip() for job in range(1, jobs + 1)]


def fake_nvidia_smi(runner, count: int) -> None:
    """Put a nvidia-smi that lists GPUs where the runner and its jobs find it."""
    program = runner.fake.parent / "bin" / "nvidia-smi"
    lines = "".join(f"echo 'GPU {number}: none'\n" for number in range(count))
    program.write_text(f"#!/bin/sh\n{lines}")
    program.chmod(0o755)


def test_local_jobs_share_what_is_visible(local_runner) -> None:
    folder = str(local_runner.folder)
    argv = ["--gpu", "1", "--max-jobs-run", "4", "JOB=1:5", "log/g.JOB.log", *HOLD]
    done = local_runner.run(*argv, CUDA_VISIBLE_DEVICES="3,5", TMPDIR=folder)
    assert done.returncode == 0, done.stderr
    assert set(used(local_runner, 5)) == {"3", "5"}


def test_two_local_runners_share_them_too(local_runner) -> None:
    folder = str(local_runner.folder)
    runs = [
        local_runner.start("--gpu", "1", log, *HOLD, CUDA_VISIBLE_DEVICES="7", TMPDIR=folder)
        for log in ("log/a.log", "log/b.log")
    ]
    for run in runs:
        _, err = run.communicate(timeout=60)
        assert run.returncode == 0, err


@pytest.mark.parametrize(
    ("gpus", "wanted", "together"),
    [("6,8", "1", ["6", "6", "8", "8"]), ("6,8", "2", ["6,8", "6,8"])],
)
def test_several_local_jobs_on_a_gpu(local_runner, gpus: str, wanted: str, together: list[str]) -> None:
    """So many jobs are in the folder at once, each waiting for the others, and no more."""
    count = len(together)
    wait = ["while", "test", "$(ls up | wc -l)", "-lt", str(count), ";", "do", "sleep", "0.05;", "done"]
    (local_runner.folder / "up").mkdir()
    argv = ["--gpu", wanted, "--max-jobs-run", "9", f"JOB=1:{count}", "log/g.JOB.log", *SHOW]
    variables = {"CUDA_VISIBLE_DEVICES": gpus, "TMPDIR": str(local_runner.folder), "RUNNER_JOBS_PER_GPU": "2"}
    done = local_runner.run(*argv, "touch", "up/JOB;", *wait, **variables)
    assert done.returncode == 0, done.stderr
    assert sorted(used(local_runner, count)) == together
    # A third job on a GPU waits: the folder of the first two is still there when it may begin.
    argv = ["--gpu", wanted, "--max-jobs-run", "9", f"JOB=1:{count + 1}", "log/h.JOB.log"]
    most = "mkdir in.JOB; ls -d in.* | wc -l > n.JOB; sleep 0.4; rmdir in.JOB"
    assert local_runner.run(*argv, *most.split(), **variables).returncode == 0
    seen = [int((local_runner.folder / f"n.{job}").read_text()) for job in range(1, count + 2)]
    assert max(seen) == count


def test_fewer_local_gpus_than_a_job_wants(local_runner) -> None:
    argv = ["--gpu", "2", "JOB=1:2", "log/g.JOB.log", *SHOW, "true"]
    done = local_runner.run(*argv, CUDA_VISIBLE_DEVICES="4", TMPDIR=str(local_runner.folder))
    assert done.returncode == 0, done.stderr
    assert used(local_runner, 2) == ["4", "4"]


def test_node_whose_scheduler_only_counts(sge_runner) -> None:
    fake_nvidia_smi(sge_runner, 2)
    argv = ["--gpu", "1", "--max-jobs-run", "2", "JOB=1:4", "log/g.JOB.log", *HOLD]
    done = sge_runner.run(*argv, CUDA_VISIBLE_DEVICES="NoDevFiles")
    assert done.returncode == 0, done.stderr
    assert set(used(sge_runner, 4)) == {"0", "1"}
    assert any(line.startswith("LOG (task.py) CUDA_VISIBLE_DEVICES=") for line in sge_runner.log("g.1.log"))


def test_node_whose_scheduler_says_which(slurm_runner) -> None:
    fake_nvidia_smi(slurm_runner, 2)
    argv = ["--gpu", "1", "JOB=1:2", "log/g.JOB.log", *SHOW, "true"]
    assert slurm_runner.run(*argv, CUDA_VISIBLE_DEVICES="6").returncode == 0
    assert used(slurm_runner, 2) == ["6", "6"]


@pytest.mark.parametrize(
    "use", [f"{x} {y}" for x in ("local", "slurm", "sge") for y in ("no", "yes", "optional")]
)
def test_use_gpu_asks_for_one_a_job(run_cli, use: str) -> None:
    script = 'set -euo pipefail; . ./cmd.sh; printf "%s\\n" "$feat_cmd" "$train_cmd" "$cuda_cmd" "$score_cmd"'
    backend, use_gpu = use.split()
    done = run_cli("bash", "-c", script, env={"cmd_backend": backend, "use_gpu": use_gpu}, check=True)
    asks = use_gpu == "yes" or use == "local optional"
    assert [line.endswith(" --gpu 1") for line in done.stdout.splitlines()] == [False, asks, asks, False]


def test_without_locks_it_is_said_and_permitted_a_job_goes_on(monkeypatch, tmp_path) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(cli.UserError, match="has no locks .* WITHOUT_LOCKS=true"):
        task.take_gpus({"gpus": 1})
    monkeypatch.setenv("WITHOUT_LOCKS", "true")
    assert task.take_gpus({"gpus": 1}) == "3"
