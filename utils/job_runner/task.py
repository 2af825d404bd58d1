#!/usr/bin/env python3
"""Run one job under supervision: its log, its process group, its memory, its end.

Usage: task.py <spec.json> <index>     (a task of a cluster job; - reads the job from stdin)

The job is a JSON object. ``command`` is run by bash in this process's group; ``log`` is its log file. With
``parent``, the job dies with that process, even if it is killed with SIGKILL (Linux). In a cluster's spec,
``jobs`` lists job numbers, ``job_name`` stands for them in ``command`` and ``log``, and ``markers`` is a
folder where ``end.<job>`` says how each job ended; with ``gpus``, a job for which the scheduler has not set
CUDA_VISIBLE_DEVICES takes so many that no other has.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from utils import atomic, cli, progress
from utils.job_runner.frontend import substitute

PR_SET_PDEATHSIG = 1
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU, signal.SIGUSR2)
GRACE_SECONDS = 2.0
GPU_SECONDS = 300.0
NO_DEVICES = "NoDevFiles"  # what some versions of Slurm say of GPUs that it only counts
GPU_LOCKS = "/tmp"  # noqa: S108 - not TMPDIR, of which Grid Engine makes one a job
DATE = "%a %b %e %H:%M:%S %Z %Y"  # as ``date`` prints it


class StoppedError(Exception):
    """A signal asked this job to end."""


def read_job(source: str, index: str = "") -> dict[str, Any]:
    """Read the job from stdin, or task ``index`` (counted from 1) of a spec file."""
    if source == "-":
        return json.loads(sys.stdin.buffer.read())
    job = json.loads(Path(source).read_bytes())
    job["number"] = job["jobs"][int(index) - 1]
    for name in ("command", "log"):
        job[name] = substitute(job[name], job["job_name"], job["number"])
    return job


def take_gpus(count: int) -> str:
    """Set CUDA_VISIBLE_DEVICES unless the scheduler did; raises cli.UserError if no GPU gets free in time.

    The scheduler counts the GPUs of a node; which of them a job uses is Slurm's choice, but Grid Engine's
    only if the site has seen to it. The locks are held until this process ends. Returns what is visible.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES", NO_DEVICES) == NO_DEVICES:
        from utils.job_runner.local import GpuPool

        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        pool = GpuPool(count, GPU_LOCKS)
        deadline = time.monotonic() + GPU_SECONDS
        while (held := pool.acquire()) is None:
            if time.monotonic() > deadline:
                devices = ",".join(pool.devices)
                raise cli.UserError(f"no {count} of the GPUs {devices} got free in {GPU_SECONDS:.0f} s")
            time.sleep(0.1)
        os.environ.update(pool.environment(held))
    return os.environ.get("CUDA_VISIBLE_DEVICES", "")


def stop(number: int, _frame: object) -> NoReturn:
    """Take a signal that ends a process."""
    raise StoppedError(number)


def start(command: str, output: int) -> subprocess.Popen[bytes]:
    """Start bash with a command."""
    process = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=output, stderr=output, close_fds=False)
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin as script:
            script.write(f"( {command}\n) </dev/null\n".encode(errors="surrogateescape"))
    return process


def stop_group(child: subprocess.Popen[bytes] | None) -> None:
    """Ask everything that the job started to end, and give it some time."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    if child is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)


def supervise(job: dict[str, Any]) -> int:
    """Run the job with its log, which opens and ends in the words of Kaldi's runners; return its exit code.

    The peak of the memory is that of the largest process. On a cluster a code is 1 at most, since 99 and 100
    mean more there.
    """
    cluster = "markers" in job
    os.environ.pop("JOB_STATUS", None)  # the runner's own
    if cluster:
        marker = Path(job["markers"]) / f"end.{job['number']}"  # the word that the runner waits for
        marker.unlink(missing_ok=True)  # of a first run, if the scheduler has started this a second time
    log = Path(job["log"])
    log.parent.mkdir(parents=True, exist_ok=True)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)

    def say(*lines: str, sign: str = "# ") -> None:
        os.write(output, "".join(f"{sign}{line}\n" for line in lines).encode(errors="surrogateescape"))

    where = [f"Running on {os.uname().nodename}"] if cluster else []
    say(job["command"].replace("\n", "\n# "), *where, f"Started at {time.strftime(DATE)}")
    say("#", sign="")
    status_file = progress.status_file(log).absolute()
    if log.is_file():  # and not /dev/null
        status_file.unlink(missing_ok=True)
        os.environ["JOB_STATUS"] = str(status_file)
    began, child, peak, code = time.time(), None, [], 1
    stopped = False
    for each in ENDING:
        signal.signal(each, stop)
    try:
        if job.get("gpus"):
            say(f"LOG (task.py) CUDA_VISIBLE_DEVICES={take_gpus(job['gpus'])}", sign="")
        child = start(job["command"], output)
        _, status, usage = os.wait4(child.pid, 0)
        code = child.returncode = os.waitstatus_to_exitcode(status)
        peak = [f"Peak memory: {-(-usage.ru_maxrss // 1024)} MB"]
    except cli.UserError as error:
        say(f"ERROR (task.py) {error}", sign="")
    except StoppedError as end:
        stopped, code = True, -end.args[0]
        stop_group(child)
    if log.is_file():
        status_file.unlink(missing_ok=True)
    how = f"code {code}" if code >= 0 else f"code 0; signal {-code}"
    shell_code = code if code >= 0 else 128 - code
    seconds, now = round(time.time() - began), time.strftime(DATE)
    ended = f"Ended ({how}) at {now}, elapsed time {seconds} seconds"
    if cluster:
        ended = f"Finished at {now} with status {shell_code}"
    say(f"Accounting: time={seconds} threads={job.get('threads', 1)}", *peak, ended)
    if cluster:
        atomic.write_json(marker, {"code": code, "text": how})
    if stopped:
        os.killpg(0, signal.SIGKILL)
    return min(shell_code, 1) if cluster else shell_code


def main(argv: list[str]) -> int:
    """Run one job; return its exit code."""
    job = read_job(*argv)
    if "parent" in job:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != job["parent"]:
            return 1
    elif os.getpgrp() != os.getpid():
        with contextlib.suppress(PermissionError):
            os.setpgid(0, 0)
    try:
        return supervise(job)
    except OSError as error:
        print(f"ERROR (task.py) {error.filename or job['log']}: {error.strerror}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
