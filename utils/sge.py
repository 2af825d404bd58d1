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
from collections.abc import Iterator
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from utils.job_runner import cluster, frontend, scheduler

INDEX_VARIABLE = "SGE_TASK_ID"
SITE_FILE = "conf/queue.conf"


def submission(words: list[str], name: str, folder: Path, tasks: int, most: int | None) -> list[str]:
    """Return how tasks 1, 2 … of job.sh are submitted, ``most`` at once; they print to ``out.<index>``."""
    limit = ["-tc", str(most)] if most else []
    options = ["-terse", "-N", name, "-o", f"{folder}/out.$TASK_ID", "-t", f"1-{tasks}"]
    return [*words, *options, *limit, str(folder / "job.sh")]


def active(job_id: str) -> dict[int, scheduler.State]:
    """Return the tasks of an array that wait or run, by index."""
    done = scheduler.ask(["qstat", "-u", pwd.getpwuid(os.getuid()).pw_name])
    if done.returncode != 0:
        raise scheduler.SchedulerError(scheduler.said(done))
    states: dict[int, scheduler.State] = {}
    for words in map(str.split, done.stdout.splitlines()):
        if words[:1] == [job_id]:
            state = scheduler.State(words[4], "E" in words[4], "r" in words[4])
            states |= dict.fromkeys(indices(words[-1]), state)
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


def cancel_command(job_id: str, index: int | None = None) -> list[str]:
    """Return the command that cancels an array, or one task of it."""
    return ["qdel", job_id, *([] if index is None else ["-t", str(index)])]


def indices(text: str) -> Iterator[int]:
    """Expand qstat's task column: ``1-5:2,7`` is 1, 3, 5, 7."""
    for first, last, step in re.findall(r"(\d+)(?:-(\d+)(?::(\d+))?)?", text):
        yield from range(int(first), int(last or first) + 1, int(step or 1))


if __name__ == "__main__":
    frontend.run(__doc__, lambda request: cluster.run(request, sys.modules[__name__]))
