"""What slurm.py does when Slurm has bad news, before a fake Slurm."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

KILL_ME = "mkdir -p started; touch started/JOB; sleep 1"


def test_submission(slurm_runner) -> None:
    done = slurm_runner.run(
        "--mem", "2G", "--num-threads", "3", "-p", "short", "JOB=1:3", "log/a.b.JOB.log", "true"
    )
    assert done.returncode == 0, done.stderr
    words = (slurm_runner.fake / "submitted").read_text().split()
    assert words[0] == "sbatch"
    for word in (
        "--mem-per-cpu=2G",
        "--cpus-per-task=3",
        "--parsable",
        "--job-name=a.b",
        "--array=1-3",
        "-p",
        "short",
    ):
        assert word in words
    assert not (slurm_runner.folder / "log/q").exists()


def test_long_and_odd_names_are_made_to_fit(slurm_runner) -> None:
    assert slurm_runner.run(f"log/7 é{'x' * 200}.log", "true").returncode == 0
    words = (slurm_runner.fake / "submitted").read_text().split()
    assert f"--job-name=j7__{'x' * 56}" in words


def test_limit_goes_to_the_array(slurm_runner) -> None:
    assert slurm_runner.run("--max-jobs-run", "2", "JOB=1:3", "log/a.JOB.log", "true").returncode == 0
    assert "--array=1-3%2" in (slurm_runner.fake / "submitted").read_text()


def test_more_jobs_than_an_array_may_have(slurm_runner) -> None:
    done = slurm_runner.run("JOB=3:12", "log/a.JOB.log", "echo", "JOB", ">", "out.JOB")
    assert done.returncode == 0, done.stderr
    arrays = [line for line in (slurm_runner.fake / "submitted").read_text().splitlines()]
    assert [sum(f"--array=1-{n}" in line for line in arrays) for n in (4, 2)] == [2, 1]
    texts = {path.read_text().strip() for path in slurm_runner.folder.glob("out.*")}
    assert texts == {str(n) for n in range(3, 13)}


def test_killed_task_is_reported_with_slurms_reason(slurm_runner) -> None:
    (slurm_runner.fake / "kill").write_text("2")
    done = slurm_runner.run("JOB=1:3", "log/a.JOB.log", *KILL_ME.split())
    assert done.returncode == 1
    assert (
        "job 2 ended with no word of its own, it is gone from the queue: Slurm says OUT_OF_MEMORY"
        in done.stderr
    )
    assert "log is in log/a.2.log" in done.stderr
    assert done.stderr.splitlines()[-1] == "slurm.py: 1 / 3 failed, log is in log/a.*.log"


def test_reason_that_comes_late_is_waited_for(slurm_runner) -> None:
    (slurm_runner.fake / "term").write_text("2")
    done = slurm_runner.run("JOB=1:2", "log/a.JOB.log", *KILL_ME.split())
    assert done.returncode == 1
    assert (
        "job 2 ended with code 0; signal 15 (Slurm says TIMEOUT, exit code 137:0), log is in log/a.2.log"
        in done.stderr
    )


@pytest.mark.parametrize("accounting", [True, False])
def test_lost_task_is_a_failure(slurm_runner, accounting: bool) -> None:
    (slurm_runner.fake / "lose").write_text("1")
    if not accounting:
        (slurm_runner.fake / "mute").touch()
    done = slurm_runner.run("JOB=1:2", "log/a.JOB.log", "true")
    assert done.returncode == 1
    assert ("Slurm says NODE_FAIL" if accounting else "the scheduler does not say why") in done.stderr
    assert "1 / 2 failed" in done.stderr


def test_task_that_would_never_run_is_cancelled_alone(slurm_runner) -> None:
    (slurm_runner.fake / "stuck").write_text("2")
    done = slurm_runner.run("JOB=1:2", "log/a.JOB.log", "sleep", "0.5", ";", "touch", "done.JOB")
    assert done.returncode == 1
    assert "launch failed requeued held" in done.stderr
    assert (slurm_runner.folder / "done.1").exists()
    assert "100_2" in (slurm_runner.fake / "cancelled").read_text()


def test_controller_that_is_down_at_submission(slurm_runner) -> None:
    (slurm_runner.fake / "down").touch()
    process = slurm_runner.start("log/a.log", "true")
    slurm_runner.wait_for(slurm_runner.fake / "refused")
    time.sleep(0.3)
    (slurm_runner.fake / "down").unlink()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "Unable to contact the controller (connect failure); trying again" in err


def test_refused_submission(slurm_runner) -> None:
    (slurm_runner.fake / "refuse").touch()
    done = slurm_runner.run("JOB=1:2", "log/a.JOB.log", "true")
    assert done.returncode == 1
    assert "ERROR (slurm.py) cannot submit a: sbatch said: error: invalid partition specified" in done.stderr


def test_controller_that_is_down_for_a_while(slurm_runner) -> None:
    process = slurm_runner.start("JOB=1:2", "log/a.JOB.log", "touch", "up.JOB", ";", "sleep", "1.5")
    slurm_runner.wait_for(slurm_runner.folder / "up.2")
    (slurm_runner.fake / "down").touch()
    slurm_runner.wait_for(slurm_runner.fake / "refused")
    time.sleep(0.3)
    (slurm_runner.fake / "down").unlink()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "squeue said: error: Unable to contact" in err


def test_controller_that_stays_down(slurm_runner) -> None:
    process = slurm_runner.start(
        "log/a.log",
        "touch",
        "up",
        ";",
        "sleep",
        "3",
        RUNNER_UNREACHABLE_SECONDS="0.5",
        RUNNER_LATE_SECONDS="0.5",
    )
    slurm_runner.wait_for(slurm_runner.folder / "up")
    (slurm_runner.fake / "down").touch()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "job 100 may still be running" in err


def test_no_slurm_at_all(slurm_runner) -> None:
    done = slurm_runner.run("log/a.log", "true", PATH="/nowhere")
    assert done.returncode == 1
    assert "sbatch" in done.stderr or "scontrol" in done.stderr
    assert "Traceback" not in done.stderr


def leave(runner, name: str, **facts) -> Path:
    """Leave what a runner would that submitted job 100 for log/a.JOB.log and died on this host."""
    (runner.fake / "job.100").write_text("2")
    folder = runner.folder / "log/q" / name
    folder.mkdir(parents=True)
    known = {"logs": str(runner.folder / "log/a.*.log"), "host": os.uname().nodename, "poll": 0.2}
    known |= {"pid": 1, "start": "-1", "ids": ["100"]}
    (folder / "submitted").write_text(json.dumps(known | facts))
    return folder / "submitted"


def test_leftovers_of_a_dead_runner_are_cancelled_first(slurm_runner) -> None:
    left = leave(slurm_runner, "a.dead")
    done = slurm_runner.run("JOB=1:2", "log/a.JOB.log", "true")
    assert done.returncode == 0, done.stderr
    assert "cancelling job 100 of an earlier runner that is gone" in done.stderr
    assert (slurm_runner.fake / "cancelled").read_text() == "100\n"
    assert not left.exists()


def test_leftovers_of_a_runner_that_had_submitted_nothing(slurm_runner) -> None:
    left = leave(slurm_runner, "a.dead", ids=[])
    done = slurm_runner.run("JOB=1:2", "log/a.JOB.log", "true")
    assert done.returncode == 0, done.stderr
    assert not left.exists()
    assert not (slurm_runner.fake / "cancelled").exists()


@pytest.mark.parametrize("logs", ["log/a.log", "log/a.b.*.log"])
def test_other_jobs_of_a_similar_name_are_left_alone(slurm_runner, logs: str) -> None:
    left = leave(slurm_runner, "a.other", logs=str(slurm_runner.folder / logs), pid=os.getpid(), start=None)
    done = slurm_runner.run("JOB=1:2", "log/a.JOB.log", "true")
    assert done.returncode == 0, done.stderr
    assert left.exists()


def test_runner_on_another_host_lives_while_its_file_is_new(slurm_runner) -> None:
    left = leave(slurm_runner, "a.far", host="far", pid=77)
    done = slurm_runner.run("JOB=1:2", "log/a.JOB.log", "true")
    assert done.returncode == 1
    assert "process 77 on far is running the same jobs" in done.stderr
    assert [path.name for path in left.parent.parent.iterdir()] == ["a.far"]
    os.utime(left, (time.time() - 61, time.time() - 61))
    done = slurm_runner.run("JOB=1:2", "log/a.JOB.log", "true")
    assert done.returncode == 0, done.stderr
    assert (slurm_runner.fake / "cancelled").read_text() == "100\n"


def test_runner_renews_its_file(slurm_runner) -> None:
    process = slurm_runner.start("log/a.log", "touch", "up", ";", "sleep", "2")
    slurm_runner.wait_for(slurm_runner.folder / "up")
    (file,) = slurm_runner.folder.glob("log/q/a.*/submitted")
    os.utime(file, (1, 1))
    time.sleep(1)
    assert file.stat().st_mtime > 1
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_two_runners_of_the_same_jobs(slurm_runner) -> None:
    first = slurm_runner.start("JOB=1:2", "log/a.JOB.log", "touch", "up.JOB", ";", "sleep", "2")
    slurm_runner.wait_for(slurm_runner.folder / "up.2")
    done = slurm_runner.run("JOB=1:2", "log/a.JOB.log", "true")
    assert done.returncode == 1
    assert f"process {first.pid} is running the same jobs" in done.stderr
    first.communicate(timeout=20)
    assert first.returncode == 0


def test_outputs_that_do_not_appear(slurm_runner) -> None:
    done = slurm_runner.run("log/a.log", "true", RUNNER_OUTPUTS="never", RUNNER_LATE_SECONDS="0.3")
    assert done.returncode == 1
    assert "code 0, but never has not appeared within 0 s" in done.stderr


def test_outputs_that_appear_late(slurm_runner) -> None:
    done = slurm_runner.run(
        "log/a.log", *["(", "sleep", "0.7;", "touch", "late", ")", "&"], RUNNER_OUTPUTS="late"
    )
    assert done.returncode == 0, done.stderr
