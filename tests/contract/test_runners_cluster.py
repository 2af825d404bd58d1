"""What slurm.py and sge.py alike do when a cluster or its file system has bad news, before fakes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

CLUSTERS = ["slurm.py", "sge.py"]
on_clusters = pytest.mark.parametrize("runner", CLUSTERS, indirect=True)
ARRAY = ["JOB=1:2", "log/a.JOB.log"]


def wait_for_ends(runner, *tasks: str) -> None:
    """Wait until tasks of the fake scheduler have ended."""
    for task in tasks:
        runner.wait_for(runner.fake / f"end.{task}")


@on_clusters
def test_job_that_was_taken_but_is_said_to_have_failed_does_nothing(runner) -> None:
    (runner.fake / "orphan").touch()
    done = runner.run(*ARRAY, "touch", "ran.JOB", RUNNER_LATE_SECONDS="1")
    assert done.returncode == 1
    assert "cannot submit a: " in done.stderr and "Socket timed out" in done.stderr
    wait_for_ends(runner, "100.1", "100.2")
    assert (runner.fake / "end.100.1").read_text() == "1"
    assert not list(runner.folder.glob("ran.*"))
    assert not list(runner.folder.glob("log/*"))


@on_clusters
def test_job_whose_runner_died_before_it_knew_the_id_does_nothing(runner) -> None:
    (runner.fake / "slow").write_text("2")
    process = runner.start(*ARRAY, "touch", "ran.JOB")
    runner.wait_for(runner.fake / "job.100")
    process.kill()
    process.communicate(timeout=20)
    time.sleep(2.5)  # the id is told, to nobody
    (runner.fake / "slow").unlink()
    done = runner.run(*ARRAY, "touch", "ran.again.JOB", RUNNER_LATE_SECONDS="1")
    assert done.returncode == 0, done.stderr
    wait_for_ends(runner, "100.1", "100.2")
    assert sorted(path.name for path in runner.folder.glob("ran.*")) == ["ran.again.1", "ran.again.2"]
    assert not (runner.folder / "log/q").exists()


@on_clusters
def test_task_that_starts_before_its_id_is_known_waits(runner) -> None:
    (runner.fake / "slow").write_text("1.5")
    done = runner.run(*ARRAY, "touch", "ran.JOB")
    assert done.returncode == 0, done.stderr
    assert len(list(runner.folder.glob("ran.*"))) == 2


@on_clusters
def test_task_that_is_queued_again_by_sigterm_runs_a_second_time(runner) -> None:
    """It waits for longer than the runner would for the reason of a task that ended by a signal."""
    (runner.fake / "requeue").write_text("2")
    words = "ls log/q/a.*/end.JOB > words.JOB 2>/dev/null;"
    once = "echo >> runs.JOB; mkdir -p started; touch started/JOB; test $(wc -l < runs.JOB) = 2 || sleep 2"
    done = runner.run(*ARRAY, *words.split(), *once.split())
    assert done.returncode == 0, done.stderr
    assert len((runner.folder / "runs.2").read_text().splitlines()) == 2
    assert (runner.folder / "words.2").read_text() == ""
    assert not (runner.folder / "log/q").exists()


@on_clusters
def test_task_that_is_not_listed_is_cancelled_when_it_is_given_up(runner) -> None:
    (runner.fake / "hide").write_text("2")
    argv = ["touch", "up.JOB;", "test", "JOB", "=", "1", "||", "sleep", "300"]
    done = runner.run(*ARRAY, *argv, RUNNER_LATE_SECONDS="1")
    assert done.returncode == 1
    assert "job 2 ended with no word of its own, it is gone from the queue" in done.stderr
    wait_for_ends(runner, "100.2")
    assert (runner.fake / "end.100.2").read_text() == "CANCELLED"


@on_clusters
def test_variables_of_the_user_do_not_hide_jobs(runner) -> None:
    variables = {"SQUEUE_PARTITION": "other", "LOGNAME": "somebody"}
    done = runner.run(*ARRAY, "sleep", "3", RUNNER_LATE_SECONDS="1", **variables)
    assert done.returncode == 0, done.stderr


@on_clusters
def test_index_of_the_job_around_a_runner_is_not_the_jobs_own(runner) -> None:
    variables = {"SLURM_ARRAY_TASK_ID": "3", "SGE_TASK_ID": "3"}
    done = runner.run("log/one.log", "touch", "ran", **variables)
    assert done.returncode == 0, done.stderr
    done = runner.run("JOB=7:8", "log/a.JOB.log", "touch", "ran.JOB", **variables)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in runner.folder.glob("ran*")) == ["ran", "ran.7", "ran.8"]


@on_clusters
def test_task_that_dies_before_its_log(runner) -> None:
    (runner.folder / "path.sh").write_text("echo no module python >&2; exit 3\n")
    (runner.folder / "log").mkdir()
    (runner.folder / "log/a.1.log").write_text("ERROR (x) of the last run\n")
    done = runner.run(*ARRAY, "true", RUNNER_LATE_SECONDS="1")
    assert done.returncode == 1
    (folder,) = (runner.folder / "log/q").iterdir()
    assert f", before it had a log: see {folder}/out.1.1, log is in log/a.1.log" in done.stderr
    assert (folder / "out.1.2").read_text() == "no module python\n"
    assert "of the last run" not in done.stderr


@on_clusters
def test_old_log_is_not_taken_for_a_new_one(runner) -> None:
    (runner.folder / "log").mkdir()
    (runner.folder / "log/a.log").write_text("old\n")
    done = runner.run("log/a.log", "test", "!", "-e", "there;", "rm", "log/a.log", RUNNER_LATE_SECONDS="0.5")
    assert done.returncode == 1
    assert "code 0, but log/a.log has not appeared" in done.stderr
    assert runner.run("/dev/null", "true", RUNNER_LATE_SECONDS="0.5").returncode == 0
    assert Path("/dev/null").is_char_device()


@on_clusters
def test_array_for_which_there_is_no_room_waits_for_the_one_before(runner) -> None:
    (runner.fake / "full").write_text("4")
    done = runner.run("JOB=1:6", "log/a.JOB.log", "touch", "ran.JOB;", "sleep", "0.5")
    assert done.returncode == 0, done.stderr
    assert "; waiting for the jobs before" in done.stderr
    assert len(list(runner.folder.glob("ran.*"))) == 6


@on_clusters
def test_array_for_which_there_is_no_room_at_all(runner) -> None:
    (runner.fake / "full").write_text("3")
    done = runner.run("JOB=1:6", "log/a.JOB.log", "true")
    assert done.returncode == 1
    assert "cannot submit a: " in done.stderr


@on_clusters
def test_folder_that_cannot_be_read_for_a_moment(runner) -> None:
    process = runner.start(*ARRAY, "touch", "up.JOB;", "sleep", "2")
    for job in (1, 2):
        runner.wait_for(runner.folder / f"up.{job}")
    (folder,) = (runner.folder / "log/q").iterdir()
    away = folder.rename(runner.folder / "away")
    time.sleep(0.8)
    away.rename(folder)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert f"{folder}: No such file or directory; trying again" in err


@on_clusters
def test_folder_that_cannot_be_read_any_more(runner) -> None:
    process = runner.start(*ARRAY, "touch", "up.JOB;", "sleep", "30", RUNNER_UNREACHABLE_SECONDS="0.5")
    for job in (1, 2):
        runner.wait_for(runner.folder / f"up.{job}")
    (folder,) = (runner.folder / "log/q").iterdir()
    folder.rename(runner.folder / "away")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "the folder cannot be read for 0 s" in err
    wait_for_ends(runner, "100.1", "100.2")


def test_process_killed_for_want_of_memory_in_a_pipe(slurm_runner) -> None:
    """Accounting is asked once an array."""
    (slurm_runner.fake / "quiet").write_text("2")
    done = slurm_runner.run("JOB=1:6", "log/a.JOB.log", "true")
    assert done.returncode == 1
    assert "job 2 ended with code 0, but Slurm says OUT_OF_MEMORY, log is in log/a.2.log" in done.stderr
    assert len((slurm_runner.fake / "asked").read_text().splitlines()) == 2
    assert slurm_runner.log("a.2.log")[-1] == "# Slurm says OUT_OF_MEMORY"
    (slurm_runner.fake / "quiet").write_text("1")
    done = slurm_runner.run("log/a.log", "true")
    assert "the job ended with code 0, but Slurm says OUT_OF_MEMORY" in done.stderr


def test_without_accounting_it_is_not_asked(slurm_runner) -> None:
    (slurm_runner.fake / "mute").touch()
    (slurm_runner.fake / "quiet").write_text("2")
    assert slurm_runner.run(*ARRAY, "true").returncode == 0
    assert not (slurm_runner.fake / "asked").exists()


@pytest.mark.parametrize("argv", [["log/a.log"], ["JOB=1:1", "log/a.JOB.log"]])
def test_single_job_is_cancelled_by_its_id(slurm_runner, argv: list[str]) -> None:
    (slurm_runner.fake / "stuck").write_text("1")
    done = slurm_runner.run(*argv, "true")
    assert done.returncode == 1
    wanted = "100\n" if argv[0] == "log/a.log" else "100_1\n"
    assert (slurm_runner.fake / "cancelled").read_text() == wanted


def test_many_failed_tasks_are_not_asked_for_one_by_one(slurm_runner) -> None:
    done = slurm_runner.run("--max-jobs-run", "9", "JOB=1:32", "log/a.JOB.log", "exit", "3")
    assert done.returncode == 1
    assert "32 / 32 failed" in done.stderr
    asked = (slurm_runner.fake / "asked").read_text().splitlines()
    assert len([line for line in asked if "_" in line]) <= 20
