#!/usr/bin/env python3
"""Run jobs on a Slurm cluster, with the command line, logs and exit status of Kaldi's slurm.pl.

Usage: slurm.py [options] [JOB=1:N] <log-file> <command…>
 e.g.: slurm.py --mem 1G --max-jobs-run 50 JOB=1:200 exp/log/feats.JOB.log steps/compute_scattering.py …

Submits one array and waits for all its tasks. What the options mean at this site stands in --config
(default: conf/slurm.conf, or the recipe's); those with one dash go to sbatch as they are. Environment, beside
run.py's: RUNNER_POLL_SECONDS (5) between questions to Slurm, RUNNER_LATE_SECONDS (60) to wait for the word
of a task that is gone, RUNNER_UNREACHABLE_SECONDS (1800) to bear a controller that is down.
"""

import contextlib
import re
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from utils.job_runner import cluster, frontend, scheduler

NOT_ENDED = ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "CONFIGURING", "REQUEUED")
INDEX_VARIABLE = "SLURM_ARRAY_TASK_ID"
SITE_FILE = "conf/slurm.conf"


def submission(words: list[str], name: str, folder: Path, tasks: int, most: int | None) -> list[str]:
    """Return how tasks 1, 2 … of job.sh are submitted, ``most`` at once; they print to ``out.<index>``."""
    array = f"--array=1-{tasks}" + (f"%{most}" if most else "")  # of one task, too: all are named alike
    output = f"--output={str(folder).replace('%', '%%')}/out.%a"
    return [*words, "--parsable", f"--job-name={name}", array, output, str(folder / "job.sh")]


def active(job_id: str) -> dict[int, scheduler.State]:
    """Return the tasks of an array that wait or run, by index."""
    words = ["squeue", "--all", "--noheader", "--array", "--format=%K|%T|%r", f"--jobs={job_id}"]
    done = scheduler.ask(words)
    if done.returncode != 0:
        if "Invalid job id" in done.stderr:
            return {}
        raise scheduler.SchedulerError(scheduler.said(done))
    states = {}
    for index, state, reason in re.findall(r"^\s*(\d+)\|([^|]*)\|(.*?)\s*$", done.stdout, re.MULTILINE):
        text = state if reason in ("None", "") or state == "RUNNING" else f"{state} ({reason})"
        stuck = state == "PENDING" and ("launch failed" in reason or reason.startswith("DependencyNever"))
        states[int(index)] = scheduler.State(text, stuck, state == "RUNNING")
    return states


def verdicts(job_id: str) -> dict[int, scheduler.Verdict]:
    """Return how the tasks of an array ended, by index, as far as this is known (yet)."""
    found: dict[int, scheduler.Verdict] = {}
    with contextlib.suppress(scheduler.SchedulerError):  # which remembers jobs for some minutes
        for line in scheduler.ask(["scontrol", "--oneliner", "show", "job", job_id]).stdout.splitlines():
            facts = {"JobState": "", **dict(word.split("=", 1) for word in line.split() if "=" in word)}
            index = facts.get("ArrayTaskId", "")  # the JobId is an array's for one of its tasks only
            ended = facts["JobState"] not in ("", *NOT_ENDED)
            if facts.get("ArrayJobId") == job_id and index.isdigit() and ended:
                reason = "Slurm says {JobState}, exit code {ExitCode}, {Reason}".format(**facts)
                failed = facts["JobState"] != "COMPLETED"
                found[int(index)] = scheduler.Verdict(failed, reason.removesuffix(", None"))
    return found


def cancel_command(job_id: str, index: int | None = None) -> list[str]:
    """Return the command that cancels an array, or one task of it."""
    return ["scancel", job_id if index is None else f"{job_id}_{index}"]


if __name__ == "__main__":
    frontend.run(__doc__, lambda request: cluster.run(request, sys.modules[__name__]))
