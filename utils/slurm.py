#!/usr/bin/env python3
"""Run jobs on a Slurm cluster, with the command line, logs and exit status of Kaldi's slurm.pl.

Usage: slurm.py [options] [JOB=1:N] <log-file> <command…>
 e.g.: slurm.py --mem 1G --max-jobs-run 50 JOB=1:200 exp/log/feats.JOB.log steps/compute_scattering.py …

Submits one array, waits until all its tasks have ended and exits with 1 if one failed, naming its log and
what Slurm says of it. Ctrl-C cancels the jobs. What the options mean at this site stands in --config
(default: conf/slurm.conf if it is there, else Kaldi's built-in configuration); an option that it does not
describe is an error. Options with one dash go to sbatch as they are.

Environment, beside run.py's: RUNNER_POLL_SECONDS (5) between questions to Slurm, RUNNER_LATE_SECONDS (60)
to wait for files that appear late, RUNNER_UNREACHABLE_SECONDS (1800) to bear a controller that is down.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from utils.job_runner import cluster, frontend, site_conf
from utils.job_runner.request import Request
from utils.job_runner.scheduler import (
    State,
    Task,
    UnreachableError,
    Verdict,
    ask,
    ask_controller,
    said,
    submitted_id,
    wait_until_gone,
)

BUILT_IN = """
command sbatch --export=ALL --no-requeue --ntasks-per-node=1
option time=* --time=$0
option mem=* --mem-per-cpu=$0
option mem=0
option num_threads=* --cpus-per-task=$0
option num_threads=1
option max_jobs_run=*
default gpu=0
option gpu=0
option gpu=* --gres=gpu:$0
"""
ENDED_WELL = ("COMPLETED",)
NOT_ENDED = ("PENDING", "RUNNING", "COMPLETING", "SUSPENDED", "CONFIGURING", "REQUEUED")


class Slurm:
    """Slurm through its commands."""

    index_variable = "SLURM_ARRAY_TASK_ID"

    def __init__(self) -> None:
        self.limit: int | None = None
        self.accounting = False
        self.single: set[str] = set()  # jobs that are no arrays

    def array_limit(self) -> int:
        """Return MaxArraySize - 1, the largest index."""
        if self.limit is None:
            done = ask_controller(["scontrol", "show", "config"])
            facts = dict(re.findall(r"^(\w+)\s*=\s*(\S+)", done.stdout, re.MULTILINE))
            self.limit = int(facts.get("MaxArraySize", 1001)) - 1
            storage = facts.get("AccountingStorageType", "(null)")
            self.accounting = storage not in ("(null)", "accounting_storage/none")
        return self.limit

    def submit(
        self, command: list[str], script: Path, output: Path, count: int, limit: int | None, name: str
    ) -> str:
        """Submit with sbatch."""
        words = [*command, "--parsable", f"--job-name={name}"]
        words.append(f"--output={str(output).replace('%', '%%')}." + ("%a" if count else "1"))
        if count:
            words.append(f"--array=1-{count}" + (f"%{limit}" if limit else ""))
        job_id = submitted_id([*words, str(script)])
        if not count:
            self.single.add(job_id)
        return job_id

    def active(self, ids: list[str]) -> dict[Task, State]:
        """Ask squeue."""
        words = ["squeue", "--all", "--noheader", "--array", "--format=%F|%K|%T|%r"]
        done = ask([*words, f"--jobs={','.join(ids)}"])
        if done.returncode != 0:
            if "Invalid job id" in done.stderr:
                return {}
            raise UnreachableError(said(done))
        states = {}
        for line in done.stdout.splitlines():
            job_id, index, state, reason = (line.strip().split("|", 3) + ["", "", ""])[:4]
            text = state if reason in ("None", "") or state == "RUNNING" else f"{state} ({reason})"
            stuck = state == "PENDING" and ("launch failed" in reason or reason.startswith("DependencyNever"))
            task = job_id, int(index) if index.isdigit() else 1
            states[task] = State(text, stuck, running=state == "RUNNING")
        return states

    def verdict(self, task: Task) -> Verdict | None:
        """Ask sacct, and the controller's memory where there is no accounting."""
        for name in (f"{task[0]}_{task[1]}", task[0]):
            for ask_one in (from_accounting, from_controller):
                verdict = ask_one(name)
                if verdict is not None:
                    return verdict
        return None

    def out_of_memory(self, ids: list[str]) -> dict[Task, str]:
        """Ask sacct once an array, when squeue lists it no more: by then its steps have ended, too."""
        found: dict[Task, str] = {}
        if not self.accounting:
            return found
        with contextlib.suppress(UnreachableError):
            wait_until_gone(self, ids)
            for job_id in ids:
                done = ask(["sacct", "-n", "-P", "-j", job_id, "--format=JobID,State"])
                killed = rf"^{job_id}(?:_(\d+))?(?:\.\w+)?\|OUT_OF_ME"
                for index in re.findall(killed, done.stdout, re.MULTILINE):
                    found[job_id, int(index or 1)] = "Slurm says OUT_OF_MEMORY"
        return found

    def cancel_command(self, ids: list[str], tasks: Sequence[Task] = ()) -> list[str]:
        """Return scancel's command line."""
        return ["scancel", *ids, *(job if job in self.single else f"{job}_{index}" for job, index in tasks)]


def judge(state: str, exit_code: str, more: str = "") -> Verdict | None:
    """Turn Slurm's words into a verdict; None if the job has not ended."""
    word = state.split()[0].rstrip("+") if state.split() else ""
    if not word or word in NOT_ENDED:
        return None
    reason = f"Slurm says {state}" + (f", exit code {exit_code}" if exit_code else "")
    return Verdict(word not in ENDED_WELL, reason + (f", {more}" if more not in ("", "None") else ""))


def from_accounting(name: str) -> Verdict | None:
    """Ask sacct for one task."""
    try:
        done = ask(["sacct", "-n", "-P", "-X", "-j", name, "-o", "JobID,State,ExitCode"])
    except UnreachableError:
        return None
    for line in done.stdout.splitlines():
        found, state, exit_code = (line.split("|") + ["", ""])[:3]
        if found == name:
            return judge(state, exit_code)
    return None


def from_controller(name: str) -> Verdict | None:
    """Ask scontrol for one task; it remembers jobs for some minutes."""
    try:
        done = ask(["scontrol", "--oneliner", "show", "job", name])
    except UnreachableError:
        return None
    for line in done.stdout.splitlines():
        facts = dict(word.split("=", 1) for word in line.split() if "=" in word)
        array = facts.get("ArrayJobId")  # one task of an array has the array's number as its JobId
        if name == (f"{array}_{facts.get('ArrayTaskId')}" if array else facts.get("JobId")):
            return judge(facts.get("JobState", ""), facts.get("ExitCode", ""), facts.get("Reason", ""))
    return None


def run_jobs(request: Request) -> dict[int, str]:
    """Run the jobs; return why jobs failed, by number."""
    conf = site_conf.read(request.options.get("config"), "conf/slurm.conf", BUILT_IN)
    command = conf.arguments(request)
    return cluster.ClusterRun(request, command, Slurm()).run()


if __name__ == "__main__":
    frontend.run(__doc__, run_jobs)
