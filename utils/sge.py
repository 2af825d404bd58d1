#!/usr/bin/env python3
"""Run jobs on a Grid Engine cluster, with the command line, logs and exit status of Kaldi's queue.pl.

Usage: sge.py [options] [JOB=1:N] <log-file> <command…>
 e.g.: sge.py --mem 1G --max-jobs-run 50 JOB=1:200 exp/log/feats.JOB.log steps/compute_scattering.py …

As slurm.py, by qsub, qstat, qacct and qdel, and with conf/queue.conf.
"""

import contextlib
import os
import pwd
import re
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from utils.job_runner import cluster, frontend, scheduler

UNLIMITED = 1_000_000


INDEX_VARIABLE = "SGE_TASK_ID"
SITE_FILE = "conf/queue.conf"


def limits() -> tuple[int, bool]:
    """Return the largest index of an array, and whether accounting knows what tasks lost on the way."""
    done = scheduler.ask_controller(["qconf", "-sconf"])
    found = re.search(r"^max_aj_tasks\s+(\d+)", done.stdout, re.MULTILINE)
    return int(found[1]) or UNLIMITED if found else 75000, False


def submit(array: scheduler.Array) -> str:
    """Submit; return the id."""
    # qsub takes what no node will ever have, and lets it wait; so we look first.
    pairs = zip(array.gpu, array.gpu[1:], strict=False)
    wanted = [word for pair in pairs if pair[0] in ("-l", "-q") for word in pair]
    if wanted and not scheduler.ask_controller(["qselect", *wanted]).stdout.strip():
        text = f"no queue has what --gpu asks for, {' '.join(wanted)} (qselect)"
        raise scheduler.SchedulerError(text)
    words = [*array.command, "-terse", "-N", array.name, "-o", f"{array.output}.$TASK_ID"]
    if array.limit and "-tc" not in words:
        words += ["-tc", str(array.limit)]
    return scheduler.submitted_id([*words, "-t", f"1-{array.tasks}", str(array.script)])


def active(ids: list[str]) -> dict[scheduler.Task, scheduler.State]:
    """Return the tasks that wait or run."""
    # qstat shows our jobs, each behind the queue of the node it runs on. That Grid Engine is told to
    # delete a task which runs on a node that is not heard of ends the task for us; for Grid Engine it
    # ends when the node is back.
    done = scheduler.ask(["qstat", "-f", "-ne", "-u", pwd.getpwuid(os.getuid()).pw_name])
    if done.returncode != 0:
        raise scheduler.SchedulerError(scheduler.said(done))
    states, unheard = {}, ""
    for line in done.stdout.splitlines():
        words = line.split()
        if re.match(r"\S+ +\w+ +\d+/\d+/\d+ ", line):
            unheard = words[0] if len(words) > 5 and "u" in words[5] else ""
        elif line.startswith("#"):  # the jobs that wait
            unheard = ""
        elif words and words[0] in ids and not (unheard and "d" in words[4]):
            state = scheduler.State(words[4], "E" in words[4], unheard, running="r" in words[4])
            states.update({(words[0], index): state for index in indices(words[-1])})
    return states


def verdicts(job_id: str) -> dict[int, scheduler.Verdict]:
    """Return how the tasks of an array ended, by index, as far as this is known (yet)."""
    found = {}
    with contextlib.suppress(scheduler.SchedulerError):
        for record in re.split("^=+$", scheduler.ask(["qacct", "-j", job_id]).stdout, flags=re.MULTILINE):
            facts = dict(re.findall(r"^(\w+)\s+(\S.*?)\s*$", record, re.MULTILINE))
            if facts.keys() >= {"failed", "exit_status"} and facts.get("taskid", "").isdigit():
                failed, status = facts["failed"], facts["exit_status"]
                seconds, memory = facts.get("ru_wallclock", "?"), facts.get("maxvmem", "?")
                reason = f"failed {failed}, exit status {status}, {seconds}, maxvmem {memory}"
                bad = failed.split()[0] != "0" or status.split()[0] != "0"
                found[int(facts["taskid"])] = scheduler.Verdict(bad, f"Grid Engine says {reason}")
    return found


def cancel_command(ids: list[str], *tasks: scheduler.Task) -> list[str]:
    """Return the command that cancels jobs and single tasks."""
    return ["qdel", *ids, *(word for job, index in tasks for word in (job, "-t", str(index)))]


def indices(text: str) -> list[int]:
    """Expand qstat's task column: ``1-5:2,7`` is 1, 3, 5, 7."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if match:
            found += range(int(match[1]), int(match[2] or match[1]) + 1, int(match[3] or 1))
    return found


if __name__ == "__main__":
    frontend.run(__doc__, lambda request: cluster.run(request, sys.modules[__name__]))
