#!/usr/bin/env python3
"""Run one job under supervision: its log, its process group, its memory, its end.

Usage: task.py <spec.json> <index>     (a task of a cluster job; - reads the job from stdin)

The job is a JSON object. ``command`` is run by bash in this process's group; ``log`` is its log file. With
``parent``, the job dies with that process, even if it is killed with SIGKILL (Linux). In a cluster's spec,
``jobs`` lists job numbers, ``job_name`` stands for them in ``command`` and ``log``, and ``markers`` is a
folder where ``end.<job>`` says how each job ended. With ``gpus``, a job takes so many that no other has.
"""

import contextlib
import ctypes
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from utils import atomic, cli, lock, progress
from utils.job_runner.frontend import substitute

PR_SET_PDEATHSIG = 1
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU, signal.SIGUSR2)
GRACE_SECONDS = 2.0
NO_DEVICES = "NoDevFiles"  # what some versions of Slurm say of GPUs that it only counts
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


def visible_devices() -> list[str]:
    """Return the GPUs that jobs may use: ``CUDA_VISIBLE_DEVICES`` if it is set, else all of the machine."""
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES", NO_DEVICES)) != NO_DEVICES:
        names = [name.strip() for name in chosen.split(",") if name.strip()]
        return [] if "-1" in names else names
    with contextlib.suppress(OSError):
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
        return [str(number) for number, _ in enumerate(re.findall("^GPU ", done.stdout, re.MULTILINE))]
    return []


def take_gpus(job: dict[str, Any]) -> str:
    """Wait for the GPUs that a job wants, or for all if these are fewer; return what is visible then.

    Which GPUs of a node are a job's is Slurm's choice, but Grid Engine's only where the site sees to it.
    The locks, one a GPU and job that may share it, are held until this process ends.
    """
    cluster = "markers" in job
    if cluster and os.environ.get("CUDA_VISIBLE_DEVICES", NO_DEVICES) != NO_DEVICES:
        return os.environ["CUDA_VISIBLE_DEVICES"]
    devices, places = visible_devices(), range(int(os.environ.get("RUNNER_JOBS_PER_GPU", "1")))
    # Not TMPDIR, of which Grid Engine makes one a job.
    temporary = "/tmp" if cluster else os.environ.get("TMPDIR", "/tmp")  # noqa: S108
    folder = Path(temporary, f"job_runner_gpus_{os.getuid()}")
    wanted, held = min(job["gpus"], len(devices)), dict[str, int]()
    while len(held) < wanted:
        folder.mkdir(mode=0o700, exist_ok=True)
        for place, device in itertools.product(places, devices):  # a first job on each before a second on any
            if device not in held and len(held) < wanted:
                lock_file = folder / f"{device}.{place}".replace("/", "_")
                if (descriptor := lock.try_open(lock_file)) is not None:
                    held[device] = descriptor
        if len(held) < wanted:
            while held:
                os.close(held.popitem()[1])
            time.sleep(0.1)
    if held:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(held)
    return ",".join(held)


def stop(number: int, _frame: object) -> NoReturn:
    """Take a signal that ends a process."""
    raise StoppedError(number)


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

    def say(*lines: str) -> None:
        os.write(output, "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))

    where = [f"# Running on {os.uname().nodename}"] if cluster else []
    say("# " + job["command"].replace("\n", "\n# "), *where, f"# Started at {time.strftime(DATE)}", "#")
    status_file = progress.status_file(log).absolute()
    if log.is_file():  # and not /dev/null
        status_file.unlink(missing_ok=True)
        os.environ["JOB_STATUS"] = str(status_file)
    began, child, peak, code, stopped = time.time(), None, [], 1, False
    for each in ENDING:
        signal.signal(each, stop)
    try:
        if job.get("gpus"):
            say(f"LOG (task.py) waiting until it may have {job['gpus']} of the GPUs here")
            say(f"LOG (task.py) CUDA_VISIBLE_DEVICES={take_gpus(job)}")
        with os.fdopen(os.memfd_create("job"), "wb+") as script:
            script.write(f"( {job['command']}\n) </dev/null\n".encode(errors="surrogateescape"))
            script.seek(0)
            child = subprocess.Popen(["bash"], stdin=script, stdout=output, stderr=output, close_fds=False)
        _, status, usage = os.wait4(child.pid, 0)
        code = child.returncode = os.waitstatus_to_exitcode(status)
        peak = [f"# Peak memory: {-(-usage.ru_maxrss // 1024)} MB"]
    except cli.UserError as error:
        say(f"ERROR (task.py) {error}")
    except StoppedError as end:
        stopped, code = True, -end.args[0]
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)  # everything that the job started, which gets some time
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(GRACE_SECONDS)
    if log.is_file():
        status_file.unlink(missing_ok=True)
    how = f"code {code}" if code >= 0 else f"code 0; signal {-code}"
    shell_code = code if code >= 0 else 128 - code
    seconds, now = round(time.time() - began), time.strftime(DATE)
    ended = f"# Ended ({how}) at {now}, elapsed time {seconds} seconds"
    if cluster:
        ended = f"# Finished at {now} with status {shell_code}"
    say(f"# Accounting: time={seconds} threads={job.get('threads', 1)}", *peak, ended)
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
