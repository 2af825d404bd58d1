"""What slurm.py and sge.py do when a cluster or its file system has bad news, before a fake of either."""

import json
import time
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.contract.conftest import make_runner
from utils import slurm

ARRAY = ["JOB=1:2", "log/a.JOB.log"]
HELD = ["until", "test", "-e", "go;", "do", "sleep", "0.1;", "done"]
STARTED = ["mkdir", "-p", "started;", "touch", "started/JOB;", "sleep", "1"]


@pytest.fixture(params=["slurm.py", "sge.py"])
def runner(request, tmp_path):
    return make_runner(request.param, tmp_path)


def trouble(runner, **files: str) -> None:
    """Let the fake scheduler make trouble; see its documentation."""
    for name, content in files.items():
        (runner.fake / name).write_text(content)


def run(runner, *argv: str, code: int = 0, **variables: str) -> str:
    done = runner.run(*argv, **variables)
    assert done.returncode == code, done.stderr
    return done.stderr


def start_and_wait(runner, *argv: str, **variables: str):
    """Start two tasks that tell when they are up and then go on with ``argv``."""
    process = runner.start(*ARRAY, "touch", "up.JOB;", *argv, **variables)
    for job in (1, 2):
        runner.wait_for(runner.folder / f"up.{job}")
    return process


def ended(process, code: int) -> str:
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    return err


def wait_for_ends(runner, *tasks: str) -> None:
    for task in tasks:
        runner.wait_for(runner.fake / f"end.{task}")


def submitted(runner) -> str:
    return (runner.fake / "submitted").read_text()


def queue_folder(runner) -> Path:
    """Return the folder of a call, beside which there may be its lock."""
    (folder,) = (path for path in (runner.folder / "log/q").iterdir() if path.is_dir())
    return folder


def cancelled(runner) -> str:
    return (runner.fake / "cancelled").read_text()


LARGE = "--mem,2G,--num-threads,3,--max-jobs-run,2"
SLURMS = "--mem-per-cpu=2G,--cpus-per-task=3,--parsable,--job-name=a.b ,--array=1-3%2 ,-p short"
SGES = "-pe smp 3,-l mem_free=2G,-q short.q,-tc 2 ,-t 1-3 ,-N j1 ,-terse"
SUBMISSIONS = [  # runner, arguments, what is in the submission
    ("slurm.py", f"{LARGE},-p,short,JOB=1:3,log/a.b.JOB.log", SLURMS),
    ("slurm.py", f"log/7 é{'x' * 200}.log", f"--job-name=j7__{'x' * 56} "),
    ("sge.py", f"{LARGE},-q,short.q,-sync,y,JOB=2:4,log/1.JOB.log", SGES),
]


@pytest.mark.parametrize(("runner", "argv", "parts"), SUBMISSIONS, indirect=["runner"])
def test_submission(runner, argv: str, parts: str) -> None:
    run(runner, *argv.split(","), "true")
    words = " ".join(submitted(runner).split())
    for part in parts.split(","):
        assert part.replace(";", ",") in words
    assert "-sync" not in words
    assert not (runner.folder / "log/q").exists()


HURRIED = {"RUNNER_LATE_SECONDS": "0.5"}
GONE = "job 2 ended with no word of its own, it is gone from the queue: "
BOTH, SLURM, SGE = ("slurm.py", "sge.py"), ("slurm.py",), ("sge.py",)
FAILURES = [  # runners, trouble, arguments behind JOB=1:2, variables, what is said
    (SLURM, {"kill": "2"}, STARTED, {}, f"{GONE}Slurm says OUT_OF_MEMORY"),
    (SGE, {"kill": "2"}, STARTED, {}, f"{GONE}Grid Engine says failed 100"),
    (BOTH, {"lose": "1"}, ["true"], {}, "NODE_FAIL"),
    (BOTH, {"lose": "1", "mute": ""}, ["true"], {}, "the scheduler does not say why"),
    (SLURM, {"term": "2"}, STARTED, {}, "code 0; signal 15 (Slurm says TIMEOUT, exit code 137:0), log is in"),
    (SLURM, {"refuse": ""}, ["true"], {}, "cannot submit a: sbatch said: error: invalid partition specified"),
    (SGE, {"refuse": ""}, ["true"], {}, "cannot submit a: qsub said: error: invalid partition specified"),
    (SLURM, {}, ["true"], {"PATH": "/nowhere"}, "sbatch: No such file"),
    (SGE, {}, ["true"], {"PATH": "/nowhere"}, "qsub: No such file"),
]


