"""What every runner's main program does: parse, skip finished jobs, run, report as Kaldi's runners do."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from utils.job_runner import job_log, recipe_process, shell_line
from utils.job_runner.request import Request, UsageError, parse

PROGRAM = Path(sys.argv[0]).name or "python"
MAX_NAMED = 10
MAX_SHOWN = 30


class RunnerError(Exception):
    """The jobs could not be run at all; says what, where and the remedy."""


def say(text: str) -> None:
    """Write one of Kaldi's plain messages to stderr."""
    print(f"{PROGRAM}: {text}", file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Write a warning to stderr."""
    print(f"WARNING ({PROGRAM}) {text}", file=sys.stderr, flush=True)


def seconds(name: str, default: float) -> float:
    """Return a time from the environment."""
    try:
        return float(os.environ.get(name, default))
    except ValueError:
        raise RunnerError(f"{name}: expected seconds, got '{os.environ[name]}'") from None


def whole_number(name: str, default: int) -> int:
    """Return a number from 1 on from the environment."""
    text = os.environ.get(name, str(default))
    if not re.fullmatch(r"[1-9]\d*", text):
        raise RunnerError(f"{name}: expected a number from 1 on, got '{text}'")
    return int(text)


def resume_key(request: Request, job: int) -> str | None:
    """Return the key that marks this job's log, None if the caller does not resume."""
    state = os.environ.get("RUNNER_RESUME_STATE")
    return job_log.resume_key(state, request.command_of(job)) if state else None


def unfinished(request: Request) -> list[int]:
    """Return the jobs that still have to run; without ``RUNNER_RESUME_STATE`` these are all."""
    files = os.environ.get("RUNNER_OUTPUTS", "").split()
    jobs = []
    for job in request.jobs:
        key = resume_key(request, job)
        there = all(Path(shell_line.substitute(name, request.job_name, job)).exists() for name in files)
        if key is None or not there or not job_log.has_succeeded(Path(request.log_of(job)), key):
            jobs.append(job)
    if len(jobs) < len(request.jobs):
        done = len(request.jobs) - len(jobs)
        say(f"{done} / {len(request.jobs)} jobs are done already, log is in {request.all_logs()}")
    return jobs


def explain(code: int, log: str) -> str:
    """Say how a local job ended; finish the log of one that was killed with its supervisor."""
    if code >= 0:
        return f"code {code}"
    status = -code
    try:
        with Path(log).open("a") as stream:
            stream.write(job_log.trailer(status, 0, 1, None))
    except OSError as error:
        return f"signal {status}; {log}: {error.strerror}"
    return f"signal {status}"


def show_error(log: str) -> None:
    """Show what a program's log says from its last ``ERROR`` line on, as far as it is the program's."""
    try:
        with Path(log).open(errors="replace") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return
    starts = [number for number, line in enumerate(lines) if line.startswith("ERROR (")]
    for line in lines[starts[-1] :][:MAX_SHOWN] if starts else []:
        if line.startswith(("#", "LOG (", "WARNING (")):
            break
        say(f"| {line}")


def report(request: Request, failed: dict[int, str]) -> None:
    """Name the failed jobs and show the first one's error, Kaldi's line last."""
    total = len(request.jobs)
    show_error(request.log_of(min(failed)))
    if total == 1:
        say(f"the job ended with {failed[request.jobs[0]]}")
        say(f"job failed, log is in {request.log_of(request.jobs[0])}")
        if request.job_name is None and "JOB" in request.log:
            say("probably you forgot to put JOB=1:$nj in your script")
        return
    for job in sorted(failed)[:MAX_NAMED]:
        say(f"job {job} ended with {failed[job]}, log is in {request.log_of(job)}")
    if len(failed) > MAX_NAMED:
        say(f"… and {len(failed) - MAX_NAMED} more")
    say(f"{len(failed)} / {total} failed, log is in {request.all_logs()}")


def run(documentation: str | None, run_jobs: Callable[[Request, list[int]], dict[int, str]]) -> NoReturn:
    """Run a runner's main program and exit: 0, 1 (a job failed), 2 (usage) or 130 (Ctrl-C)."""
    argv = sys.argv[1:]
    if argv[:1] in (["--help"], ["-h"]):
        print(documentation)
        raise SystemExit(0)
    recipe_process.raise_on_signals()
    try:
        request = parse(argv)
        failed = run_jobs(request, unfinished(request))
        if failed:
            report(request, failed)
        raise SystemExit(1 if failed else 0)
    except UsageError as error:
        say(f"{error}; see {PROGRAM} --help")
        raise SystemExit(2) from None
    except (RunnerError, OSError) as error:
        print(f"ERROR ({PROGRAM}) {error}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    except recipe_process.InterruptedRunError as stop:
        say(f"{stop.reason}; stopped the jobs that ran")
        raise SystemExit(stop.exit_code) from None
