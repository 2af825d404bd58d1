#!/usr/bin/env python3
"""Run one job under supervision: its log, its process group, its memory, its end.

Usage: task.py <spec.json> <index>     (a task of a cluster job; - reads the job from stdin)

The job is a JSON object. ``command`` (for bash) or ``argv`` is run in this process's group; ``log`` is
its log file, none if absent. With ``parent``, the job dies with that process, even if it is killed with
SIGKILL (Linux). In a cluster's spec, ``tasks`` lists job numbers, ``job_name`` stands for them in
``command`` and ``log``, and ``markers`` is a folder where ``end.<job>`` says how each job ended; with
``gpus``, a job for which the scheduler has not set CUDA_VISIBLE_DEVICES takes so many that no other has.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from utils import atomic, cli, progress
from utils.job_runner import job_log
from utils.job_runner.request import substitute

PR_SET_PDEATHSIG = 1
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU, signal.SIGUSR2)
GRACE_SECONDS = 2.0
GPU_SECONDS = 300.0
NO_DEVICES = "NoDevFiles"  # what some versions of Slurm say of GPUs that it only counts
GPU_LOCKS = "/tmp"  # noqa: S108 - not TMPDIR, of which Grid Engine makes one a job


class StoppedError(Exception):
    """A signal asked this job to end."""


def read_job(source: str, index: str) -> dict[str, Any]:
    """Read the job from stdin, or task ``index`` (counted from 1) of a spec file."""
    if source == "-":
        return json.loads(sys.stdin.buffer.read())
    job = json.loads(Path(source).read_bytes())
    number = job["tasks"][int(index) - 1]
    for name in ("command", "log"):
        job[name] = substitute(job[name], job["job_name"], number)
    job["number"] = number
    job["notes"] = [f"Running on {os.uname().nodename}"]
    return job


def take_gpus(job: dict[str, Any], say: Callable[[str], object]) -> None:
    """Set CUDA_VISIBLE_DEVICES unless the scheduler did; raises cli.UserError if no GPU gets free in time.

    The scheduler counts the GPUs of a node; which of them a job uses is Slurm's choice, but Grid Engine's
    only if the site has seen to it. The locks are held until this process ends.
    """
    if not job.get("gpus"):
        return
    if os.environ.get("CUDA_VISIBLE_DEVICES", NO_DEVICES) == NO_DEVICES:
        from utils.job_runner.gpus import GpuPool

        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        pool = GpuPool(job["gpus"], lambda text: say(f"WARNING (task.py) {text}"), GPU_LOCKS)
        deadline = time.monotonic() + GPU_SECONDS
        while (held := pool.acquire()) is None:
            if time.monotonic() > deadline:
                wanted = f"{job['gpus']} of the GPUs {','.join(pool.devices)}"
                raise cli.UserError(f"no {wanted} got free in {GPU_SECONDS:.0f} s")
            time.sleep(0.1)
        os.environ.update(pool.environment(held))
    say(f"LOG (task.py) CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', '')}")


def die_with(parent: int) -> None:
    """Ask the kernel for SIGTERM when ``parent`` dies; exit if it is dead already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(1)


def stop_on_signals() -> None:
    """Turn the signals that end a process into :class:`StoppedError`."""

    def stop(number: int, _frame: object) -> NoReturn:
        raise StoppedError(number)

    for number in ENDING:
        signal.signal(number, stop)


def start(job: dict[str, Any], output: int | None) -> subprocess.Popen[bytes]:
    """Start the job's process."""
    if "argv" in job:
        return subprocess.Popen(job["argv"], stdin=subprocess.DEVNULL, close_fds=False)
    process = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=output, stderr=output, close_fds=False)
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin as script:
            script.write(f"( {job['command']}\n) </dev/null\n".encode(errors="surrogateescape"))
    return process


def stop_group(child: subprocess.Popen[bytes] | None, number: int) -> int:
    """End everything the job started, gently and then not; return a wait status for the signal."""
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while child is not None and time.monotonic() < deadline:
        if child.poll() is not None:
            break
        time.sleep(0.02)
    return number


def supervise(job: dict[str, Any]) -> int:
    """Run the job with its log; return its wait status."""
    output, status_file, cluster = None, None, "markers" in job
    if "command" in job:
        os.environ.pop("JOB_STATUS", None)  # the runner's own
    if cluster:
        marker = Path(job["markers"]) / f"end.{job['number']}"  # the word that the runner waits for
        marker.unlink(missing_ok=True)  # of a first run, if the scheduler has started this a second time
    if job.get("log"):
        path = Path(job["log"])
        path.parent.mkdir(parents=True, exist_ok=True)
        output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        text = job_log.header(job["command"], job.get("notes", []))
        os.write(output, text.encode(errors="surrogateescape"))
        if path.is_file():
            status_file = progress.status_file(path).absolute()
            status_file.unlink(missing_ok=True)
            os.environ["JOB_STATUS"] = str(status_file)
    began, child, peak_mb, stopped, status = time.time(), None, None, False, 1 << 8

    def say(words: str) -> None:
        os.write(output or 2, f"{words}\n".encode())

    try:
        stop_on_signals()
        take_gpus(job, say)
        child = start(job, output)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode, peak_mb = os.waitstatus_to_exitcode(status), -(-usage.ru_maxrss // 1024)
    except cli.UserError as error:
        say(f"ERROR (task.py) {error}")
    except StoppedError as stop:
        stopped = True
        status = stop_group(child, stop.args[0])
    if status_file is not None:
        status_file.unlink(missing_ok=True)
    if output is not None:
        seconds = round(time.time() - began)
        text = job_log.trailer(status, seconds, job.get("threads", 1), peak_mb, cluster=cluster)
        os.write(output, text.encode())
    if cluster:
        atomic.write_json(marker, {"status": status, "text": job_log.status_text(status)})
    if stopped:
        os.killpg(0, signal.SIGKILL)
    return status


def main(argv: list[str]) -> int:
    """Run one job; return its exit code: 1 for any failure on a cluster, where 99 and 100 mean more."""
    job = read_job(argv[0], argv[1] if len(argv) > 1 else "")
    if "parent" in job:
        die_with(job["parent"])
    elif os.getpgrp() != os.getpid():
        with contextlib.suppress(PermissionError):
            os.setpgid(0, 0)
    try:
        status = supervise(job)
    except OSError as error:
        print(f"ERROR (task.py) {error.filename or job.get('log')}: {error.strerror}", file=sys.stderr)
        return 1
    code = job_log.exit_code(status)
    return min(code, 1) if "markers" in job else code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