@pytest.mark.parametrize(
    ("runner", "files", "argv", "variables", "said"),
    [(runner, *row) for runners, *row in FAILURES for runner in runners],
    indirect=["runner"],
)
def test_failure_is_reported_with_its_reason(runner, files, argv, variables, said: str) -> None:
    trouble(runner, **files)
    err = run(runner, *ARRAY, *argv, code=1, **variables)
    assert said in err and "Traceback" not in err


@pytest.mark.parametrize("when", ["at submission", "later"])
def test_controller_that_is_down_for_a_while(runner, when: str) -> None:
    if when == "at submission":
        trouble(runner, down="")
        process = runner.start("log/a.log", "true")
    else:
        process = start_and_wait(runner, *HELD)
        trouble(runner, down="")
    runner.wait_for(runner.fake / "refused")
    time.sleep(0.3)
    (runner.fake / "down").unlink()
    (runner.folder / "go").touch()
    assert "Unable to contact the controller (connect failure)" in ended(process, 0)


def test_controller_that_stays_down(runner) -> None:
    process = start_and_wait(runner, *HELD, RUNNER_UNREACHABLE_SECONDS="0.5", **HURRIED)
    trouble(runner, down="")
    assert "job 100 may still be running" in ended(process, 1)
    (runner.folder / "go").touch()


@pytest.mark.parametrize(
    ("runner", "state", "task"),
    [
        ("slurm.py", "launch failed requeued held", "100_2"),
        ("sge.py", "state Eqw: it would never run", "100 -t 2"),
    ],
    indirect=["runner"],
)
def test_task_that_would_never_run_is_cancelled_alone(runner, state: str, task: str) -> None:
    trouble(runner, stuck="2")
    assert state in run(runner, *ARRAY, "sleep", "0.5;", "touch", "done.JOB", code=1)
    assert (runner.folder / "done.1").exists()
    assert task in cancelled(runner)


def leave(runner, name: str) -> Path:
    """Leave what a runner would that submitted job 100 for log/a.JOB.log and died."""
    trouble(runner, **{"job.100": "2"})
    folder = runner.folder / "log/q" / name
    folder.mkdir(parents=True)
    known = {"logs": str(runner.folder / "log/a.*.log"), "id": "100"}
    (folder / "submitted").write_text(json.dumps(known))
    return folder / "submitted"


def test_leftovers_of_a_dead_runner_are_cancelled_first(runner) -> None:
    left = leave(runner, "a.dead")
    assert "cancelling job 100 of an earlier runner that is gone" in run(runner, *ARRAY, "true")
    assert not left.exists() and cancelled(runner) == "100\n"


def test_second_runner_of_the_same_jobs_is_refused(slurm_runner) -> None:
    first = start_and_wait(slurm_runner, *HELD)
    said = f"the jobs with the logs log/a.*.log: process {first.pid} on this host is at work on it"
    assert said in run(slurm_runner, *ARRAY, "true", code=75)
    (slurm_runner.folder / "go").touch()
    ended(first, 0)


def test_task_that_is_queued_again_by_sigterm_runs_a_second_time(runner) -> None:
    """It waits for longer than the runner would for the reason of a task that ended by a signal."""
    trouble(runner, requeue="2")
    words = "ls log/q/a.*/end.JOB > words.JOB 2>/dev/null;"
    once = "echo >> runs.JOB; mkdir -p started; touch started/JOB; test $(wc -l < runs.JOB) = 2 || sleep 2"
    run(runner, *ARRAY, *words.split(), *once.split())
    assert len((runner.folder / "runs.2").read_text().splitlines()) == 2
    assert (runner.folder / "words.2").read_text() == ""
    assert not (runner.folder / "log/q").exists()


