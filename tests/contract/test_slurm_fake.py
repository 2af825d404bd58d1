"""What slurm.py does when Slurm has bad news, before a fake Slurm."""

from __future__ import annotations

import json
import os
import time

import pytest

from utils.job_runner import site_conf
from utils.job_runner.request import UsageError, parse

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


def test_leftovers_of_a_dead_runner_are_cancelled_first(slurm_runner) -> None:
    (slurm_runner.fake / "job.100").write_text("2")
    folder = slurm_runner.folder / "log/q/a.dead"
    folder.mkdir(parents=True)
    facts = {"host": os.uname().nodename, "pid": 1, "start": "-1", "ids": ["100"]}
    (folder / "submitted").write_text(json.dumps(facts))
    done = slurm_runner.run("JOB=1:2", "log/a.JOB.log", "true")
    assert done.returncode == 0, done.stderr
    assert "cancelling job 100 of an earlier runner that is gone" in done.stderr
    assert (slurm_runner.fake / "cancelled").read_text() == "100\n"


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


CONF = """
# comment
command qsub -v PATH -l 'arch=*64*'   # comment
option mem=* -l mem_free=$0,ram_free=$0
option mem=0
option gpu=0
option gpu=* -l gpu=$0
default gpu=0
option fast=true -q fast.q
"""


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], []),
        (["--mem", "2G"], ["-l", "mem_free=2G,ram_free=2G"]),
        (["--mem", "0"], []),
        (["--gpu", "2"], ["-l", "gpu=2"]),
        (["--fast", "true"], ["-q", "fast.q"]),
        (["--max-jobs-run", "3"], []),
        (["-q", "x.q"], ["-q", "x.q"]),
    ],
)
def test_site_configuration(argv: list[str], words: list[str]) -> None:
    conf = site_conf.parse(CONF, "queue.conf")
    assert conf.arguments(parse([*argv, "log", "true"])) == ["qsub", "-v", "PATH", "-l", "arch=*64*", *words]


@pytest.mark.parametrize("argv", [["--fast", "false"], ["--speed", "9"]])
def test_option_that_is_not_described(argv: list[str]) -> None:
    conf = site_conf.parse(CONF, "queue.conf")
    with pytest.raises(UsageError, match=rf"{argv[0]} {argv[1]} is not described in queue.conf"):
        conf.arguments(parse([*argv, "log", "true"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("option mem=* -l x", "x.conf: expected a line 'command"),
        ("command qsub\nopton mem=* x", "x.conf:2: expected 'command', 'option' or 'default'"),
        ("command qsub\noption mem", "x.conf:2: expected 'option name=value'"),
        ("command qsub\ndefault gpu=0 x", "x.conf:2: expected 'default name=value' and nothing"),
        ("command qsub 'x", "x.conf:1: No closing quotation"),
    ],
)
def test_wrong_site_configuration(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace(".", r"\.")):
        site_conf.parse(text, "x.conf")


@pytest.mark.parametrize("name", ["slurm", "queue"])
def test_shipped_configurations(name: str, repo) -> None:
    conf = site_conf.read(str(repo / f"conf/{name}.conf"), "", "")
    words = conf.arguments(parse(["--mem", "1G", "--num-threads", "2", "--gpu", "1", "log", "true"]))
    assert words[0] == {"slurm": "sbatch", "queue": "qsub"}[name]
    assert any("1G" in word for word in words)


def test_configuration_in_its_standard_place(slurm_runner) -> None:
    (slurm_runner.folder / "conf").mkdir()
    (slurm_runner.folder / "conf/slurm.conf").write_text("command sbatch --from-standard-place\n")
    (slurm_runner.folder / "mine.conf").write_text("command sbatch --from-mine\n")
    assert slurm_runner.run("log/a.log", "true").returncode == 0
    assert slurm_runner.run("--config", "mine.conf", "log/a.log", "true").returncode == 0
    first, second = (slurm_runner.fake / "submitted").read_text().splitlines()
    assert "--from-standard-place" in first
    assert "--from-mine" in second


def test_missing_configuration(slurm_runner) -> None:
    done = slurm_runner.run("--config", "none.conf", "log/a.log", "true")
    assert done.returncode == 2
    assert "--config none.conf: No such file" in done.stderr
