"""What sge.py does when Grid Engine has bad news, before a fake Grid Engine."""

from __future__ import annotations

import os
import signal
import time

import pytest

from utils.sge import indices

KILL_ME = "mkdir -p started; touch started/JOB; sleep 1"


def test_submission(sge_runner) -> None:
    done = sge_runner.run(
        "--mem",
        "2G",
        "--num-threads",
        "3",
        "-q",
        "short.q",
        "-sync",
        "y",
        "--max-jobs-run",
        "2",
        "JOB=2:4",
        "log/1.JOB.log",
        "true",
    )
    assert done.returncode == 0, done.stderr
    words = " ".join((sge_runner.fake / "submitted").read_text().split())
    for part in (
        "-l mem_free=2G,ram_free=2G",
        "-pe smp 3",
        "-q short.q",
        "-t 1-3",
        "-tc 2",
        "-N j1",
        "-terse",
    ):
        assert part in words
    assert "-sync" not in words
    assert not (sge_runner.folder / "log/q").exists()


def test_more_jobs_than_an_array_may_have(sge_runner) -> None:
    done = sge_runner.run("--max-jobs-run", "9", "JOB=1:6", "log/a.JOB.log", "echo", "JOB", ">", "out.JOB")
    assert done.returncode == 0, done.stderr
    arrays = (sge_runner.fake / "submitted").read_text()
    assert [arrays.count(f"-t 1-{n} ") for n in (4, 2)] == [1, 1]
    assert len(list(sge_runner.folder.glob("out.*"))) == 6


def test_killed_task_is_reported_with_accountings_reason(sge_runner) -> None:
    (sge_runner.fake / "kill").write_text("2")
    done = sge_runner.run("JOB=1:3", "log/a.JOB.log", *KILL_ME.split())
    assert done.returncode == 1
    assert (
        "job 2 ended with no word of its own, it is gone from the queue: Grid Engine says failed 100"
        in done.stderr
    )
    assert done.stderr.splitlines()[-1] == "sge.py: 1 / 3 failed, log is in log/a.*.log"


@pytest.mark.parametrize("accounting", [True, False])
def test_lost_task_is_a_failure(sge_runner, accounting: bool) -> None:
    (sge_runner.fake / "lose").write_text("1")
    if not accounting:
        (sge_runner.fake / "mute").touch()
    done = sge_runner.run("JOB=1:2", "log/a.JOB.log", "true")
    assert done.returncode == 1
    assert ("NODE_FAIL" if accounting else "the scheduler does not say why") in done.stderr


def test_task_in_error_state(sge_runner) -> None:
    (sge_runner.fake / "stuck").write_text("2")
    done = sge_runner.run("JOB=1:2", "log/a.JOB.log", "sleep", "0.5", ";", "touch", "done.JOB")
    assert done.returncode == 1
    assert "state Eqw: it would never run" in done.stderr
    assert (sge_runner.folder / "done.1").exists()
    assert "100 -t 2" in (sge_runner.fake / "cancelled").read_text()


def test_task_whose_node_is_not_heard_of(sge_runner) -> None:
    (sge_runner.fake / "silent").write_text("2")
    argv = ["JOB=1:2", "log/a.JOB.log", "touch", "up.JOB;", "test", "JOB", "=", "1", "||", "sleep", "300"]
    process = sge_runner.start(*argv, RUNNER_UNREACHABLE_SECONDS="1")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "job 2 ended with state r: all.q@host2 is not heard of for 1 s, log is in log/a.2.log" in err
    assert "1 / 2 failed" in err
    assert "100 -t 2" in (sge_runner.fake / "cancelled").read_text()
    # It stays in the queue until its node is back, which must not block the next runner.
    assert sge_runner.run(*argv[:2], "true").returncode == 0
    os.killpg(int((sge_runner.fake / "pid.100.2").read_text()), signal.SIGKILL)


def test_controller_that_is_down_at_submission(sge_runner) -> None:
    (sge_runner.fake / "down").touch()
    process = sge_runner.start("log/a.log", "true")
    sge_runner.wait_for(sge_runner.fake / "refused")
    time.sleep(0.3)
    (sge_runner.fake / "down").unlink()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "Unable to contact the controller (connect failure); trying again" in err


def test_refused_submission(sge_runner) -> None:
    (sge_runner.fake / "refuse").touch()
    done = sge_runner.run("JOB=1:2", "log/a.JOB.log", "true")
    assert done.returncode == 1
    assert "ERROR (sge.py) cannot submit a: qsub said" in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3", [3]), ("1-4:1", [1, 2, 3, 4]), ("1-5:2,8", [1, 3, 5, 8]), ("2-3", [2, 3]), ("", [])],
)
def test_task_ranges(text: str, expected: list[int]) -> None:
    assert indices(text) == expected