def test_task_that_is_not_listed_is_cancelled_when_it_is_given_up(runner) -> None:
    trouble(runner, hide="2")
    argv = ["touch", "up.JOB;", "test", "JOB", "=", "1", "||", "sleep", "300"]
    err = run(runner, *ARRAY, *argv, code=1, RUNNER_LATE_SECONDS="1")
    assert "job 2 ended with no word of its own, it is gone from the queue" in err
    wait_for_ends(runner, "100.2")
    assert (runner.fake / "end.100.2").read_text() == "CANCELLED"


def test_variables_of_the_user_and_of_the_job_around_a_runner_do_not_count(runner) -> None:
    variables = {"SQUEUE_PARTITION": "other", "LOGNAME": "somebody", **HURRIED}
    variables |= {"SLURM_ARRAY_TASK_ID": "3", "SGE_TASK_ID": "3"}
    run(runner, "log/one.log", "touch", "ran", **variables)
    run(runner, "JOB=7:8", "log/a.JOB.log", "touch", "ran.JOB;", "sleep", "1.5", **variables)
    assert sorted(path.name for path in runner.folder.glob("ran*")) == ["ran", "ran.7", "ran.8"]


def test_task_that_dies_before_its_log(runner) -> None:
    (runner.folder / "path.sh").write_text("echo no module python >&2; exit 3\n")
    (runner.folder / "log").mkdir()
    (runner.folder / "log/a.1.log").write_text("ERROR (x) of the last run\n")
    err = run(runner, *ARRAY, "true", code=1, RUNNER_LATE_SECONDS="1")
    folder = queue_folder(runner)
    assert f", before it had a log: see {folder}/out.1, log is in log/a.1.log" in err
    assert (folder / "out.2").read_text() == "no module python\n"
    assert "of the last run" not in err


def test_folder_that_cannot_be_read_for_a_while(runner) -> None:
    process = start_and_wait(runner, *HELD)
    folder = queue_folder(runner)
    away = folder.rename(runner.folder / "away")
    time.sleep(0.8)
    away.rename(folder)
    (runner.folder / "go").touch()
    assert f"No such file or directory: '{folder}'; trying again" in ended(process, 0)


def test_folder_that_stays_away(runner) -> None:
    process = start_and_wait(runner, *HELD, RUNNER_UNREACHABLE_SECONDS="0.5")
    folder = queue_folder(runner)
    folder.rename(runner.folder / "away")
    assert "the folder cannot be read for 0 s" in ended(process, 1)
    (runner.folder / "go").touch()
    wait_for_ends(runner, "100.1", "100.2")


ARRAY_21 = """JobId=21 ArrayJobId=21 ArrayTaskId=2 JobName=c JobState=COMPLETED Reason=None ExitCode=0:0
JobId=22 ArrayJobId=21 ArrayTaskId=1 JobName=c JobState={} Reason=None ExitCode=0:15
"""


@pytest.mark.parametrize(
    ("records", "state", "task", "reason"),
    [
        (ARRAY_21, "COMPLETING", ("21", 1), None),  # it is still ending
        (ARRAY_21, "CANCELLED", ("21", 1), "Slurm says CANCELLED, exit code 0:15"),
        (ARRAY_21, "CANCELLED", ("21", 2), "Slurm says COMPLETED, exit code 0:0"),
    ],
)
def test_controllers_word_on_one_task_is_never_anothers(monkeypatch, records, state, task, reason) -> None:
    def ask(words: list[str]) -> CompletedProcess[str]:
        return CompletedProcess(words, 0, records.format(state), "")

    monkeypatch.setattr(slurm.scheduler, "ask", ask)
    verdict = slurm.verdicts(task[0]).get(task[1])
    assert (verdict and verdict.reason) == reason
